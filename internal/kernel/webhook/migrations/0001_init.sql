-- A request that a receiver has not answered with success yet. state: 1 waiting, 2 dead. due_at of a leased one is the end of
-- its lease. claims rises with every claim: who settles a delivery proves with it that nobody took it meanwhile.
create table webhook_delivery (
    id text not null,
    kind text not null,
    owner bigint not null,
    host text not null,
    url text not null,
    basic boolean not null,
    size bigint not null,
    state bigint not null,
    leased boolean not null,
    claims bigint not null,
    attempts bigint not null,
    created_at bigint not null,
    due_at bigint not null,
    last_at bigint not null,
    last_status bigint not null,
    last_error text not null,
    primary key (id)
) {{clustered}};
create index webhook_delivery_due on webhook_delivery (host, due_at, id) where state = 1;
create index webhook_delivery_load on webhook_delivery (owner, host, size) where state = 1;
create index webhook_delivery_dead on webhook_delivery (owner, last_at, id) where state = 2;
create index webhook_delivery_owner on webhook_delivery (owner, kind, id);

-- Bodies stand apart, so that claims and retries do not write them again.
create table webhook_body (
    id text not null primary key,
    body {{blob}} not null
);
