package upstreams

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/slipwayhq/slipway/internal/methods"
)

// NodeRule changes how tries at one node go. What it leaves out (nil) is as
// without a rule.
type NodeRule struct {
	Methods    methods.Pattern
	Finalities []Finality // empty: every finality
	// Timeout bounds one try, within what the call's own failsafe permits.
	Timeout *time.Duration
	// Attempts is how often the node is tried before the next one is, with Pause
	// in between; by default once, at once.
	Attempts *int
	Pause    *time.Duration
	// Breaker leaves the node alone when too much fails; nil has none.
	Breaker *Breaker
}

func (r NodeRule) validate(of string) error {
	var errs []error
	if r.Timeout != nil && *r.Timeout <= 0 {
		errs = append(errs, fmt.Errorf("%s: timeout: must be more than zero", of))
	}
	if r.Attempts != nil && *r.Attempts < 1 {
		errs = append(errs, fmt.Errorf("%s: attempts: must be at least 1", of))
	}
	if r.Pause != nil && *r.Pause < 0 {
		errs = append(errs, fmt.Errorf("%s: pause: must not be negative", of))
	}
	if r.Breaker != nil {
		errs = append(errs, r.Breaker.validate(of))
	}
	return errors.Join(errs...)
}

// guard is a NodeRule at work.
type guard struct {
	methods    methods.Pattern
	finalities []Finality
	timeout    time.Duration // 0 has none
	attempts   int
	pause      time.Duration
	breaker    *breaker
}

func newGuards(rules []NodeRule) []*guard {
	out := make([]*guard, 0, len(rules))
	for _, r := range rules {
		g := &guard{methods: r.Methods, finalities: r.Finalities, attempts: 1}
		set(&g.timeout, r.Timeout)
		set(&g.attempts, r.Attempts)
		set(&g.pause, r.Pause)
		if r.Breaker != nil {
			g.breaker = newBreaker(*r.Breaker, r.Methods.String())
		}
		out = append(out, g)
	}
	return out
}

// guardOf is the first rule that means a call; nil when none does.
func (u *Upstream) guardOf(method string, finality Finality) *guard {
	for _, g := range u.guards {
		if g.methods.Match(method) && (len(g.finalities) == 0 || slices.Contains(g.finalities, finality)) {
			return g
		}
	}
	return nil
}

func (u *Upstream) breakerOf(q question) *breaker {
	if len(u.guards) == 0 {
		return nil
	}
	if g := u.guardOf(q.method, q.finality); g != nil {
		return g.breaker
	}
	return nil
}

// attempt puts a question to one node, as the node's own rules permit, and
// notes what became of it.
func (p *Pool) attempt(ctx context.Context, u *Upstream, fs Failsafe, ask exchange) verdict {
	if !p.isPermitted(ctx, u, ask) {
		u.metrics.counter(OutcomeOverBudget, fs.number).Inc()
		return verdict{outcome: OutcomeOverBudget, upstream: u}
	}
	if len(u.guards) == 0 {
		return p.try(ctx, u, fs, ask)
	}
	g := u.guardOf(ask.method, finalityOf(ask.facts, p.tracker.Head()))
	if g == nil {
		return p.try(ctx, u, fs, ask)
	}
	if g.timeout > 0 {
		fs.AttemptTimeout = min(fs.AttemptTimeout, g.timeout)
	}
	for n := 1; ; n++ {
		g.breaker.begin()
		v := p.try(ctx, u, fs, ask)
		g.breaker.end(p.now(), v.outcome)
		if n >= g.attempts || !v.outcome.mayPassHere() || !ask.isRepeatable() || ctx.Err() != nil || fs.isOver() || !pause(ctx, g.pause) {
			return v
		}
		fs.number++
	}
}

// isPermitted takes the calls of a question from the node's budget.
func (p *Pool) isPermitted(ctx context.Context, u *Upstream, ask exchange) bool {
	budgets := p.budgets.Load()
	if u.endpoint.Budget == "" || budgets == nil {
		return true
	}
	names := ask.methods
	if names == nil {
		names = []string{ask.method}
	}
	return (*budgets)(ctx, u.endpoint.Budget, names)
}

// isRepeatable says whether the question may be put twice; a batch holds reads.
func (e exchange) isRepeatable() bool { return e.facts.Method == nil || e.facts.Repeatable() }

// mayPassHere says whether the same node may well do better at the next try.
func (o Outcome) mayPassHere() bool {
	return o == OutcomeBroken || o == OutcomeTimeout || o == OutcomeNodeError
}
