package upstreams

import (
	"context"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/methods"
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
	id         ID
	place      int // in the configuration
	endpoint   Endpoint
	isFallback bool
	serves     []bool // by methods.Method.Index
	guards     []*guard
	transport  transport
	probes     transport // connections of the poller's own: a full pool must not look like a dead node
	pushing    *pushing  // nil when the node has no WebSocket URL
	metrics    *upstreamMetrics

	state      atomic.Uint32
	otherChain atomic.Uint64 // chain id shown by a quarantined node
	head       atomic.Uint64
	claimed    atomic.Uint64 // the newest block it has spoken of, believed or not
	isDown     atomic.Bool
	isSilent   atomic.Bool   // down, and its last probe did not go well either
	score      atomic.Uint64 // packed
	recent     atomic.Pointer[latencies]
	isSyncing  atomic.Bool
	// throttledUntil is a time since the pool was made.
	throttledUntil atomic.Int64
	cordons        atomic.Pointer[[]cordonRule]
	refused        refusals
	methodScores   []atomic.Uint64 // by methods.Method.Index, packed; 0 for that of the node
	multipliers    [][]Multiplier  // by methods.Method.Index
	nextID         atomic.Uint64
	vendor         atomic.Uint32
	lost           chan struct{} // capacity 1: wakes the poller

	mu       sync.Mutex
	health   *health
	methods  []methodHealth // by methods.Method.Index
	throttle throttle
}

func newUpstream(p *Pool, endpoint Endpoint, target *url.URL, id ID, metrics *upstreamMetrics) *Upstream {
	u := &Upstream{
		id: id, place: len(p.upstreams), endpoint: endpoint, isFallback: endpoint.isFallback(),
		serves:       make([]bool, p.catalogue.Len()),
		guards:       newGuards(endpoint.Rules),
		transport:    newTransport(target, p.cfg.MaxConnections, p.cfg.MaxResponseBytes, endpoint.header()),
		probes:       newTransport(target, 1, maxProbeBytes, endpoint.header()),
		metrics:      metrics,
		health:       newHealth(),
		lost:         make(chan struct{}, 1),
		refused:      refusals{until: make([]atomic.Int64, p.catalogue.Len())},
		methodScores: make([]atomic.Uint64, p.catalogue.Len()),
		multipliers:  make([][]Multiplier, p.catalogue.Len()),
		methods:      make([]methodHealth, p.catalogue.Len()),
	}
	for _, m := range p.catalogue.All() {
		u.serves[m.Index] = endpoint.mayServe(m.Name)
		u.multipliers[m.Index] = multipliersOf(endpoint.Multipliers, m.Name)
	}
	return u
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

// record notes what became of an attempt, which is the try of a request with
// this number. Method is nil for a batch.
func (u *Upstream) record(now time.Time, latency time.Duration, outcome Outcome, number int, method *methods.Method) {
	u.metrics.attempt(outcome, number, latency)
	if outcome == OutcomeCanceled {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case outcome == OutcomeRateLimited:
		u.health.throttled(now)
	case outcome.blamesNode():
		u.health.failed(now)
	default:
		u.health.answered(now, latency)
	}
	if method != nil && method.Known() && outcome != OutcomeRateLimited {
		u.methods[method.Index].add(now, latency, outcome.countsAgainstMethod())
		u.publishMethod(now, method.Index)
	}
	u.publish(now)
}

func (u *Upstream) publishMethod(now time.Time, index int) {
	var shown uint64
	if score, ok := u.methods[index].score(now); ok {
		shown = score.pack()
	}
	u.methodScores[index].Store(shown)
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
	for index := range u.methods {
		u.publishMethod(now, index) // those that were not asked for a while are forgotten
	}
	u.publish(now)
}

// publish makes the health readable without the lock.
func (u *Upstream) publish(now time.Time) {
	u.isDown.Store(u.health.isDown)
	u.isSilent.Store(u.health.isDown && u.health.probesGood == 0)
	u.score.Store(u.health.publicScore(now).pack())
	u.recent.Store(u.health.recent)
}

// loseSight says that nothing listens at the node's address any more.
func (u *Upstream) loseSight() {
	if u.state.CompareAndSwap(uint32(Serving), uint32(Unverified)) {
		u.metrics.serving.Set(0)
		u.wake()
	}
}

// wake has the poller ask for the chain anew at its next look.
func (u *Upstream) wake() {
	select {
	case u.lost <- struct{}{}:
	default:
	}
}

// call asks the node over the poller's connections.
func call(ctx context.Context, t asker, method, params string) (jsonrpc.Response, error) {
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
