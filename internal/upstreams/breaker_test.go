package upstreams

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBreaker(t *testing.T) {
	t.Parallel()

	b := newBreaker(Breaker{Failures: 3, Of: 5, OpenFor: time.Minute, Successes: 2, Trials: 3}, "*")
	now := time.Duration(0)
	answer := func(outcomes ...Outcome) {
		for _, o := range outcomes {
			b.begin()
			b.end(now, o)
		}
	}
	answer(OutcomeTimeout, OutcomeOK, OutcomeOK, OutcomeLostRace, OutcomeCanceled, OutcomeRateLimited, OutcomeClientFault)
	require.Equal(t, breakerClosed, b.state(now))
	answer(OutcomeBroken)
	require.Equal(t, breakerClosed, b.state(now), "the first failure is too long ago")
	answer(OutcomeRefused)
	require.True(t, b.isOpen(now))

	now += time.Minute
	require.Equal(t, breakerHalfOpen, b.state(now))
	b.begin()
	b.begin()
	require.False(t, b.isOpen(now))
	b.begin()
	require.True(t, b.isOpen(now), "no more trials at once than are looked at")
	b.end(now, OutcomeCanceled)
	b.end(now, OutcomeTimeout)
	require.False(t, b.isOpen(now), "one of three may fail")
	b.end(now, OutcomeTimeout)
	require.True(t, b.isOpen(now))

	now += time.Minute
	answer(OutcomeOK, OutcomeOK)
	require.Equal(t, breakerClosed, b.state(now))
	answer(OutcomeTimeout, OutcomeTimeout)
	require.Equal(t, breakerClosed, b.state(now), "what was before is forgotten")

	var none *breaker
	none.begin()
	none.end(now, OutcomeTimeout)
	require.False(t, none.isOpen(now))
}

func TestThrottle(t *testing.T) {
	t.Parallel()

	var th throttle
	require.Equal(t, time.Second, th.hit(0, 0))
	require.Equal(t, time.Second, th.hit(500*time.Millisecond, 0), "one that was under way")
	now := time.Second
	for _, want := range []float64{2, 4, 8, 16, 32, 60, 60} {
		until := th.hit(now, 0)
		require.InDelta(t, want, (until - now).Seconds(), 0)
		now = until
	}
	require.Equal(t, 7*time.Second, th.hit(now, 7*time.Second)-now, "what the node names")
	now += 7 * time.Second
	require.Equal(t, throttleNamedMax, th.hit(now, time.Hour)-now)
	now += time.Hour
	require.Equal(t, time.Second, th.hit(now, 0)-now, "long ago")
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()

	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "-1": 0, "soon": 0, "99999999999999999999": 0,
		"Fri, 02 Jan 2026 03:04:15 GMT": 10 * time.Second, "Fri, 02 Jan 2026 03:04:00 GMT": 0,
	} {
		require.Equal(t, want, retryAfter(text, now), text)
	}
}

func TestSteady_GetsBetterOnlyAfterAWhile(t *testing.T) {
	t.Parallel()

	var s steady
	require.Equal(t, 3, s.follow(start, 3))
	require.Equal(t, 3, s.follow(start.Add(time.Second), 0))
	require.Equal(t, 3, s.follow(start.Add(2*time.Second), 3), "it was worse in between")
	require.Equal(t, 3, s.follow(start.Add(3*time.Second), 0))
	require.Equal(t, 3, s.follow(start.Add(5*time.Second), 1))
	require.Equal(t, 1, s.follow(start.Add(13*time.Second), 0), "the worst since it got better")
	require.Equal(t, 5, s.follow(start.Add(14*time.Second), 5), "worse at once")
}

func TestMethodHealth(t *testing.T) {
	t.Parallel()

	var slow, failing, few methodHealth
	for range 20 {
		slow.add(start, 2*time.Second, false)
		failing.add(start, time.Millisecond, true)
	}
	few.add(start, time.Minute, true)
	got, ok := slow.score(start)
	require.True(t, ok)
	require.Equal(t, score{latency: 4}, got)
	got, _ = failing.score(start)
	require.Equal(t, score{failures: 40}, got)
	_, ok = few.score(start)
	require.False(t, ok, "too few to say anything")
	_, ok = failing.score(start.Add(2 * methodForget))
	require.False(t, ok, "so long ago that it is tried again")
	failing.add(start.Add(2*methodForget), time.Millisecond, false)
	require.Equal(t, 1, failing.samples)
}

func TestHealth_ANodeThatIsNotAskedIsTriedAgain(t *testing.T) {
	t.Parallel()

	h := newHealth()
	for range 20 {
		h.answered(start, 300*time.Millisecond)
	}
	require.Equal(t, score{latency: 3}, h.score(start))
	require.Equal(t, score{latency: 2}, h.score(start.Add(2*time.Minute)))
	require.Zero(t, h.score(start.Add(10*time.Minute)))
}

func TestHealth_OneSlowAnswerSaysNothing(t *testing.T) {
	t.Parallel()

	h := newHealth()
	h.answered(start, time.Second)
	require.Zero(t, h.score(start))
}

func TestHealth_ThrottlingCountsAgainstTheScoreOnly(t *testing.T) {
	t.Parallel()

	h := newHealth()
	for range 20 {
		h.throttled(start)
	}
	require.False(t, h.isDown)
	require.Equal(t, score{throttled: 20}, h.score(start))
}
