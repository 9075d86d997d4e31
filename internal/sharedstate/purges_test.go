package sharedstate_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/redisconn/redistest"
	"github.com/slipwayhq/slipway/internal/sharedstate"
)

// purgeLog is what a state was told of purges.
type purgeLog struct {
	mu   sync.Mutex
	list []sharedstate.Purge
}

func (l *purgeLog) add(p sharedstate.Purge) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, p)
}

func (l *purgeLog) all() []sharedstate.Purge {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]sharedstate.Purge(nil), l.list...)
}

func startPurging(t *testing.T, cfg sharedstate.Config) (*sharedstate.State, *purgeLog) {
	t.Helper()
	var log purgeLog
	cfg.OnPurge = log.add
	s, _, _ := start(t, cfg)
	return s, &log
}

func TestState_PurgesReachOthers(t *testing.T) {
	t.Parallel()

	for name, cfg := range map[string]func() sharedstate.Config{
		"redis": func() sharedstate.Config { address, _ := redistest.Start(t); return config(address, "c") },
		"redis cluster": func() sharedstate.Config {
			cfg := config("", "c")
			cfg.Redis.URL, cfg.Redis.Cluster = cfg.Redis.Password, []string{redistest.StartCluster(t)}
			return cfg
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			where := cfg()
			first, own := startPurging(t, where)
			_, heard := startPurging(t, where)
			want := []sharedstate.Purge{{Method: "eth_call"}, {Project: "p", Network: "evm:1"}, {}}
			for _, p := range want {
				require.Equal(t, sharedstate.Shared, first.Purge(t.Context(), p))
			}
			require.Eventually(t, func() bool { return len(heard.all()) == 3 }, soon, 10*time.Millisecond)
			require.Equal(t, want, heard.all())
			require.Empty(t, own.all(), "nobody is told of its own")

			_, late := startPurging(t, where)
			require.Equal(t, want, late.all(), "who comes later may have missed them")
		})
	}
}

func TestState_PurgesWaitForRedis(t *testing.T) {
	t.Parallel()

	address := redistest.FreeAddress(t)
	cfg := config(address, "c")
	cfg.Redis.Timeout = 100 * time.Millisecond
	first, _ := startPurging(t, cfg)
	_, heard := startPurging(t, cfg)
	require.Equal(t, sharedstate.Pending, first.Purge(t.Context(), sharedstate.Purge{Method: "eth_call"}))
	require.Empty(t, heard.all())
	redistest.StartAt(t, address)
	require.Eventually(t, func() bool { return len(heard.all()) > 0 }, soon, 10*time.Millisecond)
	require.Equal(t, []sharedstate.Purge{{Method: "eth_call"}}, heard.all())
}

func TestState_ManyPurgesThatWaitAreOneOfEverything(t *testing.T) {
	t.Parallel()

	address := redistest.FreeAddress(t)
	cfg := config(address, "c")
	cfg.Redis.Timeout = 100 * time.Millisecond
	first, _ := startPurging(t, cfg)
	_, heard := startPurging(t, cfg)
	for i := range 65 {
		require.Equal(t, sharedstate.Pending, first.Purge(t.Context(), sharedstate.Purge{Method: fmt.Sprint("m", i)}))
	}
	redistest.StartAt(t, address)
	require.Eventually(t, func() bool { return len(heard.all()) > 0 }, soon, 10*time.Millisecond)
	require.Equal(t, []sharedstate.Purge{{}}, heard.all())
}

func TestState_PurgesInMemoryOnly(t *testing.T) {
	t.Parallel()

	s, heard := startPurging(t, sharedstate.Config{})
	require.Equal(t, sharedstate.InMemory, s.Purge(t.Context(), sharedstate.Purge{}))
	require.Empty(t, heard.all())
}
