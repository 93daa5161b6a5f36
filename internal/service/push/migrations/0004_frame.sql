-- Frames of other services (messages of kind 2) that wait for their device. topic is "" if it has none: a frame takes the place of one with
-- the same topic in its group.
create table push_frame (
    msg_id {{pk}},
    app_id bigint not null,
    ordinal bigint not null,
    group_no bigint not null,
    topic text not null
);
create index push_frame_group on push_frame (app_id, ordinal, group_no);
