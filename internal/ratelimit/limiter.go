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
	matching := make([]*rule, 0, 8)
	for _, r := range b.rules {
		if r.Methods.Match(s.Method) {
			matching = append(matching, r)
		}
	}
	if len(matching) == 0 {
		return Decision{Allowed: true}
	}
	d, counted := l.allowShared(ctx, b, matching, s, n)
	if !counted {
		d = l.local.allow(l.now(), matching, s, n)
	}
	b.metrics.decided(d)
	return d
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
