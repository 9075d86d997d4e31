package upstreams

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// broadcastWorkers bounds how many transactions are on their way to further
	// nodes, and broadcastQueue how many wait for that. Beyond it a transaction
	// goes to one node only, from which it spreads anyway.
	broadcastWorkers = 8
	broadcastQueue   = 256
)

// broadcaster sends transactions to further nodes behind the back of the
// request that brought them. Its goroutines belong to run.
type broadcaster struct {
	queue chan func()
	// drain is how long what waits is still begun after the end.
	drain time.Duration
}

func newBroadcaster(drain time.Duration) *broadcaster {
	return &broadcaster{queue: make(chan func(), broadcastQueue), drain: drain}
}

// run works until ctx ends and then through what still waits.
func (b *broadcaster) run(ctx context.Context) {
	var workers sync.WaitGroup
	for range broadcastWorkers {
		workers.Go(func() { b.work(ctx) })
	}
	workers.Wait()
}

func (b *broadcaster) work(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case job := <-b.queue:
			job()
		case <-ctx.Done():
		}
	}
	b.finish(time.Now().Add(b.drain))
}

func (b *broadcaster) finish(deadline time.Time) {
	for time.Now().Before(deadline) {
		select {
		case job := <-b.queue:
			job()
		default:
			return
		}
	}
}

// spread sends a transaction to nodes besides the one the request itself goes
// to. What becomes of each comes over the returned channel, which has room for
// all; taken is called when one has taken it. The count is how many come, each
// within a time.
func (p *Pool) spread(ctx context.Context, req Request, to []*Upstream, within time.Duration, taken func()) (results chan verdict, count int) {
	results = make(chan verdict, len(to))
	if len(to) == 0 {
		return results, 0
	}
	ctx = context.WithoutCancel(ctx)      // goes on when the request has its answer
	req.Params = slices.Clone(req.Params) // whose parameters are the caller's
	for _, u := range to {
		job := func() {
			v := p.settleSend(ctx, req, p.attempt(ctx, u, once(within), p.single(req)))
			results <- v
			if v.outcome == OutcomeOK {
				taken()
			}
		}
		select {
		case p.broadcast.queue <- job:
			count++
		default:
		}
	}
	return results, count
}
