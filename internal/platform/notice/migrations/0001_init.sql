-- Templates are immutable once reviewed; a change is a new version. state: 1 draft, 2 reviewed, 3 retired.
create table notice_template (
    code text not null,
    version bigint not null,
    state bigint not null,
    body text not null,
    hash text not null,
    author text not null,
    created_at bigint not null,
    reviewer text not null,
    reviewed_at bigint not null,
    primary key (code, version)
) {{clustered}};

-- state: 1 its recipients are being written, 2 accepted, 3 released. fence rises with every attempt to write the recipients. texts is sealed.
create table notice_notice (
    id text not null primary key,
    caller_key text not null,
    code text not null,
    version bigint not null,
    class text not null,
    category text not null,
    channels text not null,
    fallback text not null,
    acknowledge boolean not null,
    state bigint not null,
    fence bigint not null,
    request_hash text not null,
    audience_hash text not null,
    content_hash text not null,
    texts text not null,
    recipients bigint not null,
    released bigint not null,
    actor text not null,
    created_at bigint not null,
    accepted_at bigint not null,
    expires_at bigint not null
);
create unique index notice_notice_key on notice_notice (caller_key);
create index notice_notice_open on notice_notice (state, created_at) where state < 3;
create index notice_notice_age on notice_notice (class, created_at);

-- One row for each person a notice goes to; it is also the message in their in-site box. visible_at 0: not in the box. deemed_at 0: not handed over.
create table notice_recipient (
    id {{serial}},
    notice_id text not null,
    n bigint not null,
    user_id bigint not null,
    account_id bigint not null,
    owner boolean not null,
    locale text not null,
    email text not null,
    email_blind text not null,
    email_masked text not null,
    mobile text not null,
    mobile_masked text not null,
    word text not null,
    category text not null,
    acknowledge boolean not null,
    insite boolean not null,
    visible_at bigint not null,
    read_at bigint not null,
    acked_at bigint not null,
    deemed_at bigint not null,
    deemed_date text not null
);
create unique index notice_recipient_n on notice_recipient (notice_id, n);
create index notice_recipient_box on notice_recipient (user_id, visible_at, id) where visible_at > 0;
create index notice_recipient_unread on notice_recipient (user_id, category, acknowledge) where visible_at > 0 and read_at = 0;
create index notice_recipient_unacked on notice_recipient (user_id) where visible_at > 0 and acknowledge and acked_at = 0;
create index notice_recipient_account on notice_recipient (account_id, id);
create index notice_recipient_user on notice_recipient (user_id, id);
create index notice_recipient_email on notice_recipient (email_blind, id) where email_blind <> '';

-- One row for each channel that a recipient is told on, other than the in-site box. state: 0 prepared, 1 waiting, 2 sent, 3 failed, 4 bounced,
-- 5 suppressed, 6 expired, 7 unsure. due_at of a leased one is the end of its lease; claims is the fence.
create table notice_delivery (
    id {{serial}},
    notice_id text not null,
    recipient_id bigint not null,
    channel text not null,
    fallback boolean not null,
    state bigint not null,
    leased boolean not null,
    claims bigint not null,
    attempts bigint not null,
    created_at bigint not null,
    due_at bigint not null,
    last_at bigint not null,
    sent_at bigint not null,
    settled_at bigint not null,
    bounced_at bigint not null,
    code text not null,
    reason text not null,
    bounce text not null
);
create unique index notice_delivery_recipient on notice_delivery (recipient_id, channel);
create index notice_delivery_due on notice_delivery (channel, due_at, id) where state = 1;
create index notice_delivery_notice on notice_delivery (notice_id, state);

-- What a user decided about classes that are not mandatory.
create table notice_preference (
    user_id bigint not null,
    class text not null,
    channel text not null,
    wanted boolean not null,
    changed_at bigint not null,
    primary key (user_id, class, channel)
) {{clustered}};
