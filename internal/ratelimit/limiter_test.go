package ratelimit_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/ratelimit"
	"github.com/slipwayhq/slipway/internal/redisconn"
	"github.com/slipwayhq/slipway/internal/redisconn/redistest"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/telemetry"
)

func pattern(tb testing.TB, text string) methods.Pattern {
	tb.Helper()
	p, err := methods.ParsePattern(text)
	require.NoError(tb, err)
	return p
}

func rule(tb testing.TB, methods string, count int, period time.Duration) ratelimit.Rule {
	tb.Helper()
	return ratelimit.Rule{Methods: pattern(tb, methods), MaxCount: count, Period: period}
}

func newLimiter(tb testing.TB, cfg ratelimit.Config, rules ...ratelimit.Rule) *ratelimit.Limiter {
	tb.Helper()
	l, _ := counted(tb, cfg, rules...)
	return l
}

func counted(tb testing.TB, cfg ratelimit.Config, rules ...ratelimit.Rule) (*ratelimit.Limiter, telemetry.Factory) {
	tb.Helper()
	factory := telemetry.NewFactory()
	cfg.Budgets = []ratelimit.Budget{{ID: "b", Rules: rules}}
	l, err := ratelimit.New(cfg, ratelimit.NewMetrics(factory, "gateway"))
	require.NoError(tb, err)
	return l, factory
}

// run lets a limiter run until the test ends.
func run(t *testing.T, l *ratelimit.Limiter) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx, func() {}) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
}

// passes counts how many of many requests are let through.
func passes(tb testing.TB, l *ratelimit.Limiter, s ratelimit.Subject, many int) int {
	tb.Helper()
	n := 0
	for range many {
		if l.Allow(tb.Context(), "b", s, 1).Allowed {
			n++
		}
	}
	return n
}

func call(method string) ratelimit.Subject { return ratelimit.Subject{Method: method} }

// everywhere runs a test with counters in memory and in Redis. A period of an
// hour does not end while it runs, but for the chance of its turn.
func everywhere(t *testing.T, test func(t *testing.T, cfg ratelimit.Config)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		test(t, ratelimit.Config{})
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		address, _ := redistest.Start(t)
		test(t, inRedis(address))
	})
	t.Run("redis cluster", func(t *testing.T) {
		t.Parallel()
		test(t, ratelimit.Config{Redis: redisconn.Config{Cluster: []string{redistest.StartCluster(t)}, Timeout: 10 * time.Second, KeyPrefix: "x:"}})
	})
}

func inRedis(address string) ratelimit.Config {
	return ratelimit.Config{Redis: redisconn.Config{URL: secret.New("redis://" + address + "/1"), Timeout: 10 * time.Second, KeyPrefix: "x:"}}
}

func TestAllow_AllRulesThatMatch(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, cfg ratelimit.Config) {
		t.Helper()
		l := newLimiter(t, cfg, rule(t, "*", 10, 24*time.Hour), rule(t, "trace_*", 3, 24*time.Hour), rule(t, "debug_*", 0, time.Hour))
		run(t, l)

		require.Equal(t, 3, passes(t, l, call("trace_block"), 5))
		require.Equal(t, 0, passes(t, l, call("debug_x"), 2))
		require.Equal(t, 7, passes(t, l, call("eth_call"), 20), "what was denied took nothing")
		d := l.Allow(t.Context(), "b", call("trace_block"), 1)
		require.False(t, d.Allowed)
		require.Equal(t, "b, rule 1: 10 per 24h0m0s for *", d.Rule)
		require.Positive(t, d.RetryAfter)
		require.LessOrEqual(t, d.RetryAfter, 48*time.Hour)
	})
}

func TestAllow_ManyAreAllOrNone(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, cfg ratelimit.Config) {
		t.Helper()
		l := newLimiter(t, cfg, rule(t, "*", 10, 24*time.Hour))
		run(t, l)
		require.True(t, l.Allow(t.Context(), "b", call("eth_call"), 8).Allowed)
		require.False(t, l.Allow(t.Context(), "b", call("eth_call"), 3).Allowed)
		require.True(t, l.Allow(t.Context(), "b", call("eth_call"), 2).Allowed)
		require.False(t, l.Allow(t.Context(), "b", call("eth_call"), 1).Allowed)
	})
}

func TestAllow_CountsApart(t *testing.T) {
	t.Parallel()
	subject := func(user, ip, network string) ratelimit.Subject {
		return ratelimit.Subject{Method: "eth_call", User: user, IP: netip.MustParseAddr(ip), Network: network}
	}
	everywhere(t, func(t *testing.T, cfg ratelimit.Config) {
		t.Helper()
		perUser, perIP := rule(t, "eth_*", 2, 24*time.Hour), rule(t, "eth_*", 4, 24*time.Hour)
		perUser.PerUser, perUser.PerNetwork, perIP.PerIP = true, true, true
		l := newLimiter(t, cfg, perUser, perIP)
		run(t, l)

		require.Equal(t, 2, passes(t, l, subject("alice", "192.0.2.1", "evm:1"), 5))
		require.Equal(t, 2, passes(t, l, subject("alice", "192.0.2.1", "evm:2"), 5))
		require.Equal(t, 0, passes(t, l, subject("bob", "192.0.2.1", "evm:1"), 5), "the address has had its share")
		require.Equal(t, 2, passes(t, l, subject("bob", "2001:db8::1", "evm:1"), 5))
		require.Equal(t, 2, passes(t, l, subject("carol", "2001:db8::2", "evm:1"), 5))
		require.Equal(t, 0, passes(t, l, subject("dave", "2001:db8::3", "evm:1"), 5), "the same /64")
		require.Equal(t, 2, passes(t, l, subject("dave", "2001:db8:0:1::3", "evm:1"), 5))
		require.Equal(t, 2, passes(t, l, subject(`dave":ip=`, "192.0.2.9", "evm:1"), 5))
	})
}

func TestAllow_ByName(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, ratelimit.Config{}, rule(t, "eth_call", 0, time.Second))
	require.True(t, l.Allow(t.Context(), "", call("eth_call"), 1).Allowed)
	require.True(t, l.Allow(t.Context(), "b", call("eth_gasPrice"), 1).Allowed, "no rule is for it")
	require.True(t, l.Allow(t.Context(), "b", call("eth_call"), 0).Allowed)
	require.Equal(t, ratelimit.Decision{Rule: "budget typo is not defined"}, l.Allow(t.Context(), "typo", call("eth_call"), 1))
	require.True(t, l.Has("b"))
	require.False(t, l.Has("typo"))
}

func TestAllow_SlidesInMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, ratelimit.Config{}, rule(t, "*", 10, time.Second))
		require.Equal(t, 10, passes(t, l, call("eth_call"), 20))
		d := l.Allow(t.Context(), "b", call("eth_call"), 1)
		require.Equal(t, 1100*time.Millisecond, d.RetryAfter)
		<-time.After(d.RetryAfter)
		require.Equal(t, 1, passes(t, l, call("eth_call"), 20))
		<-time.After(500 * time.Millisecond)
		require.Equal(t, 5, passes(t, l, call("eth_call"), 20))
		<-time.After(time.Hour)
		require.Equal(t, 10, passes(t, l, call("eth_call"), 20))
	})
}

func TestAllow_SlidesInRedis(t *testing.T) {
	t.Parallel()
	address, _ := redistest.Start(t)
	l := newLimiter(t, inRedis(address), rule(t, "*", 10, 200*time.Millisecond))
	run(t, l)
	begin := time.Now()
	n := 0
	for time.Since(begin) < 2*time.Second {
		d := l.Allow(t.Context(), "b", call("eth_call"), 1)
		if d.Allowed {
			n++
			continue
		}
		require.LessOrEqual(t, d.RetryAfter, 400*time.Millisecond)
		<-time.After(d.RetryAfter)
	}
	windows := int(time.Since(begin)/(200*time.Millisecond)) + 2
	require.LessOrEqual(t, n, 10*windows)
	require.Greater(t, n, 20)
}

func TestAllow_ConcurrentRequestsNeverExceed(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, cfg ratelimit.Config) {
		t.Helper()
		perUser := rule(t, "*", 30, 24*time.Hour)
		perUser.PerUser = true
		l := newLimiter(t, cfg, perUser, rule(t, "*", 50, 24*time.Hour))
		run(t, l)
		var passed atomic.Int32
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				passed.Add(int32(passes(t, l, ratelimit.Subject{Method: "eth_call", User: fmt.Sprint(i % 2)}, 20)))
			})
		}
		all.Wait()
		require.Equal(t, int32(50), passed.Load())
	})
}

func TestAllow_ReplicasShareABudget(t *testing.T) {
	t.Parallel()
	address, stop := redistest.Start(t)
	one, counts := counted(t, inRedis(address), rule(t, "*", 10, 24*time.Hour))
	two := newLimiter(t, inRedis(address), rule(t, "*", 10, 24*time.Hour))
	run(t, one)
	run(t, two)

	require.Equal(t, 6, passes(t, one, call("eth_call"), 6))
	require.Equal(t, 4, passes(t, two, call("eth_call"), 6))
	require.Equal(t, 0, passes(t, one, call("eth_call"), 6))
	requireKeysExpire(t, address)

	stop()
	begin := time.Now()
	require.Equal(t, 10, passes(t, one, call("eth_call"), 20), "each counts alone")
	require.Equal(t, 10, passes(t, two, call("eth_call"), 20))
	require.Less(t, time.Since(begin), 5*time.Second)
	require.InDelta(t, 20, value(t, counts, "gateway_ratelimit_degraded_total"), 0)

	redistest.StartAt(t, address)
	require.Eventually(t, func() bool {
		before := value(t, counts, "gateway_ratelimit_degraded_total")
		one.Allow(t.Context(), "b", call("eth_call"), 1)
		return value(t, counts, "gateway_ratelimit_degraded_total") == before
	}, 20*time.Second, 50*time.Millisecond, "Redis is used again")
}

// requireKeysExpire says that no counter stays for ever, and that all have the
// prefix.
func requireKeysExpire(t *testing.T, address string) {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: address, DB: 1})
	defer func() { require.NoError(t, client.Close()) }()
	keys, err := client.Keys(t.Context(), "*").Result()
	require.NoError(t, err)
	require.NotEmpty(t, keys)
	for _, key := range keys {
		require.True(t, strings.HasPrefix(key, "x:"), key)
		ttl, err := client.PTTL(t.Context(), key).Result()
		require.NoError(t, err)
		require.Positive(t, ttl, key)
	}
}

func value(t *testing.T, f telemetry.Factory, name string) float64 {
	t.Helper()
	families, err := f.Gatherer().Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0].GetCounter().GetValue()
		}
	}
	return 0
}

// However many clients there are, memory is bounded, and those who come often
// are still counted.
func TestAllow_KeysAreBounded(t *testing.T) {
	t.Parallel()
	perUser := rule(t, "*", 5, 24*time.Hour)
	perUser.PerUser = true
	l := newLimiter(t, ratelimit.Config{MaxKeys: 64}, perUser)
	for i := range 10_000 {
		l.Allow(t.Context(), "b", ratelimit.Subject{Method: "eth_call", User: fmt.Sprint(i)}, 1)
	}
	require.LessOrEqual(t, l.Keys(), 64)
	require.Equal(t, 5, passes(t, l, ratelimit.Subject{Method: "eth_call", User: "often"}, 20))
}

func TestConfig_Validate(t *testing.T) {
	t.Parallel()
	good := rule(t, "*", 1, time.Second)
	for want, cfg := range map[string]ratelimit.Config{
		`rate limit budget "": an id of its own is needed`:                                                   {Budgets: []ratelimit.Budget{{}}},
		`rate limit budget "a": an id of its own is needed`:                                                  {Budgets: []ratelimit.Budget{{ID: "a"}, {ID: "a"}}},
		`rate limit budget "a", rule 2: the count must not be negative, and the period from 100ms to a year`: {Budgets: []ratelimit.Budget{{ID: "a", Rules: []ratelimit.Rule{good, {MaxCount: 1}}}}},
		`rate limits: the number of keys must not be negative`:                                               {MaxKeys: -1},
		`redis timeout: must be more than zero`:                                                              {Redis: redisconn.Config{URL: secret.New("redis://a:1")}},
	} {
		require.EqualError(t, cfg.Validate(), want)
	}
}

func TestParsePeriod(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"second": time.Second, "minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour, "week": 168 * time.Hour,
		"month": 720 * time.Hour, "year": 8760 * time.Hour, "10s": 10 * time.Second,
	} {
		got, err := ratelimit.ParsePeriod(text)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, text := range []string{"", "decade", "1ms", "-1s", "9000h"} {
		_, err := ratelimit.ParsePeriod(text)
		require.Error(t, err, text)
	}
}

func BenchmarkAllow(b *testing.B) {
	perIP := rule(b, "*", 1<<40, time.Second)
	perIP.PerIP = true
	l := newLimiter(b, ratelimit.Config{}, rule(b, "*", 1<<40, time.Second), perIP)
	s := ratelimit.Subject{Method: "eth_call", IP: netip.MustParseAddr("192.0.2.1")}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if !l.Allow(context.Background(), "b", s, 1).Allowed {
				b.Error("denied")
			}
		}
	})
}
