package cache_test

import (
	"context"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/cache"
	"github.com/slipwayhq/slipway/internal/cache/cachetest"
	"github.com/slipwayhq/slipway/internal/redisconn"
	"github.com/slipwayhq/slipway/internal/redisconn/redistest"
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

func redisConfig(url string) cache.RedisConfig {
	cfg := cache.DefaultRedis()
	cfg.Conn.URL, cfg.Conn.Timeout = secret.New(url), 10*time.Second
	return cfg
}

func newRedis(t *testing.T, url string) *cache.Redis {
	t.Helper()
	// A busy test machine must not turn a slow answer into a miss.
	r, err := cache.NewRedis(redisConfig(url), metrics())
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
		store.Set(t.Context(), cache.Key(rune(i)), cache.Entry{Value: make([]byte, 1000)}, cachetest.Everywhere())
	}
	kept := func() (n int) {
		for i := range 1000 {
			if _, ok := store.Get(t.Context(), cache.Key(rune(i)), cachetest.Everywhere()); ok {
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
	newRedis(t, url).Set(t.Context(), "k", cache.Entry{Value: []byte(`"0x1"`)}, cachetest.Everywhere())
	got, ok := newRedis(t, url).Get(t.Context(), "k", cachetest.Everywhere())
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
	_, ok = newRedis(t, url).Get(t.Context(), "k", cachetest.Everywhere())
	require.False(t, ok, "an entry of another release is a miss")
}

func TestRedis_FailureIsAMissAndQuick(t *testing.T) {
	t.Parallel()

	url, stop := cachetest.StartRedis(t)
	store := newRedis(t, url)
	store.Set(t.Context(), "k", cache.Entry{Value: []byte("1")}, cachetest.Everywhere())
	stop()

	_, ok := store.Get(t.Context(), "k", cachetest.Everywhere())
	require.False(t, ok)
	start := time.Now()
	for range 1000 {
		store.Set(t.Context(), "k", cache.Entry{Value: []byte("1")}, cachetest.Everywhere())
		_, ok = store.Get(t.Context(), "k", cachetest.Everywhere())
		require.False(t, ok)
	}
	require.Less(t, time.Since(start), time.Second, "a Redis that is away is left alone")
}

func TestNewRedis_BadURLIsNotShown(t *testing.T) {
	t.Parallel()

	_, err := cache.NewRedis(redisConfig("redis://user:hidden@host:bad/zero"), metrics())
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hidden")
}

func TestTiered(t *testing.T) {
	t.Parallel()

	url, _ := cachetest.StartRedis(t)
	var database atomic.Int32
	cachetest.Run(t, func(t *testing.T) cache.Store {
		t.Helper()
		redis := newRedis(t, url[:len(url)-1]+strconv.Itoa(int(database.Add(1)%16)))
		return inline{newMemory(t, 1<<20), redis}
	})
}

// inline is a tiered store that writes at once, so that a test need not wait.
type inline struct {
	memory *cache.Memory
	redis  *cache.Redis
}

func (s inline) tiered() *cache.Tiered { return cache.NewTiered(s.memory, s.redis, metrics()) }

func (s inline) Get(ctx context.Context, key cache.Key, plan cache.Plan) (cache.Entry, bool) {
	return s.tiered().Get(ctx, key, plan)
}

func (s inline) Set(ctx context.Context, key cache.Key, entry cache.Entry, plan cache.Plan) {
	s.redis.Set(ctx, key, entry, plan)
	s.tiered().Set(ctx, key, entry, plan)
}

func (s inline) Delete(ctx context.Context, key cache.Key) { s.tiered().Delete(ctx, key) }

// Purge counts entries, not their copies.
func (s inline) Purge(ctx context.Context, selector cache.Selector) (int, error) {
	n, err := s.tiered().Purge(ctx, selector)
	return n / 2, err
}

func TestTiered_WritesBehindAndFillsTheFront(t *testing.T) {
	t.Parallel()

	url, _ := cachetest.StartRedis(t)
	fast, slow := newMemory(t, 1<<20), newRedis(t, url)
	tiered := cache.NewTiered(fast, slow, metrics())
	slow.Set(t.Context(), "old", cache.Entry{Value: []byte("1")}, cache.NewPlan(time.Hour))
	_, ok := tiered.Get(t.Context(), "old", cache.NewPlan(0, cache.InRedis))
	require.True(t, ok)
	_, ok = fast.Get(t.Context(), "old", cachetest.Everywhere())
	require.False(t, ok, "the plan keeps it out of memory")
	_, ok = tiered.Get(t.Context(), "old", cachetest.Everywhere())
	require.True(t, ok)
	moved, ok := fast.Get(t.Context(), "old", cachetest.Everywhere())
	require.True(t, ok, "what was asked for has moved to the front")
	require.InDelta(t, time.Now().Add(time.Hour).UnixMilli(), moved.Until, 60_000, "and expires when it would have")

	for range 3000 { // more than may wait: the rest is dropped, nobody blocks
		tiered.Set(t.Context(), "new", cache.Entry{Value: []byte("2")}, cachetest.Everywhere())
	}
	_, ok = slow.Get(t.Context(), "new", cachetest.Everywhere())
	require.False(t, ok, "nothing is written before Run")

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- tiered.Run(ctx, func() {}) }()
	require.Eventually(t, func() bool {
		_, ok := slow.Get(t.Context(), "new", cachetest.Everywhere())
		return ok
	}, 5*time.Second, time.Millisecond)
	cancel()
	require.NoError(t, <-done)
}

func TestRedis_CompressesAndBoundsEveryEntry(t *testing.T) {
	t.Parallel()

	url, _ := cachetest.StartRedis(t)
	options, err := redis.ParseURL(url)
	require.NoError(t, err)
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	large := cache.Entry{Value: []byte(`"0x` + strings.Repeat("ab", 5000) + `"`)}
	small := cache.Entry{Value: []byte(`"0x1"`)}

	store := newRedis(t, url)
	store.Set(t.Context(), "large", large, cachetest.Everywhere())
	store.Set(t.Context(), "small", small, cachetest.Everywhere())
	require.Less(t, client.StrLen(t.Context(), "slipway:cache:large").Val(), int64(1000))
	ttl := client.PTTL(t.Context(), "slipway:cache:small").Val()
	require.InDelta(t, 30*24*time.Hour, ttl, float64(time.Minute), "for ever has an end in Redis")
	store.Set(t.Context(), "short", small, cache.NewPlan(5*time.Second))
	require.LessOrEqual(t, client.PTTL(t.Context(), "slipway:cache:short").Val(), 5*time.Second)

	cfg := redisConfig(url)
	cfg.Compression.Enabled, cfg.MaxTTL = false, time.Hour
	plain, err := cache.NewRedis(cfg, metrics())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, plain.Close()) })
	got, ok := plain.Get(t.Context(), "large", cachetest.Everywhere())
	require.True(t, ok, "what another setting wrote can be read")
	require.Equal(t, large.Value, got.Value)
	plain.Set(t.Context(), "large", large, cachetest.Everywhere())
	require.Greater(t, client.StrLen(t.Context(), "slipway:cache:large").Val(), int64(10_000))
	require.LessOrEqual(t, client.PTTL(t.Context(), "slipway:cache:large").Val(), time.Hour)
}

func TestRedis_ACorruptedEntryIsAMissAndDeleted(t *testing.T) {
	t.Parallel()

	url, _ := cachetest.StartRedis(t)
	store := newRedis(t, url)
	options, err := redis.ParseURL(url)
	require.NoError(t, err)
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	const key = "slipway:cache:k"
	store.Set(t.Context(), "k", cache.Entry{Value: []byte(`"0x` + strings.Repeat("ab", 5000) + `"`)}, cachetest.Everywhere())
	whole, err := client.Get(t.Context(), key).Result()
	require.NoError(t, err)

	for name, text := range map[string]string{
		"cut": whole[:len(whole)-3], "empty": "", "of another release": "\x01\"0x1\"", "no JSON": whole[:1] + "\x00" + whole[2:],
	} {
		require.NoError(t, client.Set(t.Context(), key, text, 0).Err())
		_, ok := store.Get(t.Context(), "k", cachetest.Everywhere())
		require.False(t, ok, name)
		require.Zero(t, client.Exists(t.Context(), key).Val(), name)
	}
}

func TestRedis_EveryKindOfRedisKeepsAndPurges(t *testing.T) {
	t.Parallel()

	cases := map[string]func(t *testing.T) redisconn.Config{
		"a user of the ACL": func(t *testing.T) redisconn.Config {
			t.Helper()
			address, _ := redistest.Start(t, "--user", "cache", "on", ">hush", "~mine:*", "+get", "+set", "+unlink", "+scan", "+ping", "+hello")
			return redisconn.Config{URL: secret.New("redis://" + address), Username: "cache", Password: secret.New("hush"), KeyPrefix: "mine:"}
		},
		"a sentinel": func(t *testing.T) redisconn.Config {
			t.Helper()
			sentinel, _ := redistest.StartSentinel(t)
			return redisconn.Config{Sentinel: redisconn.Sentinel{Addresses: []string{sentinel}, Master: "main"}}
		},
		"a cluster": func(t *testing.T) redisconn.Config {
			t.Helper()
			return redisconn.Config{Cluster: []string{redistest.StartCluster(t)}, KeyPrefix: "a*b:"}
		},
		"TLS": func(t *testing.T) redisconn.Config {
			t.Helper()
			files := redistest.Certificates(t)
			return redisconn.Config{
				URL: secret.New("rediss://" + redistest.StartTLS(t, files)),
				TLS: redisconn.TLS{CAFile: files.CA, CertFile: files.ClientCert, KeyFile: files.ClientKey},
			}
		},
	}
	for name, start := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := cache.DefaultRedis()
			cfg.Conn = start(t)
			cfg.Conn.Timeout = 10 * time.Second
			store, err := cache.NewRedis(cfg, metrics())
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, store.Close()) })
			for i := range 1200 { // more than one step of a purge
				store.Set(t.Context(), cache.NewKey("", 1, "0xaa", "eth_call", []byte(strconv.Itoa(i))), cache.Entry{Value: []byte("1")}, cachetest.Everywhere())
			}
			_, ok := store.Get(t.Context(), cache.NewKey("", 1, "0xaa", "eth_call", []byte("7")), cachetest.Everywhere())
			require.True(t, ok)
			gone, err := store.Purge(t.Context(), cache.Selector{Network: "evm:1"})
			require.NoError(t, err)
			require.Equal(t, 1200, gone)
		})
	}
}
