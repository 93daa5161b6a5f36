-- The log is only ever appended to. hash covers the row and the hash of the row before it.
create table audit_log (
    seq {{pk}},
    at bigint not null,
    actor text not null,
    action text not null,
    object text not null,
    detail text not null,
    prev text not null,
    hash text not null
);
create index audit_log_object on audit_log (object, seq);
-- One row: the end of the chain. Whoever appends updates it first, which puts appenders in a row.
create table audit_head (
    id {{pk}},
    seq bigint not null,
    hash text not null,
    check (id = 1)
);
insert into audit_head (id, seq, hash) values (1, 0, '');
