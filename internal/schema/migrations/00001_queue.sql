-- +goose Up

-- A chain the signer works on. The genesis hash is pinned at the first contact
-- with a node; a node that shows another one is another chain.
create table chains (
    chain_id     bigint primary key check (chain_id > 0),
    genesis_hash bytea check (octet_length(genesis_hash) = 32),
    pinned_at    timestamptz
);

create type sender_state as enum ('active', 'paused', 'draining', 'halted');

-- An account that signs. One replica at a time holds its lease; only the holder
-- of the current epoch may move next_nonce. All lease times are the database's.
create table senders (
    chain_id     bigint       not null references chains,
    address      bytea        not null check (octet_length(address) = 20),
    key_ref      text         not null,
    state        sender_state not null default 'active',
    state_reason text,
    next_nonce   bigint       not null default 0 check (next_nonce >= 0),
    contacted_at timestamptz,                                              -- null until the chain was asked for the first nonce
    lease_owner  uuid,
    lease_epoch  bigint       not null default 0,
    lease_until  timestamptz,
    window_size  integer      not null default 150 check (window_size > 0), -- most open slots at a time
    low_water    bigint       not null default 0,                          -- every nonce below is final
    primary key (chain_id, address),
    check (low_water <= next_nonce)
);

create type transaction_status as enum (
    'queued', 'signed', 'submitted', 'mined', -- on the way
    'confirmed', 'reverted',                  -- ended on the chain
    'rejected', 'cancelled', 'expired',       -- ended before a nonce existed
    'failed',                                 -- its nonce was used by somebody else
    'suspended');                             -- kept back by an operator

-- A business transaction: what was asked for, and where it stands.
create table transactions (
    id              uuid               primary key,
    seq             bigint             not null generated always as identity, -- order of acceptance
    tenant_id       text               not null default 'default',
    chain_id        bigint             not null,
    sender          bytea              not null,
    status          transaction_status not null default 'queued',
    substatus       text,
    priority        smallint           not null default 0,
    created_at      timestamptz        not null default now(),
    updated_at      timestamptz        not null default now(),
    not_after       timestamptz,                                       -- expires if it has no nonce by then
    recipient       bytea              check (octet_length(recipient) = 20), -- null: contract creation
    value           numeric(78)        not null check (value >= 0),
    data            bytea              not null,
    gas             bigint             check (gas > 0),                -- null: estimated
    fees            jsonb,                                             -- null: chosen by the fee policy
    access_list     jsonb,
    idem_key        text               check (octet_length(idem_key) between 1 and 128),
    req_hash        bytea              not null check (octet_length(req_hash) = 32),
    reference       text,
    policy_decision jsonb,
    error           jsonb,
    correlation     jsonb,
    version         integer            not null default 0,
    foreign key (chain_id, sender) references senders,
    check ((status in ('rejected', 'failed')) = (error is not null))
);

create unique index transactions_seq on transactions (seq);
create unique index transactions_idem_key on transactions (tenant_id, idem_key) where idem_key is not null;
create index transactions_queued on transactions (chain_id, sender, priority desc, seq) where status = 'queued';
create index transactions_by_sender on transactions (chain_id, sender, seq);
create index transactions_by_reference on transactions (tenant_id, reference) where reference is not null;

-- Which moves exist is stated once more here, so that a fault in the program
-- fails loudly instead of rewriting history.
-- +goose StatementBegin
create function check_transaction_move() returns trigger language plpgsql as $$
begin
    if new.status = old.status
       or (old.status, new.status) in (
            ('queued', 'signed'), ('queued', 'rejected'), ('queued', 'cancelled'), ('queued', 'expired'), ('queued', 'suspended'),
            ('suspended', 'queued'), ('suspended', 'cancelled'), ('suspended', 'expired'),
            ('signed', 'submitted'), ('signed', 'mined'), ('signed', 'confirmed'), ('signed', 'reverted'), ('signed', 'cancelled'), ('signed', 'failed'),
            ('submitted', 'mined'), ('submitted', 'confirmed'), ('submitted', 'reverted'), ('submitted', 'cancelled'), ('submitted', 'failed'),
            ('mined', 'submitted'), ('mined', 'confirmed'), ('mined', 'reverted'), ('mined', 'cancelled'), ('mined', 'failed'))
    then
        return new;
    end if;
    raise exception 'transaction %: no move from % to %', old.id, old.status, new.status using errcode = 'check_violation';
end $$;
-- +goose StatementEnd

create trigger transactions_move before update of status on transactions
    for each row execute function check_transaction_move();

create type slot_kind as enum ('tx', 'filler');
create type slot_state as enum ('open', 'mined', 'final', 'stolen');

-- A nonce that was given out. It exists only together with signed bytes.
create table nonce_slots (
    chain_id   bigint     not null,
    sender     bytea      not null,
    nonce      bigint     not null check (nonce >= 0),
    tx_id      uuid       references transactions,
    kind       slot_kind  not null default 'tx',
    state      slot_state not null default 'open',
    final_hash bytea      check (octet_length(final_hash) = 32),
    primary key (chain_id, sender, nonce),
    foreign key (chain_id, sender) references senders,
    check ((kind = 'tx') = (tx_id is not null)),
    check (state not in ('mined', 'final') or final_hash is not null)
);

-- At most one live slot for a business transaction: the second half of "at most once".
create unique index nonce_slots_live on nonce_slots (tx_id) where tx_id is not null and state <> 'stolen';
create index nonce_slots_unfinished on nonce_slots (chain_id, sender, nonce) where state in ('open', 'mined');

create type attempt_purpose as enum ('original', 'bump', 'cancel', 'filler');

-- Signed bytes for a slot, stored before they may leave.
create table attempts (
    id            bigint          primary key generated always as identity,
    chain_id      bigint          not null,
    sender        bytea           not null,
    nonce         bigint          not null,
    seq           smallint        not null default 0,
    purpose       attempt_purpose not null default 'original',
    raw           bytea           not null,
    hash          bytea           not null unique check (octet_length(hash) = 32),
    fees          jsonb           not null,
    signed_at     timestamptz     not null default now(),
    first_sent_at timestamptz,
    last_sent_at  timestamptz,
    send_count    integer         not null default 0,
    last_code     integer,
    last_message  text,
    unique (chain_id, sender, nonce, seq),
    foreign key (chain_id, sender, nonce) references nonce_slots
);

-- What the chain says became of a transaction.
create table receipts (
    tx_id               uuid        primary key references transactions,
    hash                bytea       not null check (octet_length(hash) = 32),
    block_number        bigint      not null,
    block_hash          bytea       not null check (octet_length(block_hash) = 32),
    status              smallint    not null check (status in (0, 1)),
    gas_used            bigint      not null,
    effective_gas_price numeric(78),
    contract            bytea       check (octet_length(contract) = 20),
    revert_data         bytea,
    revert_decoded      jsonb,
    final               boolean     not null,
    recorded_at         timestamptz not null default now()
);

-- The history of every transaction: appended, never changed.
create table tx_events (
    id    bigint      primary key generated always as identity,
    tx_id uuid        not null references transactions,
    at    timestamptz not null default now(),
    type  text        not null,
    data  jsonb
);

create index tx_events_by_transaction on tx_events (tx_id, id);

-- +goose StatementBegin
create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name using errcode = 'insufficient_privilege';
end $$;
-- +goose StatementEnd

create trigger tx_events_append_only before update or delete on tx_events
    for each row execute function refuse_change();
