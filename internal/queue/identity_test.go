package queue

import (
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"
)

// haltedSenders counts those that are halted.
func (b *bundle) haltedSenders(t *testing.T) (n int) {
	t.Helper()
	require.NoError(t, b.pool.QueryRow(t.Context(), `select count(*) from senders where state = 'halted'`).Scan(&n))
	return n
}

// A new chain may be higher than the old one when somebody looks again.
func TestIdentity_AChainThatOvertookTheOldOneIsNoticed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q, _ := b.start(t)
	a, err := q.Enqueue(t.Context(), b.request(0, "x"))
	require.NoError(t, err)
	until(t, q, a.ID, hasStatus(StatusConfirmed))

	// Its blocks go on without a step back.
	b.chain.set(func(c *fakeChain) { c.genesis = common.HexToHash("0x02") })

	require.Eventually(t, func() bool { return b.haltedSenders(t) == 3 }, patience, 20*time.Millisecond)
}
