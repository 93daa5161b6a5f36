-- day is the calendar day as yyyymmdd in the zone of the installation.
create table stat_day (
    app_id bigint not null,
    day bigint not null,
    metric text not null,
    n bigint not null,
    primary key (app_id, day, metric)
) {{clustered}};
