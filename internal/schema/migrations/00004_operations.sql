-- +goose Up

-- What an operator wants done with a transaction that has a nonce already. Only
-- the sender's driver touches its slots; it reads the wish and fulfils it.
create type transaction_wish as enum ('cancel', 'speed_up');

alter table transactions
    add column wish       transaction_wish,
    add column wish_fees  jsonb,          -- prices asked for; null: chosen by the fee policy
    add column redrive_of uuid references transactions;

create index transactions_wishes on transactions (chain_id, sender) where wish is not null;
create index transactions_queued_by_tenant on transactions (tenant_id) where status = 'queued';

-- Which replicas live: each drives its share of the senders.
create table replicas (
    id       uuid        primary key,
    chain_id bigint      not null references chains,
    seen_at  timestamptz not null default now()
);
