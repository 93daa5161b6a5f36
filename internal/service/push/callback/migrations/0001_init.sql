-- What is still to be told to a receiver: one row for each fact, however many devices it concerns. url is empty for the address in
-- the app's settings. devices is a list or a set of ordinals (devices.go); those below next_ordinal are told already, waiting
-- records are left. size is the bytes of params and devices.
create table push_callback (
    id {{serial}},
    app_id bigint not null,
    url text not null,
    msg_id bigint not null,
    send_no bigint not null,
    kind bigint not null,
    platform bigint not null,
    channel text not null,
    reason text not null,
    at bigint not null,
    params {{blob}} not null,
    devices {{blob}} not null,
    next_ordinal bigint not null,
    waiting bigint not null,
    size bigint not null,
    created_at bigint not null
);
create index push_callback_queue on push_callback (app_id, url, id, size);
