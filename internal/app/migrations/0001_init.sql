-- One row: which keys this database belongs to.
create table app_installation (
    id {{pk}},
    fingerprint text not null
);
