create table agreement_set (
    code text primary key,
    kind text not null,
    service text not null,
    revision bigint not null,
    created_at bigint not null
);
create table agreement_text (
    hash text primary key,
    canonical text not null,
    created_at bigint not null
);
create table agreement_document (
    id {{serial}},
    code text not null,
    version text not null,
    set_code text not null,
    class text not null,
    place bigint not null,
    hash text not null,
    stage text not null,
    author text not null,
    reviewer text not null,
    created_at bigint not null,
    updated_at bigint not null,
    reviewed_at bigint not null
);
create unique index agreement_document_label on agreement_document (code, version);
create table agreement_translation (
    id {{serial}},
    document bigint not null,
    locale text not null,
    source text not null,
    hash text not null,
    author text not null,
    created_at bigint not null
);
create index agreement_translation_document on agreement_translation (document, locale, id);
create table agreement_edition (
    id {{serial}},
    set_code text not null,
    number bigint not null,
    hash text not null,
    manifest text not null,
    class text not null,
    commercial boolean not null,
    terms text not null,
    announced_by text not null,
    announced_at bigint not null,
    effective_at bigint not null,
    withdrawn_at bigint not null,
    told_at bigint not null
);
create unique index agreement_edition_number on agreement_edition (set_code, number);
create unique index agreement_edition_hash on agreement_edition (hash);
create table agreement_member (
    edition bigint not null,
    place bigint not null,
    document bigint not null,
    primary key (edition, place)
);
create index agreement_member_document on agreement_member (document);
create table agreement_acceptance (
    id {{serial}},
    account bigint not null,
    app bigint not null,
    set_code text not null,
    edition bigint not null,
    number bigint not null,
    edition_hash text not null,
    state text not null,
    locale text not null,
    person bigint not null,
    offered_at bigint not null,
    decided_at bigint not null,
    binds_from bigint not null,
    read_only_from bigint not null,
    exit_until bigint not null,
    event text not null,
    proof text not null,
    origin text not null,
    origin_digest text not null,
    mac text not null
);
create index agreement_acceptance_account on agreement_acceptance (account, set_code, app, number);
create unique index agreement_acceptance_accepted on agreement_acceptance (account, app, edition)
    where state in ('accepted_click', 'accepted_continued_use');
create unique index agreement_acceptance_open on agreement_acceptance (account, app, edition) where state = 'offered';
create index agreement_acceptance_offered on agreement_acceptance (set_code, number) where state = 'offered';
create index agreement_acceptance_exit on agreement_acceptance (exit_until) where exit_until > 0;
create table agreement_choice (
    id {{serial}},
    account bigint not null,
    set_code text not null,
    number bigint not null,
    code text not null,
    granted boolean not null,
    person bigint not null,
    at bigint not null
);
create index agreement_choice_account on agreement_choice (account, code, id);
create table agreement_end (
    id {{serial}},
    account bigint not null,
    at bigint not null,
    until bigint not null
);
create index agreement_end_account on agreement_end (account);
create table agreement_precedence (
    id {{serial}},
    topic text not null,
    codes text not null,
    reason text not null,
    actor text not null,
    at bigint not null
);
create index agreement_precedence_topic on agreement_precedence (topic, id);
create table agreement_refusal (
    set_code text not null,
    number bigint not null,
    day text not null,
    count bigint not null,
    primary key (set_code, number, day)
);
