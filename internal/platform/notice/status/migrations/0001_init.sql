-- state and since are those of the last row of notice_status_change. retired_at 0: shown.
create table notice_status_component (
    code text not null primary key,
    name_zh text not null,
    name_en text not null,
    part text not null,
    third_party boolean not null,
    position bigint not null,
    state text not null,
    since bigint not null,
    created_at bigint not null,
    retired_at bigint not null
);

create table notice_status_change (
    id {{serial}},
    component text not null,
    state text not null,
    at bigint not null
);
create index notice_status_change_component on notice_status_change (component, at, id);

create table notice_status_maintenance (
    id {{serial}},
    state text not null,
    level text not null,
    texts text not null,
    start_at bigint not null,
    end_at bigint not null,
    announced_at bigint not null,
    urgent boolean not null,
    reason text not null,
    started_at bigint not null,
    ended_at bigint not null,
    incident_id bigint not null,
    created_at bigint not null
);
create index notice_status_maintenance_open on notice_status_maintenance (state, start_at);

create table notice_status_incident (
    id {{serial}},
    state text not null,
    level text not null,
    cause text not null,
    texts text not null,
    evidence text not null,
    controls text not null,
    started_at bigint not null,
    resolved_at bigint not null,
    maintenance_id bigint not null,
    created_at bigint not null
);
create index notice_status_incident_open on notice_status_incident (resolved_at, started_at);

-- kind: incident or maintenance.
create table notice_status_affected (
    kind text not null,
    ref bigint not null,
    component text not null,
    primary key (kind, ref, component)
) {{clustered}};
create index notice_status_affected_component on notice_status_affected (component, kind);

create table notice_status_update (
    id {{serial}},
    kind text not null,
    ref bigint not null,
    state text not null,
    texts text not null,
    actor text not null,
    at bigint not null
);
create index notice_status_update_ref on notice_status_update (kind, ref, id);

-- Changes of services, and when users were first told.
create table notice_status_service_change (
    id {{serial}},
    service text not null,
    kind text not null,
    planned boolean not null,
    texts text not null,
    reason text not null,
    decided_at bigint not null,
    effective_at bigint not null,
    told_at bigint not null,
    created_at bigint not null
);
create table notice_status_change_notice (
    change_id bigint not null,
    notice_id text not null,
    at bigint not null,
    primary key (change_id, notice_id)
) {{clustered}};
