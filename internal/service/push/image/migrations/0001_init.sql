-- kind is image_type of the API: 1 big picture, 2 large icon, 3 small icon. revision rises with every change.
create table push_image (
    media_id text primary key,
    app_id bigint not null,
    kind bigint not null,
    revision bigint not null,
    created_at bigint not null,
    expires_at bigint not null
);
create index push_image_app on push_image (app_id, expires_at);
create index push_image_expires on push_image (expires_at);

-- What one vendor's channel shows for an image. Pictures that were uploaded have an id, a blob and a content type; for
-- others these are '', 0 and ''.
create table push_image_picture (
    media_id text not null,
    vendor text not null,
    url text not null,
    picture_id text not null,
    blob_id bigint not null,
    content_type text not null,
    primary key (media_id, vendor)
) {{clustered}};
create unique index push_image_picture_id on push_image_picture (picture_id) where picture_id <> '';

-- One row for each app. Whoever makes an image updates it first, which puts those of an app in a row.
create table push_image_count (
    app_id {{pk}},
    made bigint not null
);
