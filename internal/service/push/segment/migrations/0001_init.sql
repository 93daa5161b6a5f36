-- audience is the expression as JSON, refs the ids of the segments it names, separated by spaces, clauses its conditions.
create table push_segment (
    app_id bigint not null,
    id text not null,
    name text not null,
    audience text not null,
    clauses bigint not null,
    refs text not null,
    version bigint not null,
    created_at bigint not null,
    updated_at bigint not null,
    primary key (app_id, id)
) {{clustered}};

-- split is the groups as JSON: ids, names and percents.
create table push_abtest (
    app_id bigint not null,
    id text not null,
    name text not null,
    audience text not null,
    clauses bigint not null,
    refs text not null,
    split text not null,
    version bigint not null,
    created_at bigint not null,
    updated_at bigint not null,
    primary key (app_id, id)
) {{clustered}};

-- Which hundredths of its test a group has: from low up to high, which is not of it.
create table push_abtest_group (
    app_id bigint not null,
    id text not null,
    test_id text not null,
    low bigint not null,
    high bigint not null,
    primary key (app_id, id)
) {{clustered}};
create index push_abtest_group_test on push_abtest_group (app_id, test_id);

create table push_segment_app (app_id {{pk}});
