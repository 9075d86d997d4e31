package gateway

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

// newest tells the number of the newest block, for requests at "latest" where
// every block is final at once. Where what is known is older than maxAge, one
// question to the best node brings it up to date, for all who wait for it.
type newest struct {
	tracker *chain.Tracker
	pool    Pool
	facts   methods.Facts // of eth_blockNumber
	maxAge  time.Duration

	flight singleflight.Group
	born   time.Time    // origin of restTo; monotonic
	restTo atomic.Int64 // nanoseconds; before that no node is asked
}

const (
	// newestTimeout bounds the question. A client never waits longer for it than
	// it would take to ask for "latest" itself.
	newestTimeout = 250 * time.Millisecond
	// newestRest is how long no node is asked after a question without answer.
	newestRest = time.Second
)

func newNewest(maxAge time.Duration, tracker *chain.Tracker, pool Pool, catalogue *methods.Catalogue) *newest {
	return &newest{born: time.Now(), tracker: tracker, pool: pool, facts: catalogue.Describe("eth_blockNumber", nil), maxAge: maxAge}
}

// number is false where "latest" must stay: another kind of finality, or no
// node that tells in time.
func (n *newest) number(ctx context.Context) (uint64, bool) {
	if n.maxAge <= 0 || n.tracker.Finality().Mode != chain.Instant {
		return 0, false
	}
	now := time.Now()
	if !n.tracker.IsFresh(now, n.maxAge) && (int64(now.Sub(n.born)) < n.restTo.Load() || !n.refresh(ctx)) {
		return 0, false
	}
	head := n.tracker.Head()
	return head.Latest, head.IsKnown
}

// refresh asks the best node. The pool reports its answer to the tracker.
func (n *newest) refresh(ctx context.Context) bool {
	_, err, _ := n.flight.Do("", func() (any, error) {
		if n.tracker.IsFresh(time.Now(), n.maxAge) {
			return nil, nil //nolint:nilnil // the last one in flight has just landed
		}
		// Others wait for the answer too: it does not end with this client.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), newestTimeout)
		defer cancel()
		asked := time.Now()
		reply, err := n.pool.Do(ctx, upstreams.Request{Method: n.facts.Method.Name, Params: []byte("[]"), Facts: n.facts})
		if err == nil && reply.Error != nil {
			err = upstreams.ErrNoUpstream
		}
		if err != nil {
			n.restTo.Store(int64(time.Since(n.born) + newestRest))
			return nil, err
		}
		n.tracker.Confirm(asked)
		return nil, nil //nolint:nilnil // the tracker holds the result
	})
	return err == nil
}
