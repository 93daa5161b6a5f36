-- Blind indexes are keyed MACs of normalised values; '' is none. Times that have not come are 0.
create table account_person_user (
    id {{serial}},
    name_sealed text not null,
    email_blind text not null,
    email_sealed text not null,
    email_at bigint not null,
    mobile_blind text not null,
    mobile_sealed text not null,
    mobile_at bigint not null,
    password_hash text not null,
    password_at bigint not null,
    state text not null,
    operator_role text not null,
    cool_until bigint not null,
    created_at bigint not null,
    revision bigint not null
);
create unique index account_person_user_email on account_person_user (email_blind) where email_blind <> '';
create unique index account_person_user_mobile on account_person_user (mobile_blind) where mobile_blind <> '';
create index account_person_user_operator on account_person_user (operator_role) where operator_role <> '';

-- Who is bound: a person or an organisation. identifier is what a register knows it by, once that was proved.
create table account_person_subject (
    id {{serial}},
    kind text not null,
    identifier_blind text not null,
    created_at bigint not null
);
create index account_person_subject_identifier on account_person_subject (identifier_blind) where identifier_blind <> '';

-- initial_* say who applied for the account first. No statement changes them.
create table account_person_account (
    id {{serial}},
    name_sealed text not null,
    kind text not null,
    subject_id bigint not null,
    initial_subject_id bigint not null,
    initial_user_id bigint not null,
    initial_sealed text not null,
    created_at bigint not null,
    revision bigint not null
);
create index account_person_account_subject on account_person_account (subject_id);

create table account_person_member (
    account_id bigint not null,
    user_id bigint not null,
    role text not null,
    invited_by bigint not null,
    expires_at bigint not null,
    joined_at bigint not null,
    primary key (account_id, user_id)
) {{clustered}};
create index account_person_member_user on account_person_member (user_id, account_id);

create table account_person_invitation (
    id {{serial}},
    account_id bigint not null,
    email_blind text not null,
    email_sealed text not null,
    role text not null,
    token_hash text not null,
    mailed boolean not null,
    invited_by bigint not null,
    member_until bigint not null,
    expires_at bigint not null,
    ended_at bigint not null,
    accepted_by bigint not null,
    created_at bigint not null
);
create unique index account_person_invitation_token on account_person_invitation (token_hash);
create index account_person_invitation_account on account_person_invitation (account_id, id);

-- Sign-ups that are not complete; purged with everything in them.
create table account_person_draft (
    id {{serial}},
    token_hash text not null,
    name_sealed text not null,
    email_blind text not null,
    email_sealed text not null,
    email_at bigint not null,
    mobile_blind text not null,
    mobile_sealed text not null,
    mobile_at bigint not null,
    invitation_id bigint not null,
    provider text not null,
    subject_sealed text not null,
    locale text not null,
    created_at bigint not null,
    expires_at bigint not null
);
create unique index account_person_draft_token on account_person_draft (token_hash);
create index account_person_draft_expires on account_person_draft (expires_at);

-- One row per address: its one live code (mac '' when there is none), and how many were asked for.
create table account_person_code (
    target_blind text not null primary key,
    purpose text not null,
    nonce text not null,
    mac text not null,
    tries bigint not null,
    sent_at bigint not null,
    expires_at bigint not null,
    day_start bigint not null,
    day_count bigint not null
);
create index account_person_code_sent on account_person_code (sent_at);

-- Attempts to reach somebody. address is masked.
create table account_person_contact (
    id {{serial}},
    user_id bigint not null,
    channel text not null,
    kind text not null,
    address text not null,
    at bigint not null,
    outcome text not null,
    receipt text not null,
    outcome_at bigint not null
);
create index account_person_contact_user on account_person_contact (user_id, id);
create index account_person_contact_at on account_person_contact (at);

create table account_person_throttle (
    target text not null primary key,
    fails bigint not null,
    failed_at bigint not null,
    until bigint not null
);
create index account_person_throttle_at on account_person_throttle (failed_at);

create table account_person_session (
    id {{serial}},
    token_hash text not null,
    user_id bigint not null,
    stage text not null,
    method text not null,
    where_sealed text not null,
    created_at bigint not null,
    seen_at bigint not null,
    proved_at bigint not null,
    expires_at bigint not null
);
create unique index account_person_session_token on account_person_session (token_hash);
create index account_person_session_user on account_person_session (user_id, id);
create index account_person_session_expires on account_person_session (expires_at);

create table account_person_login (
    id {{serial}},
    user_id bigint not null,
    at bigint not null,
    method text not null,
    outcome text not null,
    session_id bigint not null,
    where_sealed text not null
);
create index account_person_login_user on account_person_login (user_id, id);
create index account_person_login_at on account_person_login (at);

create table account_person_totp (
    user_id {{pk}},
    secret_sealed text not null,
    confirmed_at bigint not null,
    last_step bigint not null,
    created_at bigint not null
);
create table account_person_recovery_code (
    user_id bigint not null,
    mac text not null,
    primary key (user_id, mac)
) {{clustered}};

create table account_person_passkey (
    id {{serial}},
    user_id bigint not null,
    credential_id text not null,
    name text not null,
    data_sealed text not null,
    created_at bigint not null,
    used_at bigint not null
);
create unique index account_person_passkey_credential on account_person_passkey (credential_id);
create index account_person_passkey_user on account_person_passkey (user_id, id);

-- Log-ins elsewhere that log in here.
create table account_person_binding (
    id {{serial}},
    user_id bigint not null,
    provider text not null,
    subject_blind text not null,
    scopes text not null,
    created_at bigint not null
);
create unique index account_person_binding_subject on account_person_binding (provider, subject_blind);
create unique index account_person_binding_user on account_person_binding (user_id, provider);

-- Things that are begun here and come back once: challenges of passkeys and of log-ins elsewhere, links.
create table account_person_ticket (
    id {{serial}},
    kind text not null,
    token_hash text not null,
    user_id bigint not null,
    data_sealed text not null,
    created_at bigint not null,
    not_before bigint not null,
    expires_at bigint not null
);
create unique index account_person_ticket_token on account_person_ticket (token_hash);
create index account_person_ticket_user on account_person_ticket (user_id, kind);
create index account_person_ticket_expires on account_person_ticket (expires_at);

create table account_person_recovery (
    id {{serial}},
    user_id bigint not null,
    at bigint not null
);
create index account_person_recovery_user on account_person_recovery (user_id, at);

-- What was changed of a person's data. old_sealed ends with the time in which "not me" can bring it back.
create table account_person_change (
    id {{serial}},
    user_id bigint not null,
    field text not null,
    old_masked text not null,
    new_masked text not null,
    old_sealed text not null,
    actor text not null,
    where_sealed text not null,
    at bigint not null
);
create index account_person_change_user on account_person_change (user_id, id);

-- Checks that what a person gave is still true.
create table account_person_check (
    id {{serial}},
    user_id bigint not null,
    source text not null,
    result text not null,
    at bigint not null
);
create index account_person_check_user on account_person_check (user_id, id);
create table account_person_check_due (
    user_id {{pk}},
    due_at bigint not null
);
create index account_person_check_due_at on account_person_check_due (due_at);

create table account_person_token (
    id {{serial}},
    user_id bigint not null,
    account_id bigint not null,
    name text not null,
    token_hash text not null,
    scopes text not null,
    created_at bigint not null,
    expires_at bigint not null,
    ended_at bigint not null,
    used_at bigint not null,
    where_sealed text not null
);
create unique index account_person_token_hash on account_person_token (token_hash);
create index account_person_token_user on account_person_token (user_id, account_id);
create index account_person_token_account on account_person_token (account_id, id);
