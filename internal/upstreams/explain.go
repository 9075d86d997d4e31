package upstreams

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Standing says where a node stands in the order for a request, and why.
type Standing struct {
	// Place is 1 for the node that is asked first, 0 for one that is not asked.
	Place    int `json:"place"`
	Upstream ID  `json:"upstream"`
	// Vendor is the program that the node is, see Upstream.Vendor.
	Vendor  string   `json:"vendor"`
	Tags    []string `json:"tags,omitempty"`
	State   string   `json:"state"`
	Healthy bool     `json:"healthy"`
	Syncing bool     `json:"syncing"`
	Head    uint64   `json:"head"`
	// Answered, Failed and Throttled count the requests of the last 30 seconds.
	Answered  int `json:"answered"`
	Failed    int `json:"failed"`
	Throttled int `json:"throttled"`
	// P50 and P95 of the recent answers, in milliseconds.
	P50 float64 `json:"p50Ms"`
	P95 float64 `json:"p95Ms"`
	// Score orders nodes that are otherwise alike, the lower the better: that of
	// the method where the node differs in it, else that of the node.
	Score int64 `json:"score"`
	// Method is what is known of the method at this node, if it is enough.
	Method *MethodStanding `json:"method,omitempty"`
	// Weight is the node's share among its like; 0 when no node has a weight.
	Weight float64 `json:"weight,omitempty"`
	// Weights say how the score is reckoned, where the configuration says so.
	Weights *Weights `json:"weights,omitempty"`
	// SparedMs is how much longer the node is spared because it wanted fewer requests.
	SparedMs float64 `json:"sparedMs,omitempty"`
	// Breakers tells the node's circuit breakers, one for each rule that has one.
	Breakers []BreakerStanding `json:"breakers,omitempty"`
	// Cordons take the node out of use by an operator's word.
	Cordons []Cordon `json:"cordons,omitempty"`
	// Reasons say in words what moved the node from the first place.
	Reasons []string `json:"reasons"`
}

// MethodStanding is what is known of one method at one node.
type MethodStanding struct {
	Mean   float64 `json:"meanMs"`
	Failed float64 `json:"failedShare"`
	Score  int     `json:"score"`
}

// BreakerStanding is where a circuit breaker stands.
type BreakerStanding struct {
	Methods  string `json:"methods"`
	State    string `json:"state"`
	Failures int    `json:"failures"` // among the answers that are looked at
}

// Explain gives the order in which the nodes would be asked for a request now.
// Among nodes that share the load by weight any may be asked first.
func (p *Pool) Explain(method string, params []byte) []Standing {
	req := Request{Method: method, Params: params, Facts: p.catalogue.Describe(method, params)}
	q, _ := p.question(req, p.tracker.Head()) // without a selector there is no error
	order, _ := p.choose(req)
	now := time.Now()

	out := make([]Standing, 0, len(p.upstreams))
	for _, u := range p.upstreams {
		s := u.standing(now, q)
		s.Place = slices.Index(order, u) + 1
		if p.isSpread {
			s.Weight, _ = u.weight(q)
		}
		s.Reasons = reasons(s, p.doubts(u, q), q.latest)
		out = append(out, s)
	}
	slices.SortStableFunc(out, func(a, b Standing) int { return placeLast(a.Place) - placeLast(b.Place) })
	return out
}

// doubts is what speaks against a node for one request.
type doubts struct {
	exclusion exclusion
	refuses   bool
	isBehind  bool
	isPruned  bool
	isOpen    bool
	isPinned  bool
	cordon    *cordonRule
}

func (p *Pool) doubts(u *Upstream, q question) doubts {
	return doubts{
		exclusion: u.exclusion(q), refuses: u.refuses(q), isOpen: u.breakerOf(q).isOpen(q.now), isPinned: q.pin.isSet,
		isBehind: isBehind(u.Head(), q.facts, q.latest, p.cfg.MaxLag),
		isPruned: u.isPrunedFor(q.facts),
		cordon:   u.cordonFor(q.method),
	}
}

// placeLast puts nodes that are not asked behind all others.
func placeLast(place int) int {
	if place == 0 {
		return 1 << 30
	}
	return place
}

func (u *Upstream) standing(now time.Time, q question) Standing {
	s := Standing{
		Upstream: u.id, Vendor: u.Vendor(), Tags: u.endpoint.Tags, State: u.State().String(), Healthy: u.IsHealthy(), Syncing: u.isSyncing.Load(),
		Head: u.Head(), Score: u.scoreFor(q), SparedMs: milliseconds(u.throttledFor(q.now)),
	}
	if w := u.emphasisFor(q).weights; w != usualWeights() {
		s.Weights = &w
	}
	for _, rule := range u.cordonRules() {
		s.Cordons = append(s.Cordons, rule.Cordon)
	}
	for _, g := range u.guards {
		if g.breaker != nil {
			s.Breakers = append(s.Breakers, g.breaker.standing(q.now))
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	s.Answered, s.Failed, s.Throttled = u.health.counts(now)
	s.P50, s.P95 = milliseconds(u.health.recent.quantile(0.5)), milliseconds(u.health.recent.quantile(0.95))
	if m := &u.methods[q.facts.Method.Index]; q.facts.Method.Known() {
		if score, ok := m.score(now); ok {
			s.Method = &MethodStanding{Mean: milliseconds(time.Duration(m.latency)), Failed: m.failed, Score: score.sum()}
		}
	}
	return s
}

func (b *breaker) standing(now time.Duration) BreakerStanding {
	state := b.state(now)
	b.mu.Lock()
	defer b.mu.Unlock()
	return BreakerStanding{Methods: b.rule, State: string(state), Failures: b.bad}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// reasons says why a node is not first, or not asked. It is pure.
func reasons(s Standing, d doubts, latest uint64) []string {
	out := []string{}
	say := func(is bool, format string, args ...any) {
		if is {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	say(s.State == Quarantined.String(), "shows another chain: never asked")
	say(s.State == Unverified.String(), "cannot be reached: not asked until its chain was seen again")
	if d.cordon != nil {
		say(true, "cordoned: not asked (%s)", cmp.Or(d.cordon.Reason, "no reason given"))
	}
	say(d.exclusion == excludedMethod, "does not serve the method by its configuration: not asked")
	say(d.exclusion == excludedSyncing, "is syncing: not asked until it is done")
	say(d.refuses, "said lately that it has no such method: not asked while others have it")
	say(!s.Healthy, "failed %d times in a row or more: asked last, until probes go well", failuresToDrop)
	say(d.isOpen, "its circuit breaker is open: asked when no other node is left")
	say(s.Syncing && d.exclusion != excludedSyncing, "is syncing: asked after nodes that are not")
	say(s.SparedMs > 0, "wanted fewer requests: spared for %.0f ms more", s.SparedMs)
	say(d.isPruned, "does not have the block by its configuration: asked after nodes that do")
	say(d.isBehind, "its newest block is %d, the network's is %d: asked after nodes that have the block", s.Head, latest)
	say(slices.Contains(s.Tags, TagFallback), "fallback: asked when no other healthy node is left")
	say(d.isPinned, "the requests of one sender go to one node: its place goes by the sender, not by score or weight")
	if w := s.Weights; w != nil && !d.isPinned {
		say(true, "by its configuration its score counts failures %g times, latency %g times, throttling %g times, and %g for a block behind", w.Failures, w.Latency, w.Throttled, w.Lag)
	}
	switch {
	case s.Score == 0 || d.isPinned:
	case s.Method != nil:
		say(true, "score %d for the method: %.0f%% of its calls failed, an answer takes %.1f ms on average", s.Score, 100*s.Method.Failed, s.Method.Mean)
	default:
		say(true, "score %d: %d of %d requests failed in 30 seconds, half of its answers took more than %.1f ms", s.Score, s.Failed, s.Answered+s.Failed, s.P50)
	}
	return out
}
