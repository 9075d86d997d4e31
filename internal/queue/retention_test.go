package queue

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

const keepFor = 40 * 24 * time.Hour

// age makes transactions as old as they were after so long.
func (b *bundle) age(t *testing.T, by time.Duration, ids ...uuid.UUID) {
	t.Helper()
	b.exec(t, `update transactions set created_at = created_at - $1::interval, updated_at = updated_at - $1::interval where id = any($2)`, by, ids)
}

func (b *bundle) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	_, err := b.pool.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
}

// toldAll moves the webhooks' position to the end of the history.
func (b *bundle) toldAll(t *testing.T) {
	t.Helper()
	b.exec(t, `update webhook_feed set position = (select coalesce(max(id), 0) from tx_events)`)
}

// forget makes one pass with small steps, and counts what is gone.
func (b *bundle) forget(t *testing.T) int {
	t.Helper()
	store, gone := NewStore(b.pool, testChain), 0
	for after := int64(0); ; {
		step, err := store.ForgetTransactions(t.Context(), after, keepFor, 2)
		require.NoError(t, err)
		gone += int(step.Transactions)
		if after = step.Next; after == 0 {
			return gone
		}
	}
}

func (b *bundle) count(t *testing.T, table string) (n int) {
	t.Helper()
	require.NoError(t, b.pool.QueryRow(t.Context(), "select count(*) from "+table).Scan(&n))
	return n
}

func TestRetention_DeletesWhatEndedLongAgoWithAllThatBelongsToIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q, _ := b.start(t)
	var ids []uuid.UUID
	for _, data := range []string{"a", "fails on chain", "c", "d", "e"} {
		r := b.request(0, data)
		r.IdempotencyKey, r.ABI = "key "+data, []string{"Broke(uint256)"}
		accepted, err := q.Enqueue(t.Context(), r)
		require.NoError(t, err)
		ids = append(ids, accepted.ID)
	}
	for _, id := range ids {
		until(t, q, id, func(t Transaction) bool { return t.Status.IsEnd() })
	}
	b.exec(t, `insert into wallet_proofs select tenant_id, idem_key, req_hash, 'somebody', now() from transactions`)
	b.exec(t, `insert into approvals (tx_id, submitter, needs) select id, 's', '[]' from transactions`)
	b.exec(t, `insert into approval_votes (tx_id, approver, approves) select id, 'a', true from transactions`)
	b.age(t, keepFor+time.Minute, ids[:4]...)
	b.age(t, keepFor-time.Minute, ids[4])
	b.toldAll(t)
	before, err := q.Nonces(t.Context(), b.sender(0))
	require.NoError(t, err)

	require.Equal(t, 4, b.forget(t))

	for _, id := range ids[:4] {
		_, err := q.Get(t.Context(), "", id)
		require.ErrorIs(t, err, ErrNotFound)
		_, err = q.History(t.Context(), "", id)
		require.ErrorIs(t, err, ErrNotFound)
	}
	for _, table := range []string{"transactions", "nonce_slots", "attempts", "receipts", "transaction_errors", "approvals", "approval_votes", "wallet_proofs"} {
		require.Equal(t, 1, b.count(t, table), "rows of %s", table)
	}
	require.Equal(t, len(b.events(t, ids[4])), b.count(t, "tx_events"))
	_, err = q.Get(t.Context(), "", ids[4])
	require.NoError(t, err)

	after, err := q.Nonces(t.Context(), b.sender(0))
	require.NoError(t, err)
	require.Equal(t, before.NextNonce, after.NextNonce)
	require.Equal(t, before.LowWater, after.LowWater)
	require.Empty(t, after.Slots)
	next := until(t, q, b.enqueue(t, q, 0, "next"), hasStatus(StatusConfirmed))
	require.EqualValues(t, len(ids), *next.Nonce, "nonces go on")

	again := b.request(0, "c")
	again.IdempotencyKey, again.ABI = "key c", []string{"Broke(uint256)"}
	anew, err := q.Enqueue(t.Context(), again)
	require.NoError(t, err)
	require.False(t, anew.Replayed, "its promise is over")
	kept := b.request(0, "e")
	kept.IdempotencyKey = "key e"
	replay, err := q.Enqueue(t.Context(), kept)
	require.NoError(t, err)
	require.True(t, replay.Replayed)
}

func TestRetention_KeepsWhatIsNeeded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q, _ := b.start(t)
	id := until(t, q, b.enqueue(t, q, 0, "done"), hasStatus(StatusConfirmed)).ID
	b.exec(t, `insert into webhooks (id, chain_id, url) values ($1, $2, 'https://x')`, uuid.New(), testChain)
	b.age(t, keepFor+time.Minute, id)

	require.Zero(t, b.forget(t), "nobody has looked for webhooks to tell")
	b.toldAll(t)
	b.exec(t, `
		insert into webhook_deliveries (id, webhook_id, event_id, tx_id, type, body)
		select gen_random_uuid(), w.id, e.id, e.tx_id, e.type, '' from webhooks w, tx_events e where e.type = 'confirmed'`)
	require.Zero(t, b.forget(t), "a delivery is pending")
	b.exec(t, `update webhook_deliveries set state = 'dead', ended_at = now()`)
	require.Zero(t, b.forget(t), "a delivery can be repeated")
	b.exec(t, `update webhook_deliveries set state = 'delivered'`)
	b.exec(t, `update nonce_slots set state = 'mined'`)
	require.Zero(t, b.forget(t), "the nonce is not final")
	b.exec(t, `update nonce_slots set state = 'final'`)
	b.exec(t, `update transactions set updated_at = now()`)
	require.Zero(t, b.forget(t), "it ended today")
	b.age(t, keepFor+time.Minute, id)
	require.Equal(t, 1, b.forget(t))
}

func TestRetention_KeepsWhatIsOnItsWayHoweverOld(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.chain.set(func(c *fakeChain) { c.dropAll = true })
	q, _ := b.start(t)
	submitted := until(t, q, b.enqueue(t, q, 0, "open"), hasStatus(StatusSubmitted)).ID
	b.age(t, 10*keepFor, submitted)
	b.toldAll(t)

	require.Zero(t, b.forget(t))
	_, err := b.pool.Exec(t.Context(), `delete from transactions where id = $1`, submitted)
	require.ErrorContains(t, err, "has not ended", "whoever asks")
	_, err = b.pool.Exec(t.Context(), `delete from tx_events`)
	require.ErrorContains(t, err, "append-only")
}

func TestRetention_AStolenNonceGoesWithItsTransaction(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.chain.set(func(c *fakeChain) { c.dropAll = true })
	q, _ := b.start(t)
	id := until(t, q, b.enqueue(t, q, 0, "robbed"), hasStatus(StatusSubmitted)).ID
	b.chain.set(func(c *fakeChain) { c.nonces[b.sender(0)] = 1; c.dropAll = false })
	until(t, q, id, hasStatus(StatusFailed))
	b.age(t, keepFor+time.Minute, id)
	b.toldAll(t)

	_, err := b.pool.Exec(t.Context(), `delete from transactions where id = $1`, id)
	require.ErrorContains(t, err, "has a nonce")
	require.Equal(t, 1, b.forget(t))
	require.Zero(t, b.count(t, "nonce_slots"))
	require.Zero(t, b.count(t, "attempts"))
	require.EqualValues(t, 1, *until(t, q, b.enqueue(t, q, 0, "next"), hasStatus(StatusConfirmed)).Nonce)
}

func TestRetention_WhatWasTriedOnceMoreGoesTogether(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q, _ := b.start(t)
	first := until(t, q, b.enqueue(t, q, 0, "fails on chain"), hasStatus(StatusReverted)).ID
	second, err := q.Redrive(t.Context(), "", first)
	require.NoError(t, err)
	until(t, q, second.ID, hasStatus(StatusReverted))
	third, err := q.Redrive(t.Context(), "", second.ID)
	require.NoError(t, err)
	until(t, q, third.ID, hasStatus(StatusReverted))
	b.toldAll(t)

	b.age(t, keepFor+time.Minute, first, second.ID)
	require.Zero(t, b.forget(t), "the last one is young")
	again, err := q.Redrive(t.Context(), "", first)
	require.NoError(t, err)
	require.Equal(t, second.ID, again.ID)
	b.age(t, keepFor+time.Minute, third.ID)
	require.Equal(t, 3, b.forget(t))
	require.Zero(t, b.count(t, "transactions"))
}

func TestRetention_OfOneChainOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q, _ := b.start(t)
	id := until(t, q, b.enqueue(t, q, 0, "x"), hasStatus(StatusConfirmed)).ID
	b.age(t, keepFor+time.Minute, id)
	b.toldAll(t)

	step, err := NewStore(b.pool, testChain+1).ForgetTransactions(t.Context(), 0, keepFor, 10)
	require.NoError(t, err)
	require.Zero(t, step.Transactions)
}

func TestRetention_OneReplicaAtATime(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q, _ := b.start(t)
	id := until(t, q, b.enqueue(t, q, 0, "x"), hasStatus(StatusConfirmed)).ID
	b.age(t, keepFor+time.Minute, id)
	b.toldAll(t)

	other, err := b.pool.Begin(t.Context())
	require.NoError(t, err)
	_, err = other.Exec(t.Context(), `select pg_advisory_xact_lock(hashtextextended('retention ' || $1::bigint, 0))`, int64(testChain))
	require.NoError(t, err)
	require.Zero(t, b.forget(t))
	require.NoError(t, other.Rollback(t.Context()))

	var group sync.WaitGroup
	gone := make([]int64, 4)
	for i := range gone {
		group.Go(func() {
			step, err := NewStore(b.pool, testChain).ForgetTransactions(context.WithoutCancel(t.Context()), 0, keepFor, 10)
			if err != nil {
				t.Error(err)
			}
			gone[i] = step.Transactions
		})
	}
	group.Wait()
	require.EqualValues(t, 1, gone[0]+gone[1]+gone[2]+gone[3])
}

func TestRetention_ARunningQueueDoesIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, stop := b.start(t)
	id := until(t, first, b.enqueue(t, first, 0, "x"), hasStatus(StatusConfirmed)).ID
	stop()
	b.age(t, keepFor+time.Minute, id)
	b.toldAll(t)
	b.start(t) // keeps for ever
	require.Equal(t, 1, b.count(t, "transactions"))

	b.cfg.Retention = keepFor
	b.start(t)
	require.Eventually(t, func() bool { return b.count(t, "transactions") == 0 }, patience, 10*time.Millisecond)
}

func TestRetention_OfProofs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q := b.queue(t)
	r := b.request(0, "x")
	r.IdempotencyKey = "accepted"
	_, err := q.Enqueue(t.Context(), r)
	require.NoError(t, err)
	b.exec(t, `insert into wallet_proofs select tenant_id, idem_key, req_hash, 'a', now() - interval '25 hours' from transactions`)
	for _, proof := range []struct{ key, age string }{{"old", "25 hours"}, {"older", "2500 hours"}, {"young", "23 hours"}} {
		b.exec(t, `insert into wallet_proofs values ('t', $1, $2, 'a', now() - $3::text::interval)`, proof.key, make([]byte, common.HashLength), proof.age)
	}

	old := &retention{store: q.store, log: slog.New(slog.DiscardHandler)}
	require.NoError(t, old.pass(t.Context()))
	keys, err := query(t.Context(), q.store, `select idem_key from wallet_proofs order by idem_key`, nil, scanText)
	require.NoError(t, err)
	require.Equal(t, []string{"accepted", "young"}, keys)
}
