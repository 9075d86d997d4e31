package webhooks

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Config is where and how webhooks are delivered.
type Config struct {
	// AllowNetworks are networks (CIDR) that receivers may be in although they are
	// private, such as 10.42.0.0/16 for those in the cluster. Public addresses are
	// always allowed, and addresses of cloud metadata services never.
	AllowNetworks []string `yaml:"allowNetworks"`
	// AllowHTTP lets receivers have http:// URLs.
	AllowHTTP bool `yaml:"allowHttp"`
	// MaxPerTenant is the most webhooks of a tenant.
	MaxPerTenant int `yaml:"maxPerTenant"`
	// Concurrency is the most deliveries at a time of this replica, for all
	// receivers together.
	Concurrency int `yaml:"concurrency"`
	// PerWebhook is the most deliveries at a time of this replica to one receiver.
	PerWebhook int `yaml:"perWebhook"`
	// Timeout is how long a receiver has to answer.
	Timeout time.Duration `yaml:"timeout"`
	// Lease is after how long another replica takes over what a dead one was doing.
	Lease time.Duration `yaml:"lease"`
	// MaxBackoff is the longest pause between two attempts. The first is 1s, and
	// each is twice the one before.
	MaxBackoff time.Duration `yaml:"maxBackoff"`
	// GiveUpAfter is how old a delivery gets before a failed attempt is its last.
	GiveUpAfter time.Duration `yaml:"giveUpAfter"`
	// KeepDelivered is how long deliveries are listed once they have arrived.
	KeepDelivered time.Duration `yaml:"keepDelivered"`
	// KeepDead is how long deliveries that were given up can be repeated.
	KeepDead time.Duration `yaml:"keepDead"`
	// Poll is how often the database is asked for work.
	Poll time.Duration `yaml:"poll"`
}

// Default returns the configuration that needs no change.
func Default() Config {
	const day = 24 * time.Hour
	return Config{
		MaxPerTenant: 100, Concurrency: 64, PerWebhook: 8, Timeout: 5 * time.Second, Lease: 30 * time.Second,
		MaxBackoff: time.Hour, GiveUpAfter: day, KeepDelivered: 7 * day, KeepDead: 30 * day, Poll: 250 * time.Millisecond,
	}
}

// Validate reports all problems at once.
func (c Config) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("webhooks."+format, args...))
		}
	}
	for _, text := range c.AllowNetworks {
		_, err := netip.ParsePrefix(text)
		check(err == nil, "allowNetworks: %q is no network such as 10.0.0.0/8", text)
	}
	check(c.MaxPerTenant >= 1, "maxPerTenant: must be at least 1")
	check(c.Concurrency >= 1 && c.Concurrency <= 1000, "concurrency: must be between 1 and 1000")
	check(c.PerWebhook >= 1 && c.PerWebhook <= 100, "perWebhook: must be between 1 and 100")
	check(c.Timeout >= 100*time.Millisecond && c.Timeout <= time.Minute, "timeout: must be between 100ms and 1m")
	check(c.Lease >= 2*c.Timeout, "lease: must be at least twice the timeout")
	check(c.MaxBackoff >= firstBackoff, "maxBackoff: must be at least 1s")
	check(c.GiveUpAfter >= time.Second, "giveUpAfter: must be at least 1s")
	check(c.KeepDelivered >= 0, "keepDelivered: must not be negative")
	check(c.KeepDead >= time.Hour, "keepDead: must be at least 1h")
	check(c.Poll >= 10*time.Millisecond && c.Poll <= time.Minute, "poll: must be between 10ms and 1m")
	return errors.Join(errs...)
}

func (c Config) networks() []netip.Prefix {
	var out []netip.Prefix
	for _, text := range c.AllowNetworks {
		if p, err := netip.ParsePrefix(text); err == nil {
			out = append(out, p.Masked())
		}
	}
	return out
}
