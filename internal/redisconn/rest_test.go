package redisconn

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/secret"
)

func TestRest_GrowsAndLetsOneProbe(t *testing.T) {
	t.Parallel()

	var r rest
	now := time.Hour
	fail := func() {
		t.Helper()
		isProbe, ok := r.enter(now)
		require.True(t, ok)
		r.leave(now, isProbe, failed)
	}
	for _, seconds := range []int{1, 2, 4, 8, 10, 10} {
		fail()
		now += time.Duration(seconds)*time.Second - 1
		_, ok := r.enter(now)
		require.False(t, ok, "left alone for %d s", seconds)
		now++
	}

	isProbe, ok := r.enter(now)
	require.True(t, ok)
	require.True(t, isProbe)
	_, ok = r.enter(now)
	require.False(t, ok, "one probes, the others stay away")
	r.leave(now, isProbe, answered)
	isProbe, ok = r.enter(now)
	require.True(t, ok)
	require.False(t, isProbe, "it is back for everybody")
	r.leave(now, false, failed)
	_, ok = r.enter(now + minRest)
	require.True(t, ok, "after a success the rest begins small again")
}

func TestRest_ManyFailuresAtOnceAreOne(t *testing.T) {
	t.Parallel()

	var r rest
	now := time.Hour
	for range 50 {
		_, ok := r.enter(now)
		require.True(t, ok)
	}
	for range 50 {
		r.leave(now, false, failed)
	}
	r.leave(now, false, answered) // began before the failure: says nothing about now
	_, ok := r.enter(now + minRest - 1)
	require.False(t, ok)
	_, ok = r.enter(now + minRest)
	require.True(t, ok)
}

func TestRest_AnAbandonedProbeIsRepeated(t *testing.T) {
	t.Parallel()

	var r rest
	now := time.Hour
	r.leave(now, false, failed)
	now += minRest
	isProbe, ok := r.enter(now)
	require.True(t, ok)
	r.leave(now, isProbe, abandoned)
	isProbe, ok = r.enter(now)
	require.True(t, ok)
	require.True(t, isProbe)
}

// The rest follows the connection's own clock, which nobody sets, and not the
// time of day.
func TestConn_RestsByItsOwnClock(t *testing.T) {
	t.Parallel()

	c, err := New(Config{URL: secret.New("redis://127.0.0.1:1/0"), Timeout: time.Second})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	now := time.Hour
	c.now = func() time.Duration { return now }
	used := 0
	fail := func(context.Context, redis.UniversalClient) error {
		used++
		return errors.New("connection refused")
	}

	require.Error(t, c.Use(t.Context(), fail))
	now += minRest - 1
	require.ErrorIs(t, c.Use(t.Context(), fail), ErrResting)
	now++
	require.NotErrorIs(t, c.Use(t.Context(), fail), ErrResting)
	require.Equal(t, 2, used)
	now += minRest
	require.ErrorIs(t, c.Use(t.Context(), fail), ErrResting, "it rests longer now")
}
