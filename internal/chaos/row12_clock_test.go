package chaos

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Row 12: the clocks of the replicas are an hour wrong, in both directions.
// Leases and times are the database's.
func TestRow12_Clocks(t *testing.T) {
	t.Parallel()
	n := choose(40, 1000)
	w := newWorld(t, options{accounts: 3, queue: map[string]any{"batchSize": 5}})
	w.replica(t).start(t, "SIGNER_CLOCK=1h")
	w.replica(t).start(t, "SIGNER_CLOCK=-1h").ready(t)
	w.load(t, 0, n/2)
	w.replicas[0].kill() // the other one takes over
	w.load(t, n/2, n-n/2)
	w.replicas[0].start(t, "SIGNER_CLOCK=2h")
	w.judge(t, verdict{accepted: n})
}

// Row 12: a replica whose clock is an hour ahead takes over a transaction that
// was sent a moment ago. It is not overdue, so its price stays.
func TestRow12_TheAgeOfAnAttemptIsTheDatabases(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{blockTime: manual, accounts: 1, queue: map[string]any{"feeMode": "fixed", "fixedFeePerGas": 1000, "bumpAfter": "1m"}})
	for range 5 {
		w.seal(t)
	}
	first := w.replica(t).start(t)
	w.load(t, 0, 1)
	w.waitStatus(t, "submitted", 1)
	first.kill()
	second := w.replica(t).start(t, "SIGNER_CLOCK=1h").ready(t)
	w.eventually(t, "the other one has taken over and sent again", func() bool {
		return second.metric("signer_queue_sends_total", "") >= 2
	})
	require.Equal(t, 1, w.count(t, `select count(*) from attempts`))
	w.judge(t, verdict{accepted: 1})
}
