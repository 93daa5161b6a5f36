-- A file belongs to an app or to a developer; the other number is 0. kind is alias or registration_id. ttl_given: the
-- caller chose when it expires.
create table push_file (
    file_id text primary key,
    app_id bigint not null,
    developer_id bigint not null,
    kind text not null,
    name text not null,
    blob_id bigint not null,
    size bigint not null,
    lines bigint not null,
    ttl_given boolean not null,
    created_at bigint not null,
    expires_at bigint not null
);
create index push_file_owner on push_file (app_id, developer_id, created_at);
create index push_file_expires on push_file (expires_at);

-- One row for each owner. Whoever adds a file updates it first, which puts the uploads of an owner in a row.
create table push_file_count (
    app_id bigint not null,
    developer_id bigint not null,
    uploaded bigint not null,
    primary key (app_id, developer_id)
) {{clustered}};
