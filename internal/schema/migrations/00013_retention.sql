-- +goose Up

-- Transactions that ended long ago may be deleted, with all that was written for
-- them. What that needs of indexes is laid so that no move of a transaction and
-- no slot on its way writes into one of them.
create index transactions_redrives on transactions (redrive_of) where redrive_of is not null;
create index nonce_slots_stolen on nonce_slots (tx_id) where state = 'stolen';
create index wallet_proofs_by_time on wallet_proofs (proved_at);

-- The foreign key looked for a transaction's slots in a way that no index of them
-- serves, and an index that does would be written three times for each transaction.
-- What it promised is kept by the trigger below, in words that the two indexes
-- understand. A slot is written by the statement that moves its transaction.
alter table nonce_slots drop constraint nonce_slots_tx_id_fkey;

-- +goose StatementBegin
create function check_transaction_delete() returns trigger language plpgsql as $$
begin
    if old.status not in ('confirmed', 'reverted', 'rejected', 'cancelled', 'expired', 'failed') then
        raise exception 'transaction % has not ended', old.id using errcode = 'check_violation';
    end if;
    if exists (select from nonce_slots where tx_id = old.id and state <> 'stolen')
        or exists (select from nonce_slots where tx_id = old.id and state = 'stolen') then
        raise exception 'transaction % has a nonce', old.id using errcode = 'foreign_key_violation';
    end if;
    return old;
end $$;
-- +goose StatementEnd

create trigger transactions_delete before delete on transactions
    for each row execute function check_transaction_delete();

-- +goose StatementBegin
create or replace function refuse_change() returns trigger language plpgsql as $$
begin
    -- Deleting with the transaction says so for its own SQL transaction.
    if tg_op = 'DELETE' and current_setting('slipway.retention', true) = 'on' then
        return old;
    end if;
    raise exception '% is append-only', tg_table_name using errcode = 'insufficient_privilege';
end $$;
-- +goose StatementEnd
