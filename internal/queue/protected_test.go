package queue

import (
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// protect makes an account a wallet with a PIN, as another replica would.
func (b *bundle) protect(t *testing.T, account common.Address) {
	t.Helper()
	id := uuid.New()
	for _, statement := range []struct {
		sql  string
		args []any
	}{
		{`insert into wallet_vaults (vault) values ($1) on conflict do nothing`, []any{make([]byte, 20)}},
		{`insert into wallets (id, vault, wallet_index, name, address, derivation_path) values ($1, $2, 1, 'w', $3, 'm')`, []any{id, make([]byte, 20), account[:]}},
		{`insert into wallet_verifications (id, wallet_id, type, name, salt, sealed) values ($1, $2, 'PINCODE', 'pin', 's', 'x')`, []any{uuid.New(), id}},
	} {
		_, err := b.pool.Exec(t.Context(), statement.sql, statement.args...)
		require.NoError(t, err)
	}
}

func TestEnqueue_OfAProtectedAccountNeedsAProof(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q := b.queue(t)
	before, open, proven := b.request(0, "before"), b.request(1, "open"), b.request(0, "proven")
	before.IdempotencyKey, proven.IsProven = "key", true
	first, err := q.Enqueue(t.Context(), before)
	require.NoError(t, err)

	b.protect(t, b.sender(0)) // counts from the very next request on
	_, err = q.Enqueue(t.Context(), b.request(0, "bare"))
	require.ErrorIs(t, err, ErrUnproven)
	_, err = q.Enqueue(t.Context(), before)
	require.ErrorIs(t, err, ErrUnproven, "a replay tells nothing either")
	_, err = q.EnqueueAll(t.Context(), []Request{open, b.request(0, "bare")})
	require.ErrorIs(t, err, ErrUnproven, "a list is accepted as a whole")
	_, err = q.Enqueue(t.Context(), proven)
	require.NoError(t, err)
	before.IsProven = true
	again, err := q.Enqueue(t.Context(), before)
	require.NoError(t, err)
	require.True(t, again.Replayed)
	require.Equal(t, first.ID, again.ID)

	list, err := q.List(t.Context(), Filter{Limit: 10})
	require.NoError(t, err)
	require.Len(t, list, 2, "before and proven")
}

func TestInsertBatch_OneProtectedAccountKeepsNobodyElseOut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q := b.queue(t)
	b.protect(t, b.sender(0))
	entries := make([]*entry, 4)
	for i := range entries {
		var err error
		entries[i], err = q.entry(t.Context(), uuid.New(), b.request(i%2, "x"))
		require.NoError(t, err)
	}
	q.store.insertBatch(t.Context(), entries)
	for i, e := range entries {
		if i%2 == 0 {
			require.ErrorIs(t, e.err, ErrUnproven)
			continue
		}
		require.NoError(t, e.err)
		require.Positive(t, e.at.Seq)
	}
}
