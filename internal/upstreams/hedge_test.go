package upstreams

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// attemptTaking is an attempt that ends with an outcome, or when it is cancelled.
func attemptTaking(d time.Duration, outcome Outcome, name string) func(context.Context) verdict {
	return func(ctx context.Context) verdict {
		select {
		case <-time.After(d):
			return verdict{outcome: outcome, result: []byte(name)}
		case <-ctx.Done():
			return verdict{outcome: classifyFailure(ctx, ctx.Err()), result: []byte(name)}
		}
	}
}

func TestHedge(t *testing.T) {
	t.Parallel()

	const delay = 100 * time.Millisecond
	cases := map[string]struct {
		firstTakes, secondTakes time.Duration
		first, second           Outcome
		want                    string
		outcome                 Outcome
		hedged, lost            bool
		took                    time.Duration
	}{
		"a quick answer starts nothing":        {10 * time.Millisecond, time.Hour, OutcomeOK, OutcomeOK, "first", OutcomeOK, false, false, 10 * time.Millisecond},
		"a quick failure starts nothing":       {10 * time.Millisecond, 0, OutcomeBroken, OutcomeOK, "first", OutcomeBroken, false, false, 10 * time.Millisecond},
		"a faster second answer wins":          {3 * time.Second, 10 * time.Millisecond, OutcomeOK, OutcomeOK, "second", OutcomeOK, true, true, 110 * time.Millisecond},
		"a revert from the second wins":        {3 * time.Second, 10 * time.Millisecond, OutcomeOK, OutcomeClientFault, "second", OutcomeClientFault, true, true, 110 * time.Millisecond},
		"the first may still win":              {150 * time.Millisecond, time.Second, OutcomeOK, OutcomeOK, "first", OutcomeOK, true, false, 150 * time.Millisecond},
		"a failed second does not win":         {time.Second, time.Millisecond, OutcomeOK, OutcomeBroken, "first", OutcomeOK, true, false, time.Second},
		"a failed first waits for the second":  {150 * time.Millisecond, time.Second, OutcomeBroken, OutcomeOK, "second", OutcomeOK, true, true, 1100 * time.Millisecond},
		"of two failures the better one stays": {150 * time.Millisecond, time.Second, OutcomeBroken, OutcomeMissing, "second", OutcomeMissing, true, true, 1100 * time.Millisecond},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			synctest.Test(t, func(t *testing.T) { // fails when a goroutine is left
				begin := time.Now()
				v, hedged, lost := hedge(t.Context(), delay, attemptTaking(c.firstTakes, c.first, "first"), attemptTaking(c.secondTakes, c.second, "second"))

				require.Equal(t, c.want, string(v.result))
				require.Equal(t, c.outcome.String(), v.outcome.String())
				require.Equal(t, c.hedged, hedged)
				require.Equal(t, c.lost, lost)
				require.Equal(t, c.took, time.Since(begin))
			})
		})
	}
}

func TestHedge_LoserIsToldWhy(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		var loser Outcome
		_, _, lost := hedge(t.Context(), time.Millisecond, func(ctx context.Context) verdict {
			v := attemptTaking(time.Hour, OutcomeOK, "")(ctx)
			loser = v.outcome
			return v
		}, attemptTaking(time.Millisecond, OutcomeOK, ""))
		require.True(t, lost)
		require.Equal(t, OutcomeLostRace.String(), loser.String())
	})
}

func TestHedgeDelay_IsBounded(t *testing.T) {
	t.Parallel()

	for p95, want := range map[time.Duration]time.Duration{
		0: 50 * time.Millisecond, 200 * time.Millisecond: 200 * time.Millisecond, time.Minute: time.Second,
	} {
		u := &Upstream{}
		u.recent.Store(&latencies{sorted: [latencySamples]time.Duration{p95}, count: 1})
		require.Equal(t, want, hedgeDelay(DefaultFailsafe(), u, &Upstream{}))
	}
	require.Equal(t, time.Second, hedgeDelay(DefaultFailsafe(), &Upstream{}, &Upstream{isFallback: true}))
}

func TestHedgeDelay_IsOfTheConfiguredQuantile(t *testing.T) {
	t.Parallel()

	u := &Upstream{}
	l := &latencies{count: latencySamples}
	for i := range l.sorted {
		l.sorted[i] = time.Duration(i) * 10 * time.Millisecond
	}
	u.recent.Store(l)
	fs := DefaultFailsafe()
	for quantile, want := range map[float64]time.Duration{0.25: 160 * time.Millisecond, 0.5: 320 * time.Millisecond, 0.9: 570 * time.Millisecond} {
		fs.HedgeQuantile = quantile
		require.Equal(t, want, hedgeDelay(fs, u, &Upstream{}))
	}
	fs.HedgeQuantile, fs.HedgeBase = 0.25, 100*time.Millisecond
	require.Equal(t, 260*time.Millisecond, hedgeDelay(fs, u, &Upstream{}), "the base comes on top")
}

func TestHedge_APanicComesBackToTheCaller(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		require.PanicsWithValue(t, "a bug", func() {
			hedge(t.Context(), time.Millisecond,
				func(context.Context) verdict { <-time.After(time.Second); return verdict{outcome: OutcomeBroken} },
				func(context.Context) verdict { panic("a bug") })
		})
	})
}
