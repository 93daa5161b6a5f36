-- One message that goes to the vendor as well. state: 1 sending, 2 withdrawing, 3 done, 4 taken back. next_ordinal is where the next
-- part begins; next_at is when something may be tried again, Unix milliseconds. left_out counts the devices whose turn had
-- not come at the end.
create table push_relay (
  msg_id {{pk}},
  app_id bigint not null,
  state bigint not null,
  wide boolean not null,
  devices bigint not null,
  override_id bigint not null,
  payload {{blob}} not null,
  accepted_at bigint not null,
  expires_at bigint not null,
  next_ordinal bigint not null,
  next_at bigint not null,
  attempts bigint not null,
  failure text not null,
  left_out bigint not null
);
create index push_relay_live on push_relay (app_id, wide, msg_id) where state < 3;
create index push_relay_accepted on push_relay (accepted_at);
-- Its devices, one row for each 65,536 ordinals.
create table push_relay_set (msg_id bigint not null, chunk bigint not null, bits {{blob}} not null, primary key (msg_id, chunk)) {{clustered}};
-- One push at the vendor, to the devices of the message from one ordinal to another that were unclaimed then. state is a
-- partState, tried whether it may have reached the vendor.
create table push_relay_part (
  msg_id bigint not null,
  part bigint not null,
  state bigint not null,
  tried boolean not null,
  first_ordinal bigint not null,
  last_ordinal bigint not null,
  devices bigint not null,
  cid text not null,
  cid_at bigint not null,
  vendor_id text not null,
  code bigint not null,
  message text not null,
  primary key (msg_id, part)
) {{clustered}};
-- The credentials at the vendor of apps whose are others than here. sealed is the master secret.
create table push_relay_account (app_id {{pk}}, url text not null, app_key text not null, sealed text not null);
