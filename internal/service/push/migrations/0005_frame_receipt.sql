-- receipt_no: the number that the sender gave the frame to hear what became of it, 0 for one that nobody asks about.
alter table push_frame add column receipt_no bigint not null default 0;
