create table account_app (
    id {{pk}},
    app_key text not null,
    name text not null,
    secret_hash {{blob}} not null,
    secret_sealed text not null,
    state text not null,
    settings text not null,
    revision bigint not null,
    created_at bigint not null
);
create unique index account_app_key on account_app (app_key);
