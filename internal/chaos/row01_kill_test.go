package chaos

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Row 1: kill -9 at each named point. The place before_event of the matrix does
// not exist here: an event is written by the statement that moves its
// transaction; after_settle is the moment after it.
func TestRow01_KilledAtEachPoint(t *testing.T) {
	t.Parallel()
	points := []string{
		"after_insert:1", "after_claim:1", "after_sign:1", "mid_batch:1", "mid_batch:3", "before_commit:1", "after_commit:1", "before_send:1",
		"after_send_before_reply:1", "after_reply_before_update:1", "after_receipt:1", "after_settle:1", "during_lease_renew:1",
	}
	if isLong() {
		points = append(points, "after_insert:5", "after_claim:3", "after_sign:3", "mid_batch:9", "before_commit:3", "after_commit:3", "before_send:3",
			"after_send_before_reply:3", "after_reply_before_update:3", "after_receipt:3", "after_settle:3", "during_lease_renew:3")
	}
	for _, point := range points {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			n := choose(12, 100)
			w := newWorld(t, options{queue: map[string]any{"batchSize": 4}})
			r := w.replica(t).start(t, "SIGNER_FAILPOINT="+point)

			done := make(chan error, 1)
			go func() { done <- w.submit(t.Context(), 0, n) }()
			r.waitKilled(t)
			r.start(t)
			require.NoError(t, <-done)

			w.judge(t, verdict{accepted: n, within: time.Minute})
		})
	}
}

// The same while the price of a transaction is raised: the kill comes before
// and after the commit of the second attempt.
func TestRow01_KilledWhileThePriceIsRaised(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"during_bump_commit:1", "before_send:2"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{blockTime: manual, accounts: 1, queue: map[string]any{"feeMode": "fixed", "fixedFeePerGas": 1000}})
			r := w.replica(t).start(t, "SIGNER_FAILPOINT="+point)
			w.load(t, 0, 1)
			w.waitStatus(t, "submitted", 1)
			_, err := w.db.Exec(t.Context(), `update transactions set wish = 'speed_up'`) // as an operator wishes it
			require.NoError(t, err)
			r.waitKilled(t)
			r.start(t)
			w.eventually(t, "a second attempt", func() bool {
				return w.count(t, `select count(*) from attempts where purpose = 'bump' and send_count > 0`) == 1
			})

			w.judge(t, verdict{accepted: 1})
			require.Equal(t, 2, w.count(t, `select count(*) from attempts`))
		})
	}
}

// waitStatus waits until so many transactions have a status.
func (w *world) waitStatus(t *testing.T, status string, n int) {
	t.Helper()
	w.eventually(t, "transactions are "+status, func() bool {
		return w.count(t, `select count(*) from transactions where status = '`+status+`'`) == n
	})
}

// count runs a query for one number.
func (w *world) count(t *testing.T, sql string) int {
	t.Helper()
	var n int
	require.NoError(t, w.db.QueryRow(t.Context(), sql).Scan(&n))
	return n
}
