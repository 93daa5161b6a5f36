-- An event waits here once for each consumer, until the consumer's effect has committed.
create table outbox_event (
    id {{serial}},
    consumer text not null,
    topic text not null,
    payload {{blob}} not null,
    attempts bigint not null default 0,
    not_before bigint not null default 0
);
create index outbox_event_consumer on outbox_event (consumer, id);
