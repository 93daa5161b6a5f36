create table account_developer (
    id {{serial}},
    dev_key text not null,
    name text not null,
    secret_hash {{blob}} not null,
    secret_sealed text not null,
    files boolean not null,
    revision bigint not null,
    created_at bigint not null
);
create unique index account_developer_key on account_developer (dev_key);
-- A deleted group keeps its row; deleted_at of the others is 0.
create table account_group (
    id {{serial}},
    group_key text not null,
    developer_id bigint not null,
    name text not null,
    secret_hash {{blob}} not null,
    secret_sealed text not null,
    revision bigint not null,
    created_at bigint not null,
    deleted_at bigint not null
);
create unique index account_group_key on account_group (group_key);
create unique index account_group_name on account_group (developer_id, name) where deleted_at = 0;
create table account_member (
    group_id bigint not null,
    app_id bigint not null,
    primary key (group_id, app_id)
) {{clustered}};
create index account_member_app on account_member (app_id);
-- developer_id 0: the app has none. A deleted app keeps its row; its package may be used again.
alter table account_app add column developer_id bigint not null default 0;
alter table account_app add column package text not null default '';
create unique index account_app_package on account_app (developer_id, package) where package <> '' and state <> 'deleted';
-- sealed is the certificate with its chain and private key.
create table account_certificate (
    app_id bigint not null,
    environment text not null,
    topic text not null,
    not_after bigint not null,
    fingerprint text not null,
    sealed text not null,
    uploaded_at bigint not null,
    primary key (app_id, environment)
) {{clustered}};
