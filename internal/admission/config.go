package admission

import (
	"errors"
	"time"

	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/ratelimit"
)

// RateLimit bounds transactions and signatures that are asked for. Each replica
// counts alone, in windows that slide. 0 is no limit.
type RateLimit struct {
	// TenantPerMinute is the most a tenant may ask for in a minute.
	TenantPerMinute int `yaml:"tenantPerMinute"`
	// TenantPerHour is the most a tenant may ask for in an hour.
	TenantPerHour int `yaml:"tenantPerHour"`
	// SenderPerMinute is the most that may be asked for one sender in a minute.
	SenderPerMinute int `yaml:"senderPerMinute"`
	// SenderPerHour is the most that may be asked for one sender in an hour.
	SenderPerHour int `yaml:"senderPerHour"`
}

// Validate reports what is wrong.
func (r RateLimit) Validate() error {
	if min(r.TenantPerMinute, r.TenantPerHour, r.SenderPerMinute, r.SenderPerHour) < 0 {
		return errors.New("rateLimit: must not be negative")
	}
	return nil
}

// The budgets.
const (
	tenantBudget = "tenant"
	senderBudget = "sender"
)

// config is the limits for package ratelimit.
func (r RateLimit) config() ratelimit.Config {
	return ratelimit.Config{Budgets: []ratelimit.Budget{
		{ID: tenantBudget, Rules: rules(r.TenantPerMinute, r.TenantPerHour)},
		{ID: senderBudget, Rules: rules(r.SenderPerMinute, r.SenderPerHour)},
	}}
}

func rules(perMinute, perHour int) []ratelimit.Rule {
	var out []ratelimit.Rule
	for _, limit := range []struct {
		count  int
		period time.Duration
	}{{perMinute, time.Minute}, {perHour, time.Hour}} {
		if limit.count > 0 {
			out = append(out, ratelimit.Rule{Methods: methods.AnyMethod(), MaxCount: limit.count, Period: limit.period, PerUser: true})
		}
	}
	return out
}
