-- +goose Up

-- The custom errors of the ABI that came with a transaction, as signatures: they
-- explain a revert. In a table of their own, since few transactions have them
-- and the queue never reads them.
create table transaction_errors (
    tx_id  uuid  primary key references transactions,
    errors jsonb not null check (jsonb_typeof(errors) = 'array')
);

-- Where revert_data comes from: the receipt, or the call replayed at the block
-- before.
alter table receipts add column revert_source text check (revert_source in ('receipt', 'replay'));

-- Keys that an operator turned off, wherever they live. All replicas look here.
create table disabled_keys (
    address     bytea       primary key check (octet_length(address) = 20),
    disabled_at timestamptz not null default now()
);
