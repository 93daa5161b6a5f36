create table device_installation (id {{pk}}, epoch bigint not null);
insert into device_installation (id, epoch) values (1, 1);
create table device_counter (app_id {{pk}}, next bigint not null);
create table device_epoch (app_id bigint not null, epoch bigint not null, first_ordinal bigint not null, primary key (app_id, epoch)) {{clustered}};
create table device_device (
  app_id bigint not null,
  ordinal bigint not null,
  platform bigint not null,
  state bigint not null,
  generation bigint not null,
  install_hash {{blob}},
  package text not null,
  model text not null,
  os_version text not null,
  app_version text not null,
  sdk_version text not null,
  timezone text not null,
  locale text not null,
  alias text not null,
  tags {{blob}} not null,
  mobile text not null,
  mobile_verified boolean not null,
  attributes text not null,
  push_enabled boolean not null,
  notifications_enabled boolean not null,
  silence text not null,
  consent text not null,
  created_at bigint not null,
  joined_at bigint not null,
  last_seen bigint not null,
  primary key (app_id, ordinal)
) {{clustered}};
create index device_device_alias on device_device (app_id, alias) where alias <> '';
create index device_device_pending on device_device (created_at) where state = 1;
create table device_install (app_id bigint not null, install_hash {{blob}} not null, ordinal bigint not null, primary key (app_id, install_hash)) {{clustered}};
create table device_token (app_id bigint not null, ordinal bigint not null, channel text not null, token text not null, token_hash {{blob}} not null, environment text not null, updated_at bigint not null, primary key (app_id, ordinal, channel)) {{clustered}};
create unique index device_token_owner on device_token (app_id, channel, token_hash);
