create table push_testdevice (
    app_id bigint not null,
    ordinal bigint not null,
    name text not null,
    created_at bigint not null,
    primary key (app_id, ordinal)
) {{clustered}};

create table push_testdevice_app (app_id {{pk}});
