-- +goose Up

-- What the users of wallets agreed to: the response to a challenge is used up by a
-- request with an idempotency key, and the same request of the same caller needs no
-- other one. Written with the use of the response.
create table wallet_proofs (
    tenant_id text        not null,
    idem_key  text        not null,
    req_hash  bytea       not null check (octet_length(req_hash) = 32),
    actor     text        not null, -- who asked, as policies name callers
    proved_at timestamptz not null,
    primary key (tenant_id, idem_key, req_hash, actor)
);

-- Accounts that an operator made as keys of the tenant itself: they are derived like
-- wallets, and are nobody's wallet.
alter table wallets add column is_key boolean not null default false;
