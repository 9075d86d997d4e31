package chaos

import (
	"testing"
	"time"
)

// Row 3: the leader of a sender freezes for longer than its lease with signed
// bytes in its hands, another replica takes over, and the first one wakes up.
func TestRow03_ZombieLeader(t *testing.T) {
	t.Parallel()
	n := choose(10, 200)
	w := newWorld(t, options{accounts: 1, queue: map[string]any{"batchSize": 5}})
	zombie := w.replica(t).start(t, "SIGNER_FAILPOINT=before_fence:1:stop")
	w.load(t, 0, 1)
	zombie.waitStopped(t)

	w.replica(t).start(t).ready(t)
	w.load(t, 0, n) // request 0 again: a replay
	w.waitStatus(t, "confirmed", n)
	zombie.goOn(t)

	w.eventually(t, "the stale commit is refused by the fence", func() bool {
		return zombie.metric("signer_queue_commits_total", `outcome="fenced"`) >= 1
	})
	w.judge(t, verdict{accepted: n})
}

// The same, frozen inside the commit, with the rows of the sender locked:
// PostgreSQL ends the idle SQL transaction, and the other replica goes on.
func TestRow03_ZombieLeaderWithLocks(t *testing.T) {
	t.Parallel()
	n := choose(5, 50)
	w := newWorld(t, options{accounts: 1})
	zombie := w.replica(t).start(t, "SIGNER_FAILPOINT=before_commit:1:stop")
	w.load(t, 0, 1)
	zombie.waitStopped(t)

	w.replica(t).start(t).ready(t)
	w.load(t, 0, n)
	w.waitStatus(t, "confirmed", n)
	zombie.goOn(t)
	w.eventually(t, "the stale commit failed", func() bool {
		return zombie.metric("signer_queue_commits_total", `outcome="failed"`)+zombie.metric("signer_queue_commits_total", `outcome="fenced"`) >= 1
	})
	w.judge(t, verdict{accepted: n, within: time.Minute})
}
