-- What devices follow of live activities. kind: 1 an activity, by the app's id of it; 2 a type of activities that can be started.
create table device_live (
  app_id bigint not null,
  ordinal bigint not null,
  kind bigint not null,
  name text not null,
  token text not null,
  token_hash {{blob}} not null,
  environment text not null,
  updated_at bigint not null,
  expires_at bigint not null,
  primary key (app_id, ordinal, kind, name)
) {{clustered}};
create index device_live_name on device_live (app_id, kind, name, ordinal, expires_at);
create unique index device_live_owner on device_live (app_id, token_hash);
create index device_live_expires on device_live (expires_at);
