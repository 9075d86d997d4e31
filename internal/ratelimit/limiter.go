package ratelimit

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/slipwayhq/slipway/internal/lifecycle"
	"github.com/slipwayhq/slipway/internal/redisconn"
)

// Subject is what is counted.
type Subject struct {
	// Method is the method that is called.
	Method string
	// User is the client's name; those without one are counted together.
	User string
	// IP is the client's address.
	IP netip.Addr
	// Network is where the call goes, such as evm:1.
	Network string
}

// Decision says whether a request is within its budget.
type Decision struct {
	// Allowed says whether the request may go on; it is counted then.
	Allowed bool
	// RetryAfter is how long a request that is denied should wait at least.
	RetryAfter time.Duration
	// Rule is the first rule without room, as operators know it.
	Rule string
}

// Limiter keeps the budgets. Its methods may be called from many goroutines.
type Limiter struct {
	budgets map[string]*budget
	local   *localCounters
	redis   *redisconn.Conn // nil without Redis
	script  *redis.Script
	metrics *Metrics
	born    time.Time // origin of the time
}

// budget is a budget with its metrics resolved.
type budget struct {
	id      string
	rules   []*rule
	metrics budgetMetrics
}

type rule struct {
	Rule
	number int // unique over all budgets
	name   string
}

// isShared says whether all requests share one count.
func (r *rule) isShared() bool { return !r.PerIP && !r.PerUser && !r.PerNetwork }

// New makes a limiter. It talks to nobody. Run closes what it opened.
func New(cfg Config, m *Metrics) (*Limiter, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.MaxKeys == 0 {
		cfg.MaxKeys = DefaultMaxKeys
	}
	l := &Limiter{budgets: map[string]*budget{}, metrics: m, script: redis.NewScript(script), born: time.Now()}
	number := 0
	for _, b := range cfg.Budgets {
		made := &budget{id: b.ID, metrics: m.of(b.ID)}
		for i, r := range b.Rules {
			name := fmt.Sprintf("%s, rule %d: %d per %s for %s", b.ID, i+1, r.MaxCount, r.Period, r.Methods)
			made.rules = append(made.rules, &rule{r, number, name})
			number++
		}
		l.budgets[b.ID] = made
	}
	l.local = newLocalCounters(number, cfg.MaxKeys)
	if cfg.Redis.IsSet() {
		var err error
		if l.redis, err = redisconn.New(cfg.Redis); err != nil {
			return nil, fmt.Errorf("rate limits: %w", err)
		}
	}
	return l, nil
}

// now is the time by a clock that nobody sets: windows that follow a clock which
// went back would stand still until it has caught up.
func (l *Limiter) now() time.Time { return l.born.Add(time.Since(l.born)) }

// Has says whether there is a budget of this name.
func (l *Limiter) Has(name string) bool { return l.budgets[name] != nil }

// Allow says whether n requests of one subject, such as the equal calls of a
// batch, are within a budget, and counts them if they are: all or none. An empty
// name means no limit. A name that is not known denies: the configuration names
// budgets that are there. It waits for Redis, within its timeout.
func (l *Limiter) Allow(ctx context.Context, name string, s Subject, n int) Decision {
	if name == "" || n <= 0 {
		return Decision{Allowed: true}
	}
	b := l.budgets[name]
	if b == nil {
		return Decision{Rule: "budget " + name + " is not defined"}
	}
	r := b.reckon(s, []string{s.Method})
	r.calls[0].n = n
	return l.decide(ctx, r)[0]
}

// AllowEach says of calls of some methods, such as the elements of a batch,
// whether each is within a budget, and counts those that are, as Allow would one
// after the other. It asks Redis once.
func (l *Limiter) AllowEach(ctx context.Context, name string, s Subject, methods []string) []Decision {
	return l.allowMany(ctx, name, s, methods, false)
}

// AllowAll says whether calls of some methods are within a budget together, and
// counts them if they are: all or none. It asks Redis once.
func (l *Limiter) AllowAll(ctx context.Context, name string, s Subject, methods []string) Decision {
	if len(methods) == 0 {
		return Decision{Allowed: true}
	}
	return l.allowMany(ctx, name, s, methods, true)[0]
}

func (l *Limiter) allowMany(ctx context.Context, name string, s Subject, methods []string, isWhole bool) []Decision {
	b := l.budgets[name]
	if name == "" || b == nil || len(methods) == 0 {
		out := make([]Decision, len(methods))
		for i := range out {
			out[i] = l.Allow(ctx, name, s, 1)
		}
		return out
	}
	r := b.reckon(s, methods)
	r.isWhole = isWhole
	return l.decide(ctx, r)
}

// decide reckons in Redis, or in memory if Redis cannot be asked.
func (l *Limiter) decide(ctx context.Context, r *reckoning) []Decision {
	if r.isFree() {
		out := make([]Decision, len(r.calls))
		for i := range out {
			out[i].Allowed = true
		}
		return out
	}
	decisions, counted := l.allowShared(ctx, r)
	if !counted {
		decisions = l.local.allow(l.now(), r)
	}
	if r.isWhole {
		decisions = denyAll(decisions)
	}
	for i, d := range decisions {
		if len(r.calls[i].rules) > 0 {
			r.budget.metrics.decided(d)
		}
	}
	return decisions
}

// Run waits until ctx ends and closes the connections to Redis. It implements
// lifecycle.Run.
func (l *Limiter) Run(ctx context.Context, ready func()) error {
	err := lifecycle.Idle(ctx, ready)
	if l.redis == nil {
		return err
	}
	return l.redis.Close()
}

// Keys is how many clients and networks are counted apart in memory.
func (l *Limiter) Keys() int { return l.local.size() }
