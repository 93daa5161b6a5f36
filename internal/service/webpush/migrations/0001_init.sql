-- vapid: the public key that senders must have, base64url, "" for any. base: what its endpoint begins with. used_at: the
-- last message, 0 for none. Times are Unix milliseconds.
create table webpush_subscription (
    subscription_id {{pk}},
    app_id bigint not null,
    ordinal bigint not null,
    instance text not null,
    vapid text not null,
    base text not null,
    created_at bigint not null,
    used_at bigint not null
);
create unique index webpush_subscription_device on webpush_subscription (app_id, ordinal, instance);
