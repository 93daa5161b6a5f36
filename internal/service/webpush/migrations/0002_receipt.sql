-- Where an application server reads what became of its messages. subscription_id: the one whose message it was made with. last_no numbers
-- its receipts. expires_at: Unix milliseconds, moved on by use.
create table webpush_receipts (
    receipts_id {{pk}},
    subscription_id bigint not null,
    last_no bigint not null,
    expires_at bigint not null
);
create index webpush_receipts_subscription on webpush_receipts (subscription_id);
create index webpush_receipts_expires on webpush_receipts (expires_at);

-- What became of one message: delivered, or it never will be. ended_at: Unix milliseconds.
create table webpush_receipt (
    receipts_id bigint not null,
    receipt_no bigint not null,
    app_id bigint not null,
    subscription_id bigint not null,
    msg_id bigint not null,
    delivered boolean not null,
    ended_at bigint not null,
    primary key (receipts_id, receipt_no)
) {{clustered}};
create index webpush_receipt_ended on webpush_receipt (ended_at);
