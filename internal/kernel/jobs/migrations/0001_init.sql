-- A job that has not been done. run_at is the time it was asked for. due_at is when it may be taken: run_at, the next
-- attempt, or, while it runs, the end of the lease. token rises with every take, generation with every replacement.
create table jobs_job (
    id {{serial}},
    kind text not null,
    job_key text not null,
    args {{blob}} not null,
    run_at bigint not null,
    due_at bigint not null,
    running boolean not null default false,
    attempts bigint not null default 0,
    deaths bigint not null default 0,
    token bigint not null default 0,
    generation bigint not null default 0,
    last_error text not null default ''
);
create unique index jobs_job_key on jobs_job (kind, job_key);
create index jobs_job_due on jobs_job (kind, due_at);
