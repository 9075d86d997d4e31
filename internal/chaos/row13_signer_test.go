package chaos

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Row 13: the key service fails for a while in the middle of a batch. What was
// signed before goes on, the rest follows, and no nonce is left out.
func TestRow13_SignerFails(t *testing.T) {
	t.Parallel()
	n := choose(12, 200)
	w := newWorld(t, options{accounts: 1, queue: map[string]any{"batchSize": 5}})
	r := w.replica(t).start(t, "SIGNER_FAILPOINT=signer:3:error=3")
	w.load(t, 0, n)
	w.judge(t, verdict{accepted: n})
	require.GreaterOrEqual(t, r.metric("signer_queue_failures_total", `where="signer"`), 1.0) // once a batch
}

// Row 13: the key service is so slow that the lease runs out while it signs.
func TestRow13_SignerIsSlow(t *testing.T) {
	t.Parallel()
	n := choose(8, 50)
	w := newWorld(t, options{accounts: 1})
	w.replica(t).start(t, "SIGNER_FAILPOINT=signer:3:sleep=3s")
	w.load(t, 0, 2) // it leads
	w.waitStatus(t, "confirmed", 2)
	w.replica(t).start(t).ready(t)
	w.load(t, 0, n)
	w.judge(t, verdict{accepted: n})
}
