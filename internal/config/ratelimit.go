package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/ratelimit"
	"github.com/slipwayhq/slipway/internal/redisconn"
	"github.com/slipwayhq/slipway/internal/sharedstate"
)

// RateLimitersFile is the section rateLimiters.
type RateLimitersFile struct {
	// Where requests are counted.
	Store RateLimitStoreFile `yaml:"store,omitempty"`
	// Budgets, to which rateLimitBudget elsewhere refers.
	Budgets []RateLimitBudgetFile `yaml:"budgets,omitempty"`
}

// RateLimitStoreFile is where requests are counted.
type RateLimitStoreFile struct {
	// Where: memory (each gateway alone) or redis (all together; while Redis is away, each alone). Left out, memory.
	Driver string `yaml:"driver,omitempty"`
	// With driver redis: which.
	Redis *RedisFile `yaml:"redis,omitempty"`
	// What the keys in Redis begin with; left out, slipway:ratelimit:.
	CacheKeyPrefix string `yaml:"cacheKeyPrefix,omitempty"`
}

// RateLimitBudgetFile is a list of rules under a name.
type RateLimitBudgetFile struct {
	// Name of the budget.
	ID string `yaml:"id"`
	// Rules; all that match a method must have room.
	Rules []RateLimitRuleFile `yaml:"rules"`
}

// RateLimitRuleFile bounds requests.
type RateLimitRuleFile struct {
	// Methods the rule is for, as a pattern; they share one count. Left out, all.
	Method string `yaml:"method,omitempty"`
	// How many requests are let through in a period; 0 lets none through.
	MaxCount *int `yaml:"maxCount"`
	// Length of the sliding window: second, minute, hour, day, week, month (30 days), year, or a duration such as 10s.
	Period string `yaml:"period"`
	// Whether every client address is counted apart; of IPv6, every /64.
	PerIP bool `yaml:"perIP,omitempty"` //nolint:tagliatelle // as eRPC spells it
	// Whether every client is counted apart; those without a name are counted together.
	PerUser bool `yaml:"perUser,omitempty"`
	// Whether every network is counted apart.
	PerNetwork bool `yaml:"perNetwork,omitempty"`
}

// SharedStateFile is the section database.sharedState.
type SharedStateFile struct {
	// Name of the installation; gateways with the same name share. Left out, clusterKey of the file, or slipway.
	ClusterKey string `yaml:"clusterKey,omitempty"`
	// Where: driver redis, or memory, which shares nothing.
	Connector ConnectorFile `yaml:"connector,omitempty"`
	// Time for one use of Redis; requests never wait for it.
	FallbackTimeout time.Duration `yaml:"fallbackTimeout,omitempty"`
}

// Defaults of the two uses of Redis.
const (
	rateLimitPrefix    = "slipway:ratelimit:"
	rateLimitTimeout   = 50 * time.Millisecond // a request waits for it
	sharedStatePrefix  = "slipway:state:"
	sharedStateTimeout = time.Second // nobody waits for it
	defaultCluster     = "slipway"
)

func (f RateLimitersFile) config(r *report) ratelimit.Config {
	const path = "rateLimiters"
	var out ratelimit.Config
	switch f.Store.Driver {
	case "", "memory":
	case "redis":
		if f.Store.Redis == nil {
			r.fail(path+".store.driver", "the section redis is needed with driver redis")
			break
		}
		out.Redis = f.Store.Redis.conn(path+".store.redis", rateLimitTimeout, r)
		if out.Redis.KeyPrefix = f.Store.CacheKeyPrefix; out.Redis.KeyPrefix == "" {
			out.Redis.KeyPrefix = rateLimitPrefix
		}
	default:
		r.fail(path+".store.driver", "must be memory or redis, is %q", f.Store.Driver)
	}
	for i, b := range f.Budgets {
		at := path + ".budgets[" + strconv.Itoa(i) + "]"
		if b.ID == "" {
			r.fail(at+".id", "is needed")
		} else if slices.Contains(out.IDs(), b.ID) {
			r.fail(at+".id", "a second budget %q", b.ID)
		}
		made := ratelimit.Budget{ID: b.ID}
		for j, rule := range b.Rules {
			made.Rules = append(made.Rules, rule.rule(at+".rules["+strconv.Itoa(j)+"]", r))
		}
		out.Budgets = append(out.Budgets, made)
	}
	return out
}

func (f RateLimitRuleFile) rule(path string, r *report) ratelimit.Rule {
	out := ratelimit.Rule{PerIP: f.PerIP, PerUser: f.PerUser, PerNetwork: f.PerNetwork}
	var err error
	pattern := f.Method
	if pattern == "" {
		pattern = "*"
	}
	if out.Methods, err = methods.ParsePattern(pattern); err != nil {
		r.fail(path+".method", "%s", err)
	}
	if f.MaxCount == nil {
		r.fail(path+".maxCount", "is needed")
	} else {
		atLeast(f.MaxCount, 0, path+".maxCount", r)
		out.MaxCount = *f.MaxCount
	}
	if out.Period, err = ratelimit.ParsePeriod(f.Period); err != nil {
		r.fail(path+".period", "%s", err)
	}
	return out
}

// checkBudget says whether a budget that is named somewhere is defined.
func checkBudget(path, name string, budgets []string, r *report) {
	if name == "" || slices.Contains(budgets, name) {
		return
	}
	text := fmt.Sprintf("there is no budget %q under rateLimiters", name)
	if near := nearest(name, budgets); near != "" {
		text += fmt.Sprintf("; did you mean %q?", near)
	}
	r.fail(path, "%s", text)
}

func (f SharedStateFile) config(clusterKey string, r *report) sharedstate.Config {
	const path = "database.sharedState.connector"
	out := sharedstate.Config{Cluster: cmp.Or(f.ClusterKey, clusterKey, defaultCluster)}
	switch f.Connector.Driver {
	case "", "memory":
	case "redis":
		out.Redis = f.Connector.Redis.conn(path+".redis", sharedStateTimeout, r)
		out.Redis.KeyPrefix = sharedStatePrefix
		if f.FallbackTimeout > 0 {
			out.Redis.Timeout = f.FallbackTimeout
		}
	default:
		r.fail(path+".driver", "must be memory or redis, is %q", f.Connector.Driver)
	}
	return out
}

// conn says where Redis is. The timeout holds if the file has none.
func (f RedisFile) conn(path string, timeout time.Duration, r *report) redisconn.Config {
	out := redisconn.Config{Timeout: timeout}
	f.connect(path, &out, r)
	return out
}

// rateLimiters is the section with its defaults.
func (g Gateway) rateLimiters() *RateLimitersFile {
	if g.file.RateLimiters == nil {
		return nil
	}
	out := *g.file.RateLimiters
	if redis := g.App.RateLimits.Redis; redis.IsSet() {
		file := redisFile(redis)
		out.Store.CacheKeyPrefix, file.KeyPrefix = file.KeyPrefix, ""
		out.Store.Redis = &file
	}
	return &out
}

// sharedState is the section with its defaults.
func (g Gateway) sharedState() *SharedStateFile {
	if g.file.Database.SharedState == nil {
		return nil
	}
	out := *g.file.Database.SharedState
	out.ClusterKey = g.App.SharedState.Cluster
	if redis := g.App.SharedState.Redis; redis.IsSet() {
		out.Connector.Redis = redisFile(redis)
		out.Connector.Redis.KeyPrefix = "" // always the same
		out.FallbackTimeout = redis.Timeout
	}
	return &out
}
