-- An accepted push. state: 1 live, 2 done (everything owed was settled by expiry or nothing is owed).
create table push_message (
    msg_id {{pk}},
    app_id bigint not null,
    state bigint not null,
    wide boolean not null,
    everybody boolean not null,
    online_only boolean not null,
    targets bigint not null,
    override_id bigint not null,
    send_no bigint not null,
    accepted_at bigint not null,
    expires_at bigint not null,
    payload {{blob}} not null
);
create index push_message_accepted on push_message (accepted_at);
create index push_message_live on push_message (expires_at) where state = 1;
create index push_message_wide on push_message (app_id, accepted_at) where wide;

-- One row for each target of a message with at most 1,000. Times are 0 until it happened; settled is an Outcome.
create table push_target (
    msg_id bigint not null,
    ordinal bigint not null,
    app_id bigint not null,
    platform bigint not null,
    settled bigint not null default 0,
    sent_at bigint not null default 0,
    delivered_at bigint not null default 0,
    displayed_at bigint not null default 0,
    clicked_at bigint not null default 0,
    primary key (msg_id, ordinal)
) {{clustered}};
create index push_target_owed on push_target (app_id, ordinal, msg_id) where settled = 0;

-- The sets of a wide message, one row for each 65,536 ordinals. part is the platform for the target set, else 0.
create table push_set (
    msg_id bigint not null,
    stage bigint not null,
    part bigint not null,
    chunk bigint not null,
    bits {{blob}} not null,
    primary key (msg_id, stage, part, chunk)
) {{clustered}};

create table push_cid (
    app_id bigint not null,
    cid text not null,
    msg_id bigint not null,
    send_no bigint not null,
    expires_at bigint not null,
    primary key (app_id, cid)
) {{clustered}};
create index push_cid_expires on push_cid (expires_at);

-- Up to when the accepted messages of a partition are known to have been handed to the edges.
create table push_partition (
    partition_no bigint primary key,
    released_to bigint not null
);
