package ratelimit

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/redisconn"
)

// Config is all budgets, and where they are counted.
type Config struct {
	// Budgets by any order; their ids differ.
	Budgets []Budget
	// Redis counts for all gateways together; not set, each counts alone. Its
	// timeout is what a request may wait for it.
	Redis redisconn.Config
	// MaxKeys bounds the clients and networks that are counted apart in memory.
	MaxKeys int
}

// Budget is a list of rules under a name.
type Budget struct {
	ID    string
	Rules []Rule
}

// Rule lets MaxCount requests through in every Period.
type Rule struct {
	// Methods the rule is for; all that it matches share one count.
	Methods methods.Pattern
	// MaxCount is how many requests are let through; 0 lets none through.
	MaxCount int
	// Period is the length of a window.
	Period time.Duration
	// PerIP, PerUser and PerNetwork count every address, user or network apart.
	// IPv6 addresses are counted by their /64, which is what one client has.
	PerIP, PerUser, PerNetwork bool
}

// DefaultMaxKeys is about 10 MB of counters.
const DefaultMaxKeys = 100_000

// The periods of eRPC. A month has 30 days and a year 365.
const (
	day   = 24 * time.Hour
	week  = 7 * day
	month = 30 * day
	year  = 365 * day
)

// MinPeriod is the shortest period: below it, clocks and round trips blur the
// count.
const MinPeriod = 100 * time.Millisecond

// ParsePeriod reads second, minute, hour, day, week, month or year, or a
// duration such as 10s.
func ParsePeriod(text string) (time.Duration, error) {
	switch text {
	case "second":
		return time.Second, nil
	case "minute":
		return time.Minute, nil
	case "hour":
		return time.Hour, nil
	case "day":
		return day, nil
	case "week":
		return week, nil
	case "month":
		return month, nil
	case "year":
		return year, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < MinPeriod || d > year {
		return 0, errors.New("must be second, minute, hour, day, week, month or year, or a duration from 100ms to a year")
	}
	return d, nil
}

// IDs lists the names of the budgets.
func (c Config) IDs() []string {
	var out []string
	for _, b := range c.Budgets {
		out = append(out, b.ID)
	}
	return out
}

// Validate reports everything that is wrong.
func (c Config) Validate() error {
	var errs []error
	var seen []string
	for _, b := range c.Budgets {
		if b.ID == "" || slices.Contains(seen, b.ID) {
			errs = append(errs, fmt.Errorf("rate limit budget %q: an id of its own is needed", b.ID))
		}
		seen = append(seen, b.ID)
		for i, r := range b.Rules {
			if r.MaxCount < 0 || r.Period < MinPeriod || r.Period > year {
				errs = append(errs, fmt.Errorf("rate limit budget %q, rule %d: the count must not be negative, and the period from 100ms to a year", b.ID, i+1))
			}
		}
	}
	if c.MaxKeys < 0 {
		errs = append(errs, errors.New("rate limits: the number of keys must not be negative"))
	}
	if c.Redis.IsSet() {
		errs = append(errs, c.Redis.Validate())
	}
	return errors.Join(errs...)
}
