-- +goose Up

-- Keys that callers had made, and orders of such keys. What is here names a key and
-- never holds one: it is in its key service, or is derived from the signer's mnemonic.
create table made_keys (
    id            uuid        primary key, -- of the order; the key service knows it, too
    tenant_id     text        not null,
    idem_key      text,                    -- null: the order is not repeated
    source        text        not null,    -- of the configuration; '' is the mnemonic, whose keys stand in wallets
    name          text        not null,
    ordered_at    timestamptz not null default now(),
    attempts      integer     not null default 0,
    claimed_until timestamptz,             -- one attempt at a time
    place         text,                    -- in the source, as soon as it is known
    key_ref       text,
    address       bytea       check (octet_length(address) = 20), -- null until the key was made
    made_at       timestamptz,
    check ((address is null) = (key_ref is null) and (address is null) = (made_at is null)),
    check (address is null or (place is not null and source <> ''))
);

create unique index made_keys_idem_key on made_keys (tenant_id, idem_key) where idem_key is not null;
create unique index made_keys_address on made_keys (address) where address is not null;
create index made_keys_by_tenant on made_keys (tenant_id, made_at) where address is not null;
