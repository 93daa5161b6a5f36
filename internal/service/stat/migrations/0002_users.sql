-- The devices of an app that were new, online or active in an hour, day or month that may still change. unit is 1, 2, 3;
-- bucket is the hour as yyyymmddhh, the day as yyyymmdd or the month as yyyymm, in the zone of the app. A row holds the
-- ordinals of one chunk of 65,536; n is how many.
create table stat_set (
    app_id bigint not null,
    unit bigint not null,
    bucket bigint not null,
    platform bigint not null,
    metric bigint not null,
    chunk bigint not null,
    n bigint not null,
    bits {{blob}} not null,
    primary key (app_id, unit, bucket, platform, metric, chunk)
) {{clustered}};
create index stat_set_bucket on stat_set (unit, bucket);
-- What is left of those that do not change any more.
create table stat_users (
    app_id bigint not null,
    unit bigint not null,
    bucket bigint not null,
    platform bigint not null,
    metric bigint not null,
    n bigint not null,
    primary key (app_id, unit, bucket, platform, metric)
) {{clustered}};
create index stat_users_bucket on stat_users (unit, bucket);
