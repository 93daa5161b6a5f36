-- A schedule. trigger_body is its JSON and zone where its times are; next_at is when its job is due. seq counts the
-- schedules of an app in the order of creation, revision the changes of this one. ended_at is 0 while it is live.
create table push_schedule (
    schedule_id text primary key,
    app_id bigint not null,
    seq bigint not null,
    name text not null,
    enabled boolean not null,
    live boolean not null,
    trigger_body text not null,
    zone text not null,
    push {{blob}} not null,
    next_at bigint not null,
    revision bigint not null,
    created_at bigint not null,
    ended_at bigint not null
);
create unique index push_schedule_live on push_schedule (app_id, seq) where live;
create index push_schedule_ended on push_schedule (ended_at) where not live;

-- Of each app, how many schedules were created and how many are live.
create table push_schedule_app (
    app_id bigint primary key,
    seq bigint not null,
    live bigint not null
);

-- What became of the times at which a schedule was to fire. msg_id is 0, and code is not, where nothing was sent.
create table push_schedule_fire (
    schedule_id text not null,
    due_at bigint not null,
    fired_at bigint not null,
    msg_id bigint not null,
    code bigint not null,
    message text not null,
    retry boolean not null,
    primary key (schedule_id, due_at)
) {{clustered}};
create index push_schedule_fire_fired on push_schedule_fire (fired_at);

create table push_schedule_cid (
    app_id bigint not null,
    cid text not null,
    schedule_id text not null,
    name text not null,
    expires_at bigint not null,
    primary key (app_id, cid)
) {{clustered}};
create index push_schedule_cid_expires on push_schedule_cid (expires_at);
