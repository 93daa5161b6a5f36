-- next is the start of the block given out last; the next one starts at least a block size later.
create table id_block (
    name text primary key,
    next bigint not null
);
