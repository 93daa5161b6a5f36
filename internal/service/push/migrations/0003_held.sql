-- held: 0 our own connections reach the target, 1 a vendor's channel is to, 2 it could not and the target was returned.
alter table push_target add column held bigint not null default 0;
