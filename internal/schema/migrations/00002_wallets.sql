-- +goose Up

-- A mnemonic that wallets are derived from, named by the address of its master
-- key: rows of another mnemonic are never taken for ours. The row's lock makes
-- those who give out indexes wait for each other.
create table wallet_vaults (
    vault      bytea  primary key check (octet_length(vault) = 20),
    next_index bigint not null default 0 check (next_index >= 0)
);

-- An end user's account. An index is never given out twice, and its row never goes.
create table wallets (
    id              uuid        primary key,
    vault           bytea       not null references wallet_vaults,
    wallet_index    bigint      not null check (wallet_index between 0 and 2147483647), -- BIP-32: not hardened
    name            text        not null,
    address         bytea       not null unique check (octet_length(address) = 20),
    derivation_path text        not null,
    created_at      timestamptz not null default now(),
    unique (vault, wallet_index)
);

create type verification_type as enum ('PINCODE', 'OTP', 'SECRET_CODES');

-- Something its user must show before the wallet signs. What can be hashed is
-- hashed; what the check needs in clear is sealed with a key that is not here.
create table wallet_verifications (
    id           uuid              primary key,
    wallet_id    uuid              not null references wallets on delete cascade,
    type         verification_type not null,
    name         text              not null,
    salt         text              not null,
    sealed       bytea,                                            -- PINCODE: sha256(salt, pin); OTP: the key (AES-256-GCM)
    hashes       bytea[],                                          -- SECRET_CODES: the codes not yet used (argon2id)
    otp          jsonb,                                            -- algorithm, digits, period
    last_step    bigint            not null default 0,             -- OTP: no code of this time step or before is taken
    failures     integer           not null default 0,
    locked_until timestamptz,
    created_at   timestamptz       not null default now(),
    check ((type = 'SECRET_CODES') = (hashes is not null)),
    check ((type = 'SECRET_CODES') = (sealed is null)),
    check ((type = 'OTP') = (otp is not null))
);

create index wallet_verifications_by_wallet on wallet_verifications (wallet_id);

-- A question to a user; the row goes with its right answer.
create table wallet_challenges (
    id              uuid        primary key,
    verification_id uuid        not null references wallet_verifications on delete cascade,
    secret          text        not null,
    created_at      timestamptz not null default now(),
    expires_at      timestamptz not null
);

create index wallet_challenges_by_verification on wallet_challenges (verification_id, created_at);

-- What callers of eth_sendTransaction may ask for besides.
alter table transactions
    add column asked_nonce    bigint check (asked_nonce >= 0), -- refused unless it is the sender's next
    add column authorizations jsonb;                           -- EIP-7702
