-- What an app has at a vendor, sealed. marketing is how many messages of that class a device may get on a day, 0: the vendor's
-- rule. quota_until: the vendor said that a quota of the account is used up, until when (Unix milliseconds). problem: why the
-- vendor refused the credentials last, '' if it did not.
create table push_channel (
  app_id bigint not null,
  channel text not null,
  account text not null,
  sealed text not null,
  marketing bigint not null,
  quota_until bigint not null,
  problem text not null,
  problem_at bigint not null,
  updated_at bigint not null,
  primary key (app_id, channel)
) {{clustered}};
-- A message whose devices vendors may reach. state: 1 to be planned, from next_ordinal on, 2 planned.
create table push_route (
  msg_id {{pk}},
  app_id bigint not null,
  state bigint not null,
  next_ordinal bigint not null,
  accepted_at bigint not null,
  expires_at bigint not null
);
create index push_route_open on push_route (app_id, msg_id) where state = 1;
create index push_route_accepted on push_route (accepted_at);
-- Devices of one platform that one channel is to reach. state: 1 waiting, 2 claimed, 3 done. bits is a set of ordinals: those meant while it
-- waits, those claimed from then on. why: how they came here.
create table push_route_part (
  part_id {{pk}},
  msg_id bigint not null,
  app_id bigint not null,
  channel text not null,
  platform bigint not null,
  why text not null,
  state bigint not null,
  tries bigint not null,
  due_at bigint not null,
  expires_at bigint not null,
  created_at bigint not null,
  bits {{blob}} not null
);
create index push_route_part_due on push_route_part (app_id, channel, due_at) where state < 3;
create index push_route_part_msg on push_route_part (msg_id);
-- What became of devices of a part, one row for each answer that some of them share.
create table push_route_result (
  part_id bigint not null,
  number bigint not null,
  msg_id bigint not null,
  app_id bigint not null,
  channel text not null,
  status bigint not null,
  code text not null,
  reason text not null,
  vendor_id text not null,
  devices bigint not null,
  at bigint not null,
  bits {{blob}} not null,
  primary key (part_id, number)
) {{clustered}};
create index push_route_result_msg on push_route_result (msg_id);
-- Devices that got at least so many (level) messages of class marketing through a channel on a day (days since 1970 in Asia/Shanghai).
create table push_route_quota (
  app_id bigint not null,
  channel text not null,
  day bigint not null,
  level bigint not null,
  chunk bigint not null,
  bits {{blob}} not null,
  primary key (app_id, channel, day, level, chunk)
) {{clustered}};
create index push_route_quota_day on push_route_quota (day);
