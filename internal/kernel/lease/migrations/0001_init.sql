-- One row per thing that has one owner at a time. fence rises with every change of owner.
create table lease_lease (
    name text primary key,
    holder text not null,
    fence bigint not null,
    expires_at bigint not null
);
create table lease_node (
    node text primary key,
    expires_at bigint not null
);
