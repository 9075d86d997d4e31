package ratelimit_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/ratelimit"
	"github.com/slipwayhq/slipway/internal/redisconn/redistest"
)

func allowed(decisions []ratelimit.Decision) []bool {
	out := make([]bool, len(decisions))
	for i, d := range decisions {
		out[i] = d.Allowed
	}
	return out
}

func TestAllowEach_IsAsOneAfterTheOther(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, cfg ratelimit.Config) {
		t.Helper()
		rules := []ratelimit.Rule{rule(t, "*", 6, 24*time.Hour), rule(t, "trace_*", 2, 24*time.Hour), rule(t, "debug_*", 0, time.Hour)}
		l := newLimiter(t, cfg, rules...)
		run(t, l)

		got := l.AllowEach(t.Context(), "b", ratelimit.Subject{}, []string{"trace_a", "eth_call", "trace_b", "debug_x", "trace_a", "eth_call", "eth_call", "eth_call", "eth_call"})
		require.Equal(t, []bool{true, true, true, false, false, true, true, true, false}, allowed(got), "in the order of the calls")
		require.Equal(t, "b, rule 3: 0 per 1h0m0s for debug_*", got[3].Rule)
		require.Equal(t, "b, rule 2: 2 per 24h0m0s for trace_*", got[4].Rule)
		require.Equal(t, "b, rule 1: 6 per 24h0m0s for *", got[8].Rule)
		for _, i := range []int{3, 4, 8} {
			require.Positive(t, got[i].RetryAfter)
			require.LessOrEqual(t, got[i].RetryAfter, 48*time.Hour)
		}
		require.False(t, l.Allow(t.Context(), "b", call("eth_call"), 1).Allowed, "they are counted")
	})
}

// Whatever the calls are, a batch is decided as its calls are one by one.
func TestAllowEach_AgreesWithAllow(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, cfg ratelimit.Config) {
		t.Helper()
		random := rand.New(rand.NewPCG(7, 8))
		for round := range 20 {
			cfg.Redis.KeyPrefix = fmt.Sprintf("x%d:", round)
			rules := []ratelimit.Rule{rule(t, "*", random.IntN(30), 24*time.Hour), rule(t, "a*", random.IntN(10), 24*time.Hour), rule(t, "*b", random.IntN(10), 12*time.Hour)}
			names := make([]string, 40)
			for i := range names {
				names[i] = []string{"a", "ab", "b", "c"}[random.IntN(4)]
			}
			together := newLimiter(t, cfg, rules...)
			got := append(allowed(together.AllowEach(t.Context(), "b", ratelimit.Subject{}, names[:25])), allowed(together.AllowEach(t.Context(), "b", ratelimit.Subject{}, names[25:]))...)

			cfg.Redis.KeyPrefix += "one:"
			single := newLimiter(t, cfg, rules...)
			for i, name := range names {
				require.Equal(t, single.Allow(t.Context(), "b", call(name), 1).Allowed, got[i], "%d: %s", i, name)
			}
			run(t, together)
			run(t, single)
		}
	})
}

func TestAllowAll_IsAllOrNone(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, cfg ratelimit.Config) {
		t.Helper()
		l := newLimiter(t, cfg, rule(t, "*", 5, 24*time.Hour), rule(t, "trace_*", 1, 24*time.Hour))
		run(t, l)

		d := l.AllowAll(t.Context(), "b", ratelimit.Subject{}, []string{"eth_call", "trace_a", "trace_b"})
		require.False(t, d.Allowed)
		require.Equal(t, "b, rule 2: 1 per 24h0m0s for trace_*", d.Rule)
		require.True(t, l.AllowAll(t.Context(), "b", ratelimit.Subject{}, []string{"eth_call", "trace_a", "eth_call", "eth_call", "eth_call"}).Allowed, "what was denied took nothing")
		require.False(t, l.AllowAll(t.Context(), "b", ratelimit.Subject{}, []string{"eth_call"}).Allowed)
		require.True(t, l.AllowAll(t.Context(), "", ratelimit.Subject{}, []string{"eth_call"}).Allowed)
		require.True(t, l.AllowAll(t.Context(), "b", ratelimit.Subject{}, nil).Allowed)
		require.False(t, l.AllowAll(t.Context(), "nobody", ratelimit.Subject{}, []string{"eth_call"}).Allowed)
	})
}

func TestAllowEach_AsksRedisOnce(t *testing.T) {
	t.Parallel()

	address, _ := redistest.Start(t)
	l := newLimiter(t, inRedis(address), rule(t, "*", 2000, 24*time.Hour), rule(t, "eth_*", 700, time.Hour))
	run(t, l)
	l.Allow(t.Context(), "b", call("warm_up"), 1) // Redis has the script now
	before := redistest.Scripts(t, address)
	names := make([]string, 1000)
	for i := range names {
		names[i] = fmt.Sprint("eth_", i%50)
	}
	passed := 0
	for _, d := range l.AllowEach(t.Context(), "b", ratelimit.Subject{}, names) {
		if d.Allowed {
			passed++
		}
	}
	require.Equal(t, 700, passed)
	require.Equal(t, before+1, redistest.Scripts(t, address))
}
