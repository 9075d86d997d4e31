-- +goose Up

-- The accounts that sign only for who shows a verification. Accepting a
-- transaction looks here, in its own statement: so what one replica sets up
-- counts at once for all.
create view protected_accounts as
    select w.address from wallets w where exists (select from wallet_verifications v where v.wallet_id = w.id);

-- An update that changes no column of any index is cheap: it stays on its page
-- and leaves all indexes alone (HOT). A status that stands in the predicate of
-- an index is such a column, so each move of a transaction was written into every
-- index. What the indexes want to know stands in columns of its own now, which do
-- not change when a signed transaction is submitted, mined and confirmed.
alter table transactions
    add column is_queued boolean not null generated always as (status = 'queued') stored,
    add column is_held   boolean not null generated always as (status = 'suspended' and substatus is not distinct from 'needs_approval') stored;

drop index transactions_queued, transactions_queued_by_tenant, transactions_waiting_for_approval;
create index transactions_queued on transactions (chain_id, sender, priority desc, seq) where is_queued;
create index transactions_queued_by_tenant on transactions (tenant_id) where is_queued;
create index transactions_waiting_for_approval on transactions (tenant_id, seq) where is_held;

-- Such an update needs room on the page: half of it for the row's next version.
alter table transactions set (fillfactor = 50);
alter table attempts set (fillfactor = 50);

-- Events are written by the statements that write their transaction, which
-- nothing ever deletes: looking it up for each event, and locking it, found
-- nothing but was a tenth of the database's work.
alter table tx_events drop constraint tx_events_tx_id_fkey;
