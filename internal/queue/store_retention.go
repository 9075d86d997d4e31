package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// forgotten is what one step through old rows did.
type forgotten struct {
	// Next is where the next step begins; 0 when this was the last one, or when
	// another replica is at it.
	Next int64
	// Transactions is the number of transactions that are gone.
	Transactions int64
}

// ForgetTransactions looks at the next transactions behind a sequence number, up to
// limit, and deletes those that ended before keep ago and that nothing needs any
// more. Those that were tried once more go together with all that came of them: as
// long as one is there, asking again finds it. One replica works at a time.
func (s *Store) ForgetTransactions(ctx context.Context, after int64, keep time.Duration, limit int) (forgotten, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	var out forgotten
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var isMine bool
		if err := tx.QueryRow(ctx, `
			select pg_try_advisory_xact_lock(hashtextextended('retention ' || $1::bigint, 0)), set_config('slipway.retention', 'on', true), `+byIndex, s.chainID).
			Scan(&isMine, nil, nil); err != nil || !isMine {
			return err
		}
		var old int
		if err := tx.QueryRow(ctx, `
			select coalesce(max(seq), 0), count(*) from (select seq, created_at from transactions where seq > @after order by seq limit @limit) page
			where created_at < now() - @keep::interval`,
			pgx.NamedArgs{"after": after, "keep": keep, "limit": limit}).Scan(&out.Next, &old); err != nil || old == 0 {
			return err
		}
		ids, err := s.forgettable(ctx, tx, after, out.Next, keep)
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, sql := range forgetStatements() {
			tag, err := tx.Exec(ctx, sql, ids)
			if err != nil {
				return err
			}
			out.Transactions = tag.RowsAffected() // the last statement's
		}
		return nil
	})
	if err != nil {
		return forgotten{}, fmt.Errorf("delete old transactions: %w", storeError(err))
	}
	return out, nil
}

// forgettable lists what may go between two sequence numbers: what has ended for
// long, the whole of its family likewise; whose nonces and those below are final;
// and of whose events all receivers have been told.
func (s *Store) forgettable(ctx context.Context, tx pgx.Tx, after, upTo int64, keep time.Duration) ([]uuid.UUID, error) {
	rows, err := tx.Query(ctx, `
		with recursive family as (
			select id as first, id from transactions where seq > @after and seq <= @up_to and chain_id = @chain and redrive_of is null
			union all
			select f.first, t.id from family f join transactions t on t.redrive_of = f.id),
		needed as (
			select f.first from family f join transactions t on t.id = f.id
			where t.status not in ('confirmed', 'reverted', 'rejected', 'cancelled', 'expired', 'failed')
			or t.updated_at >= now() - @keep::interval
			or t.created_at >= now() - @keep::interval
			or exists (
				select from nonce_slots n where n.tx_id = t.id and n.state <> 'stolen' and (n.state <> 'final' or exists (
					select from nonce_slots o where o.chain_id = n.chain_id and o.sender = n.sender and o.nonce < n.nonce and o.state in ('open', 'mined'))))
			or exists (select from tx_events e where e.tx_id = t.id and e.id > (select position from webhook_feed))
			or exists (
				select from tx_events e cross join webhooks w join webhook_deliveries d on d.webhook_id = w.id and d.event_id = e.id
				where e.tx_id = t.id and d.state <> 'delivered'))
		select id from family where first not in (select first from needed)`,
		pgx.NamedArgs{"after": after, "up_to": upTo, "chain": s.chainID, "keep": keep})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
}

// forgetStatements delete transactions, what belongs to them first. A proof of a
// wallet's user counts as long as the transaction that it was for.
func forgetStatements() []string {
	return []string{
		`delete from attempts a using nonce_slots n
		where n.tx_id = any($1) and n.state <> 'stolen' and a.chain_id = n.chain_id and a.sender = n.sender and a.nonce = n.nonce`,
		`delete from attempts a using nonce_slots n
		where n.tx_id = any($1) and n.state = 'stolen' and a.chain_id = n.chain_id and a.sender = n.sender and a.nonce = n.nonce`,
		`delete from nonce_slots where tx_id = any($1) and state <> 'stolen'`,
		`delete from nonce_slots where tx_id = any($1) and state = 'stolen'`,
		`delete from receipts where tx_id = any($1)`,
		`delete from transaction_errors where tx_id = any($1)`,
		`delete from approval_votes where tx_id = any($1)`,
		`delete from approvals where tx_id = any($1)`,
		`delete from tx_events where tx_id = any($1)`,
		`delete from wallet_proofs p using transactions t
		where t.id = any($1) and p.tenant_id = t.tenant_id and p.idem_key = t.idem_key and p.req_hash = t.req_hash`,
		`delete from transactions where id = any($1)`,
	}
}

// ForgetProofs looks at the next proofs of wallets' users behind a time, up to about
// limit, and deletes those older than keep whose request was never accepted. It
// returns the time of the last one it looked at, or after when there was none.
func (s *Store) ForgetProofs(ctx context.Context, after time.Time, keep time.Duration, limit int) (time.Time, error) {
	rows, err := query(ctx, s, `
		with page as (
			select tenant_id, idem_key, req_hash, actor, proved_at from wallet_proofs
			where proved_at > @after and proved_at < now() - @keep::interval order by proved_at fetch first @limit rows with ties),
		gone as (
			delete from wallet_proofs p using page
			where p.tenant_id = page.tenant_id and p.idem_key = page.idem_key and p.req_hash = page.req_hash and p.actor = page.actor and p.proved_at = page.proved_at
			and not exists (select from transactions t where t.tenant_id = p.tenant_id and t.idem_key = p.idem_key and t.req_hash = p.req_hash))
		select coalesce(max(proved_at), @after) from page`,
		pgx.NamedArgs{"after": after, "keep": keep, "limit": limit}, pgx.RowTo[time.Time])
	if err != nil {
		return after, fmt.Errorf("delete old proofs: %w", err)
	}
	return rows[0], nil
}
