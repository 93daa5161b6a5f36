-- state: 1 being written, 2 complete, 3 gone. touched_at is when it was last written to, completed or deleted.
create table blob_blob (
    id {{serial}},
    state bigint not null,
    size bigint not null,
    sha256 {{blob}} not null,
    touched_at bigint not null
);
create index blob_blob_sweep on blob_blob (touched_at) where state <> 2;

-- The bytes, in pieces numbered from 0.
create table blob_chunk (
    blob_id bigint not null,
    no bigint not null,
    data {{blob}} not null,
    primary key (blob_id, no)
);
