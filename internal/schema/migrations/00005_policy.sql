-- +goose Up

-- What was done, asked for and refused: a chain of rows, each with the hash of
-- the one before. The head is the row that writers lock, so that the chain has
-- one order whatever the number of replicas.
create table audit_log (
    seq       bigint      primary key check (seq > 0),
    at        timestamptz not null,
    tenant_id text        not null,
    actor     text        not null, -- who, as policies name callers
    key_id    text        not null, -- the API key, '' for none
    address   text        not null, -- where the request came from, '' for nowhere
    action    text        not null,
    object    text        not null,
    decision  text        not null,
    detail    text        not null, -- JSON, as it was hashed
    previous  bytea       not null check (octet_length(previous) = 32),
    hash      bytea       not null check (octet_length(hash) = 32)
);

create index audit_log_by_tenant on audit_log (tenant_id, seq);
create index audit_log_by_time on audit_log (at);

create table audit_head (
    only_row boolean primary key default true check (only_row),
    seq      bigint  not null,
    hash     bytea   not null check (octet_length(hash) = 32)
);

insert into audit_head (seq, hash) values (0, decode(repeat('00', 32), 'hex'));

-- The last row of what was pruned: the chain goes on from there.
create table audit_checkpoints (
    seq       bigint      primary key check (seq > 0),
    hash      bytea       not null check (octet_length(hash) = 32),
    pruned_at timestamptz not null default now()
);

-- +goose StatementBegin
create function refuse_audit_change() returns trigger language plpgsql as $$
begin
    -- Pruning says so for its own SQL transaction. This keeps mistakes out, not
    -- the owner of the database: against him there is the chain.
    if tg_op = 'DELETE' and current_setting('slipway.audit_prune', true) = 'on' then
        return old;
    end if;
    raise exception '% is append-only', tg_table_name using errcode = 'insufficient_privilege';
end $$;
-- +goose StatementEnd

create trigger audit_log_append_only before update or delete on audit_log
    for each row execute function refuse_audit_change();
create trigger audit_log_no_truncate before truncate on audit_log
    for each statement execute function refuse_audit_change();

-- Keys of callers. Only the hash is kept; the id is the part that may be shown.
create table api_keys (
    id         text        primary key,
    hash       bytea       not null check (octet_length(hash) = 32),
    tenant_id  text        not null,
    name       text        not null, -- of the caller; keys with one name are rotations of each other
    roles      text[]      not null check (cardinality(roles) > 0),
    created_at timestamptz not null default now(),
    created_by text        not null,
    expires_at timestamptz,
    revoked_at timestamptz
);

create index api_keys_by_name on api_keys (tenant_id, name);

-- What windows of policies have let through, in buckets of a sixtieth of their
-- period. Writers hold an advisory lock of the key.
create table policy_usage (
    key      text        not null,
    bucket   bigint      not null, -- number of the bucket since the epoch
    ends_at  timestamptz not null, -- when it counts no more
    count    bigint      not null,
    value    numeric     not null,
    gas      numeric     not null,
    primary key (key, bucket)
);

create index policy_usage_by_end on policy_usage (ends_at);

-- Transactions that wait, or waited, for people to agree.
create table approvals (
    tx_id      uuid        primary key references transactions,
    submitter  text        not null,
    needs      jsonb       not null,
    created_at timestamptz not null default now()
);

create table approval_votes (
    tx_id    uuid        not null references approvals,
    approver text        not null,
    approves boolean     not null,
    reason   text,
    at       timestamptz not null default now(),
    primary key (tx_id, approver)
);

create index transactions_waiting_for_approval on transactions (tenant_id, seq) where status = 'suspended' and substatus = 'needs_approval';
