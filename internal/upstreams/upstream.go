package upstreams

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
)

// ID names an upstream in logs, metrics and health answers.
type ID string

// State says whether a node may be asked.
type State uint32

// The states. A node moves from unverified to one of the others when its
// poller has seen its chain, and back when the connection to it was refused:
// whatever listens there next may be another chain.
const (
	Unverified  State = iota // not reached yet, or lost
	Serving                  // shows the right chain
	Quarantined              // shows another chain; never asked
)

// String is the state in health answers.
func (s State) String() string {
	switch s {
	case Serving:
		return "serving"
	case Quarantined:
		return "quarantined"
	default:
		return "unreachable"
	}
}

// Upstream is one node. It is made by NewPool and lives as long as the pool.
type Upstream struct {
	id        ID
	transport transport
	probes    transport // connections of the poller's own: a full pool must not look like a dead node
	metrics   *upstreamMetrics

	state      atomic.Uint32
	otherChain atomic.Uint64 // chain id shown by a quarantined node
	head       atomic.Uint64
	isDown     atomic.Bool
	score      atomic.Int64
	p95        atomic.Int64 // nanoseconds
	nextID     atomic.Uint64
	lost       chan struct{} // capacity 1: wakes the poller

	mu     sync.Mutex
	health *health
}

// ID returns the upstream's name.
func (u *Upstream) ID() ID { return u.id }

// State says whether the node may be asked.
func (u *Upstream) State() State { return State(u.state.Load()) }

// Head is the newest block the node has shown.
func (u *Upstream) Head() uint64 { return u.head.Load() }

// IsHealthy says whether the node answers.
func (u *Upstream) IsHealthy() bool { return !u.isDown.Load() }

// setHead follows the node, which may well go back when it is restored.
func (u *Upstream) setHead(number uint64) {
	u.head.Store(number)
	u.metrics.head.Set(float64(number))
}

// record notes what became of an attempt.
func (u *Upstream) record(now time.Time, latency time.Duration, outcome Outcome) {
	u.metrics.attempt(outcome, latency)
	if outcome == OutcomeCanceled {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if outcome.blamesNode() {
		u.health.failed(now)
	} else {
		u.health.answered(now, latency)
	}
	u.publish(now)
}

// probed notes a look of the poller.
func (u *Upstream) probed(now time.Time, good bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if good {
		u.health.probed(now)
	} else {
		u.health.failed(now)
	}
	u.publish(now)
}

// publish makes the health readable without the lock.
func (u *Upstream) publish(now time.Time) {
	u.isDown.Store(u.health.isDown)
	u.score.Store(int64(u.health.score(now)))
	u.p95.Store(int64(u.health.p95))
}

// loseSight says that nothing listens at the node's address any more.
func (u *Upstream) loseSight() {
	if u.state.CompareAndSwap(uint32(Serving), uint32(Unverified)) {
		u.metrics.serving.Set(0)
		select {
		case u.lost <- struct{}{}:
		default:
		}
	}
}

// call asks the node over the poller's connections.
func call(ctx context.Context, t transport, method, params string) (jsonrpc.Response, error) {
	reply, err := t.roundTrip(ctx, time.Time{}, jsonrpc.AppendRequest(nil, jsonrpc.ID("1"), method, []byte(params)))
	if err != nil {
		return jsonrpc.Response{}, err
	}
	if outcome, bad := classifyStatus(reply.status); bad {
		return jsonrpc.Response{}, &statusError{status: reply.status, outcome: outcome}
	}
	return jsonrpc.ScanResponse(reply.body)
}

type statusError struct {
	status  int
	outcome Outcome
}

func (e *statusError) Error() string { return "HTTP status " + strconv.Itoa(e.status) }
