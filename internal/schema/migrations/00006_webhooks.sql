-- +goose Up

-- Somebody who is told of events by HTTP.
create table webhooks (
    id          uuid        primary key,
    tenant_id   text        not null default 'default',
    chain_id    bigint      not null references chains,
    url         text        not null check (octet_length(url) between 1 and 2048),
    description text        not null default '',
    types       text[]      not null default '{}', -- of events; empty: all
    senders     bytea[]     not null default '{}', -- empty: all
    active      boolean     not null default true,
    failures    integer     not null default 0,    -- attempts in a row that failed
    created_at  timestamptz not null default now(),
    updated_at  timestamptz not null default now()
);

create index webhooks_by_tenant on webhooks (tenant_id, chain_id, created_at);

-- What deliveries are signed with, sealed with a key that is not here. Two at a
-- time, so that a receiver can change from one to the next.
create table webhook_secrets (
    id         uuid        primary key,
    webhook_id uuid        not null references webhooks on delete cascade,
    place      smallint    not null check (place in (1, 2)),
    sealed     bytea       not null,
    created_at timestamptz not null default now(),
    unique (webhook_id, place)
);

-- How far the history has been turned into deliveries; one row, whose lock says
-- which replica does it.
create table webhook_feed (
    one      boolean primary key default true check (one),
    position bigint  not null
);

insert into webhook_feed (position) select coalesce(max(id), 0) from tx_events;

create type delivery_state as enum ('pending', 'delivered', 'dead');

-- One event for one webhook.
create table webhook_deliveries (
    id          uuid           primary key,
    webhook_id  uuid           not null references webhooks on delete cascade,
    event_id    bigint         not null,
    tx_id       uuid           not null,
    type        text           not null,
    body        bytea          not null,
    state       delivery_state not null default 'pending',
    blocked     boolean        not null default false, -- an earlier event of the same transaction is pending
    attempts    integer        not null default 0,     -- also the fence: only the latest attempt may report
    next_at     timestamptz    not null default now(), -- not tried before; while it is tried, the end of the lease
    since       timestamptz    not null default now(), -- what the time to give up counts from
    last_status integer,
    last_error  text,
    created_at  timestamptz    not null default now(),
    ended_at    timestamptz,
    unique (webhook_id, event_id),
    check ((state = 'pending') = (ended_at is null))
);

create index webhook_deliveries_due on webhook_deliveries (webhook_id, next_at) where state = 'pending' and not blocked;
create index webhook_deliveries_lane on webhook_deliveries (webhook_id, tx_id, event_id) where state = 'pending';
create index webhook_deliveries_dead on webhook_deliveries (webhook_id, event_id) where state = 'dead';
create index webhook_deliveries_ended on webhook_deliveries (state, ended_at) where state <> 'pending';
