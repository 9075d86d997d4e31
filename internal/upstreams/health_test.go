package upstreams

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var start = time.Unix(1_800_000_000, 0) //nolint:gochecknoglobals // a constant that cannot be written as one

func TestHealth_ThreeFailuresInARowTakeThePlace(t *testing.T) {
	t.Parallel()

	h := newHealth()
	h.failed(start)
	h.failed(start)
	h.answered(start, time.Millisecond)
	h.failed(start)
	h.failed(start)
	require.False(t, h.isDown, "an answer in between")
	h.failed(start)
	require.True(t, h.isDown)

	h.answered(start, time.Millisecond)
	require.True(t, h.isDown, "only probes bring it back")
	h.probed(start)
	require.False(t, h.isDown)
}

func TestHealth_RelapsesNeedMoreProbes(t *testing.T) {
	t.Parallel()

	h, now := newHealth(), start
	fall := func() {
		for !h.isDown {
			h.failed(now)
		}
	}
	rise := func() (probes int) {
		for h.isDown {
			h.probed(now)
			probes++
		}
		return probes
	}
	fall()
	for _, want := range []int{1, 2, 4, 8, 16, 32, 32} {
		require.Equal(t, want, rise())
		h.failed(now) // a node that answers nothing but probes falls at once
		require.True(t, h.isDown)
		now = now.Add(time.Second)
	}
	h.probesGood = 0
	rise()
	now = now.Add(time.Hour)
	fall()
	require.Equal(t, 1, rise(), "after an hour of good service all is forgotten")
}

func TestHealth_ProbesMustBeInARow(t *testing.T) {
	t.Parallel()

	h := newHealth()
	for range 3 {
		h.failed(start)
	}
	h.probesNeeded = 2
	h.probed(start)
	h.failed(start)
	h.probed(start)
	require.True(t, h.isDown)
	h.probed(start)
	require.False(t, h.isDown)
}

func TestHealth_Score(t *testing.T) {
	t.Parallel()

	fast, slow, flaky := newHealth(), newHealth(), newHealth()
	for i := range 100 {
		fast.answered(start, time.Duration(i%10+1)*time.Millisecond)
		slow.answered(start, 300*time.Millisecond)
		flaky.answered(start, time.Millisecond)
		if i%5 == 0 {
			flaky.failed(start)
		}
	}
	require.Zero(t, fast.score(start))
	require.Equal(t, score{latency: 3}, slow.score(start))
	require.Equal(t, score{failures: 4}, flaky.score(start), "one tenth of failures (20 of 120, rounded down)")
	require.Zero(t, flaky.score(start.Add(40*time.Second)), "the window has passed")
	require.Zero(t, newHealth().score(start))
}

func TestHealth_Percentiles(t *testing.T) {
	t.Parallel()

	h := newHealth()
	h.answered(start, 7*time.Millisecond)
	require.Equal(t, 7*time.Millisecond, h.recent.quantile(0.95), "one sample is better than none")
	for i := range 128 {
		h.answered(start, time.Duration(i%64+1)*time.Millisecond)
	}
	require.InDelta(t, 61, h.recent.quantile(0.95).Milliseconds(), 2)
	require.InDelta(t, 33, h.recent.quantile(0.5).Milliseconds(), 2)
	require.InDelta(t, 17, h.recent.quantile(0.25).Milliseconds(), 2)
	require.Equal(t, 64*time.Millisecond, h.recent.quantile(0.999))
	require.Zero(t, (*latencies)(nil).quantile(0.5))
}
