-- push and samples are JSON. Ids are time-ordered.
create table push_template (
    app_id bigint not null,
    id text not null,
    name text not null,
    push text not null,
    samples text not null,
    version bigint not null,
    created_at bigint not null,
    updated_at bigint not null,
    primary key (app_id, id)
) {{clustered}};

create table push_template_app (app_id {{pk}});
