-- Ids that another push service gave to devices of an app. state: 1 unclaimed, 2 claimed, 3 gone. version is that of
-- the head when the row changed last, so that what changed since can be read.
create table device_import (
  app_id bigint not null,
  imported_id text not null,
  ordinal bigint not null,
  state bigint not null,
  version bigint not null,
  primary key (app_id, imported_id)
) {{clustered}};
create unique index device_import_ordinal on device_import (app_id, state, ordinal);
create index device_import_version on device_import (app_id, version);
create table device_import_head (app_id {{pk}}, version bigint not null, total bigint not null, unclaimed bigint not null);
