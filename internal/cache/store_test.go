package cache_test

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/cache"
	"github.com/slipwayhq/slipway/internal/cache/cachetest"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/telemetry"
)

func metrics() *cache.Metrics { return cache.NewMetrics(telemetry.NewFactory()) }

func newMemory(t *testing.T, size int64) *cache.Memory {
	t.Helper()
	m, err := cache.NewMemory(size, metrics())
	require.NoError(t, err)
	return m
}

func newRedis(t *testing.T, url string) *cache.Redis {
	t.Helper()
	// A busy test machine must not turn a slow answer into a miss.
	r, err := cache.NewRedis(secret.New(url), 10*time.Second, metrics())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return r
}

func TestMemory(t *testing.T) {
	t.Parallel()
	cachetest.Run(t, func(t *testing.T) cache.Store { t.Helper(); return newMemory(t, 1<<20) })
}

func TestMemory_StaysWithinItsSize(t *testing.T) {
	t.Parallel()

	store := newMemory(t, 10_000)
	for i := range 1000 {
		store.Set(t.Context(), cache.Key(rune(i)), cache.Entry{Value: make([]byte, 1000)})
	}
	kept := func() (n int) {
		for i := range 1000 {
			if _, ok := store.Get(t.Context(), cache.Key(rune(i))); ok {
				n++
			}
		}
		return n
	}
	require.Eventually(t, func() bool { return kept() <= 10 }, 5*time.Second, time.Millisecond)

	_, err := cache.NewMemory(0, metrics())
	require.ErrorContains(t, err, "must be at least 1")
}

func TestRedis(t *testing.T) {
	t.Parallel()

	url, _ := cachetest.StartRedis(t)
	var database atomic.Int32
	cachetest.Run(t, func(t *testing.T) cache.Store {
		t.Helper()
		return newRedis(t, url[:len(url)-1]+strconv.Itoa(int(database.Add(1)%16))) // a database each
	})
}

func TestRedis_IsSharedAndKeepsToItsPrefix(t *testing.T) {
	t.Parallel()

	url, _ := cachetest.StartRedis(t)
	newRedis(t, url).Set(t.Context(), "k", cache.Entry{Value: []byte(`"0x1"`)})
	got, ok := newRedis(t, url).Get(t.Context(), "k")
	require.True(t, ok)
	require.Equal(t, `"0x1"`, string(got.Value))

	options, err := redis.ParseURL(url)
	require.NoError(t, err)
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	keys, err := client.Keys(t.Context(), "*").Result()
	require.NoError(t, err)
	require.Equal(t, []string{"slipway:cache:k"}, keys)

	require.NoError(t, client.Set(t.Context(), "slipway:cache:k", "\x63other form", 0).Err())
	_, ok = newRedis(t, url).Get(t.Context(), "k")
	require.False(t, ok, "an entry of another release is a miss")
}

func TestRedis_FailureIsAMissAndQuick(t *testing.T) {
	t.Parallel()

	url, stop := cachetest.StartRedis(t)
	store := newRedis(t, url)
	store.Set(t.Context(), "k", cache.Entry{Value: []byte("1")})
	stop()

	_, ok := store.Get(t.Context(), "k")
	require.False(t, ok)
	start := time.Now()
	for range 1000 {
		store.Set(t.Context(), "k", cache.Entry{Value: []byte("1")})
		_, ok = store.Get(t.Context(), "k")
		require.False(t, ok)
	}
	require.Less(t, time.Since(start), time.Second, "a Redis that is away is left alone")
}

func TestNewRedis_BadURLIsNotShown(t *testing.T) {
	t.Parallel()

	_, err := cache.NewRedis(secret.New("redis://user:hidden@host:bad/zero"), time.Second, metrics())
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hidden")
}

func TestTiered(t *testing.T) {
	t.Parallel()
	cachetest.Run(t, func(t *testing.T) cache.Store {
		t.Helper()
		return cache.NewTiered(newMemory(t, 1<<20), newMemory(t, 1<<20), metrics())
	})
}

func TestTiered_WritesBehindAndFillsTheFront(t *testing.T) {
	t.Parallel()

	fast, slow := newMemory(t, 1<<20), newMemory(t, 1<<20)
	tiered := cache.NewTiered(fast, slow, metrics())
	slow.Set(t.Context(), "old", cache.Entry{Value: []byte("1")})
	_, ok := tiered.Get(t.Context(), "old")
	require.True(t, ok)
	_, ok = fast.Get(t.Context(), "old")
	require.True(t, ok, "what was asked for has moved to the front")

	for range 3000 { // more than may wait: the rest is dropped, nobody blocks
		tiered.Set(t.Context(), "new", cache.Entry{Value: []byte("2")})
	}
	_, ok = slow.Get(t.Context(), "new")
	require.False(t, ok, "nothing is written before Run")

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- tiered.Run(ctx, func() {}) }()
	require.Eventually(t, func() bool { _, ok := slow.Get(t.Context(), "new"); return ok }, 5*time.Second, time.Millisecond)
	cancel()
	require.NoError(t, <-done)
}
