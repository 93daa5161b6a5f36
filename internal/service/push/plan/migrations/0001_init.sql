-- source: 0 the API, 1 the console.
create table push_plan (
    id {{serial}},
    app_id bigint not null,
    name text not null,
    description text not null,
    source bigint not null,
    created_at bigint not null
);
create unique index push_plan_name on push_plan (app_id, name);

-- The pushes that named a plan: the sum of its slots, and the latest of their times.
create table push_plan_use (
    plan_id bigint not null,
    slot bigint not null,
    pushes bigint not null,
    last_at bigint not null,
    primary key (plan_id, slot)
) {{clustered}};

create table push_plan_app (app_id {{pk}});
