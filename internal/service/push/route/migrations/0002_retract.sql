-- State of a message: 3 withdrawn, and who has it is to be found, from the part after next_ordinal on; 4 these are in parts.
drop index push_route_open;
create index push_route_open on push_route (app_id, msg_id) where state in (1, 3);
