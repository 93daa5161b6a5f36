-- kind: 0 push, 1 withdrawal of the message override_id. pace: milliseconds over which the targets are released, 0 at once.
-- callback: the push routes its receipts itself. withdrawn_at: Unix milliseconds, 0 if it was not.
alter table push_message add column kind bigint not null default 0;
alter table push_message add column pace bigint not null default 0;
alter table push_message add column callback boolean not null default false;
alter table push_message add column withdrawn_at bigint not null default 0;
create index push_message_paced on push_message (app_id, accepted_at) where pace > 0;

-- A push to the apps of a group, and what became of it in each. cid is unique for the group while it lives.
create table push_group (
    group_msg {{pk}},
    group_id bigint not null,
    cid text,
    accepted_at bigint not null
);
create unique index push_group_cid on push_group (group_id, cid);
create index push_group_accepted on push_group (accepted_at);
create table push_group_part (
    group_msg bigint not null,
    app_id bigint not null,
    msg_id bigint not null,
    primary key (group_msg, app_id)
) {{clustered}};

-- Locked by transactions that count an app's messages before they add one: broadcasts, wide and paced ones.
create table push_app (app_id {{pk}});
