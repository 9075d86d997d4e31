-- +goose Up

-- The accounts that sign only for who shows a verification. Accepting a
-- transaction looks here, in its own statement: so what one replica sets up
-- counts at once for all.
create view protected_accounts as
    select w.address from wallets w where exists (select from wallet_verifications v where v.wallet_id = w.id);
