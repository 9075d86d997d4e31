package config

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

func ptr[T any](v T) *T { return &v }

func TestPoolRule(t *testing.T) {
	t.Parallel()

	all, err := methods.ParsePattern("*")
	require.NoError(t, err)
	cases := map[string]struct {
		rule FailsafeRule
		want upstreams.Rule
	}{
		"nothing": {FailsafeRule{}, upstreams.Rule{Methods: all}},
		"everything": {
			FailsafeRule{
				MatchFinality: []string{"finalized", "unknown"},
				Timeout:       &AdaptiveDuration{Base: ptr(45 * time.Second)},
				Retry:         &RetryRule{MaxAttempts: ptr(3), Delay: ptr(time.Second), BackoffFactor: ptr(2.0), BackoffMaxDelay: ptr(time.Minute), Jitter: ptr(time.Millisecond)},
				Hedge:         &HedgeRule{Delay: &AdaptiveDuration{Quantile: ptr(0.9), Min: ptr(200 * time.Millisecond), Max: ptr(4 * time.Second)}, MaxCount: ptr(1)},
			},
			upstreams.Rule{
				Methods: all, Finalities: []upstreams.Finality{upstreams.Finalized, upstreams.UnknownBlock}, Timeout: ptr(45 * time.Second),
				Rounds: ptr(3), Pause: ptr(time.Second), PauseFactor: ptr(2.0), PauseMax: ptr(time.Minute), PauseJitter: ptr(time.Millisecond),
				MaxHedges: ptr(1), HedgeQuantile: ptr(0.9), HedgeMinDelay: ptr(200 * time.Millisecond), HedgeMaxDelay: ptr(4 * time.Second),
			},
		},
		"a hedge after a fixed time": {
			FailsafeRule{Hedge: &HedgeRule{Delay: &AdaptiveDuration{Base: ptr(250 * time.Millisecond)}}},
			upstreams.Rule{Methods: all, MaxHedges: ptr(2), HedgeMinDelay: ptr(250 * time.Millisecond), HedgeMaxDelay: ptr(250 * time.Millisecond)},
		},
		"a base on top of a quantile": {
			FailsafeRule{Hedge: &HedgeRule{Delay: &AdaptiveDuration{Base: ptr(100 * time.Millisecond), Quantile: ptr(0.5), Max: ptr(time.Second)}, MaxCount: ptr(3)}},
			upstreams.Rule{Methods: all, MaxHedges: ptr(3), HedgeBase: ptr(100 * time.Millisecond), HedgeQuantile: ptr(0.5), HedgeMaxDelay: ptr(time.Second)},
		},
		"no hedge":            {FailsafeRule{Hedge: &HedgeRule{MaxCount: ptr(0)}}, upstreams.Rule{Methods: all, MaxHedges: ptr(0)}},
		"an adaptive timeout": {FailsafeRule{Timeout: &AdaptiveDuration{Quantile: ptr(0.99), Base: ptr(time.Second), Max: ptr(time.Minute)}}, upstreams.Rule{Methods: all, Timeout: ptr(time.Minute)}},
	}
	for name, c := range cases {
		require.Equal(t, c.want, c.rule.poolRule(all), name)
	}
}
