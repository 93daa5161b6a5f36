create table audience_head (app_id {{pk}}, pos bigint not null, next_tag bigint not null);
create table audience_log (app_id bigint not null, pos bigint not null, at bigint not null, ordinal bigint not null, change {{blob}} not null, primary key (app_id, pos)) {{clustered}};
create table audience_tag (app_id bigint not null, id bigint not null, name text not null, primary key (app_id, id)) {{clustered}};
create unique index audience_tag_name on audience_tag (app_id, name);
