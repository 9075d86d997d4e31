package redisconn

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRest_GrowsAndLetsOneProbe(t *testing.T) {
	t.Parallel()

	var r rest
	now := time.Unix(1_700_000_000, 0)
	fail := func() {
		t.Helper()
		isProbe, ok := r.enter(now)
		require.True(t, ok)
		r.leave(now, isProbe, failed)
	}
	for _, seconds := range []int{1, 2, 4, 8, 10, 10} {
		fail()
		now = now.Add(time.Duration(seconds)*time.Second - 1)
		_, ok := r.enter(now)
		require.False(t, ok, "left alone for %d s", seconds)
		now = now.Add(1)
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
	_, ok = r.enter(now.Add(minRest))
	require.True(t, ok, "after a success the rest begins small again")
}

func TestRest_ManyFailuresAtOnceAreOne(t *testing.T) {
	t.Parallel()

	var r rest
	now := time.Unix(1_700_000_000, 0)
	for range 50 {
		_, ok := r.enter(now)
		require.True(t, ok)
	}
	for range 50 {
		r.leave(now, false, failed)
	}
	r.leave(now, false, answered) // began before the failure: says nothing about now
	_, ok := r.enter(now.Add(minRest - 1))
	require.False(t, ok)
	_, ok = r.enter(now.Add(minRest))
	require.True(t, ok)
}

func TestRest_AnAbandonedProbeIsRepeated(t *testing.T) {
	t.Parallel()

	var r rest
	now := time.Unix(1_700_000_000, 0)
	r.leave(now, false, failed)
	now = now.Add(minRest)
	isProbe, ok := r.enter(now)
	require.True(t, ok)
	r.leave(now, isProbe, abandoned)
	isProbe, ok = r.enter(now)
	require.True(t, ok)
	require.True(t, isProbe)
}
