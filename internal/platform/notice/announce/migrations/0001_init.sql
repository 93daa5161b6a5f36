-- Nothing here is ever deleted: links are permanent. archived_at 0: current.
create table notice_announcement (
    id {{serial}},
    slug text not null,
    category text not null,
    revision bigint not null,
    published_at bigint not null,
    revised_at bigint not null,
    archived_at bigint not null
);
create unique index notice_announcement_slug on notice_announcement (slug);
create index notice_announcement_date on notice_announcement (published_at, id);

create table notice_announcement_revision (
    announcement_id bigint not null,
    revision bigint not null,
    texts text not null,
    hash text not null,
    reason text not null,
    actor text not null,
    at bigint not null,
    primary key (announcement_id, revision)
) {{clustered}};
