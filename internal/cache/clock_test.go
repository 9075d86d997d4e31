package cache

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/redisconn/redistest"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/telemetry"
)

// TestRedis_ClocksThatAreSet writes entries as gateways do whose clocks go
// otherwise than this one's.
func TestRedis_ClocksThatAreSet(t *testing.T) {
	t.Parallel()

	address, _ := redistest.Start(t)
	cfg := DefaultRedis()
	cfg.Conn.URL, cfg.Conn.Timeout = secret.New("redis://"+address+"/0"), 10*time.Second
	m := NewMetrics(telemetry.NewFactory())
	store, err := NewRedis(cfg, m)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	memory, err := NewMemory(1<<20, m)
	require.NoError(t, err)
	tiered := NewTiered(memory, store, m)
	everywhere := NewPlan(0)
	keep := func(key Key, written time.Time) {
		e := Entry{Value: []byte("1"), Finality: Realtime, Asked: written.UnixMilli()}.expiring(written, 5*time.Second)
		require.NoError(t, store.conn.Use(t.Context(), func(ctx context.Context, client redis.UniversalClient) error {
			return client.Set(ctx, store.prefix+string(key), store.coder.encode(e), 0).Err() // Redis never ends it
		}))
	}

	keep("over", time.Now().Add(-time.Minute))
	_, ok := tiered.Get(t.Context(), "over", everywhere)
	require.False(t, ok, "its time was over long ago")

	keep("skew", time.Now().Add(-7*time.Second))
	_, ok = tiered.Get(t.Context(), "skew", everywhere)
	require.True(t, ok, "clocks may differ a little")
	_, ok = memory.Get(t.Context(), "skew", everywhere)
	require.False(t, ok, "but then it is not kept here")

	keep("ahead", time.Now().Add(24*time.Hour))
	_, ok = tiered.Get(t.Context(), "ahead", everywhere)
	require.True(t, ok)
	entry, ok := memory.entries.GetEntry("ahead")
	require.True(t, ok)
	require.LessOrEqual(t, entry.ExpiresAfter(), 5*time.Second, "no longer than it was to live")
}
