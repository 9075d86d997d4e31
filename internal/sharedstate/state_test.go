package sharedstate_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/redisconn"
	"github.com/slipwayhq/slipway/internal/redisconn/redistest"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/sharedstate"
	"github.com/slipwayhq/slipway/internal/telemetry"
)

const soon = 20 * time.Second // longer than Redis is left alone after a failure

// told is what a state has told.
type told struct {
	mu      sync.Mutex
	heads   []string
	cordons [][]sharedstate.Cordon
}

func (o *told) head(network string, latest, finalized uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.heads = append(o.heads, fmt.Sprint(network, " ", latest, " ", finalized))
}

func (o *told) last() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.heads) == 0 {
		return ""
	}
	return o.heads[len(o.heads)-1]
}

func config(address, cluster string) sharedstate.Config {
	return sharedstate.Config{
		Redis:   redisconn.Config{URL: secret.New("redis://" + address + "/1"), Timeout: 10 * time.Second, KeyPrefix: "slipway:"},
		Cluster: cluster, Networks: []string{"evm:1"},
	}
}

// start runs a state until the test, or stop, ends it.
func start(t *testing.T, cfg sharedstate.Config) (s *sharedstate.State, heard *told, stop func()) {
	t.Helper()
	heard = &told{}
	cfg.OnHead = heard.head
	cfg.OnCordons = func(list []sharedstate.Cordon) {
		heard.mu.Lock()
		defer heard.mu.Unlock()
		heard.cordons = append(heard.cordons, list)
	}
	s, err := sharedstate.New(cfg, sharedstate.NewMetrics(telemetry.NewFactory()))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- s.Run(ctx, func() { close(ready) }) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			require.NoError(t, <-done)
		})
	}
	t.Cleanup(stop)
	select {
	case <-ready:
	case <-time.After(soon):
		t.Fatal("it does not become ready")
	}
	return s, heard, stop
}

func eventually(t *testing.T, is func() bool, what string) {
	t.Helper()
	require.Eventually(t, is, soon, 10*time.Millisecond, what)
}

func TestState_HeadsAreSeenByOthers(t *testing.T) {
	t.Parallel()
	address, _ := redistest.Start(t)
	one, byOne, _ := start(t, config(address, "a"))
	two, byTwo, _ := start(t, config(address, "a"))
	_, elsewhere, _ := start(t, config(address, "b"))

	one.Publish("evm:1", 100, 98)
	eventually(t, func() bool { return byTwo.last() == "evm:1 100 98" }, "the other sees it")
	two.Publish("evm:1", 90, 80)
	two.Publish("evm:1", 101, 80)
	eventually(t, func() bool { return byOne.last() == "evm:1 101 98" }, "each number only rises")
	one.Publish("evm:7", 5, 5)
	two.Publish("evm:7", 4, 4)
	eventually(t, func() bool { return byTwo.last() == "evm:7 5 5" }, "a network that was not named")
	require.Empty(t, elsewhere.last(), "another installation")
}

func TestState_CordonsAreSeenByOthersAndSurvive(t *testing.T) {
	t.Parallel()
	address, _ := redistest.Start(t)
	one, _, stopOne := start(t, config(address, "a"))
	two, byTwo, stopTwo := start(t, config(address, "a"))
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	whole := sharedstate.Cordon{Upstream: "besu-0", Reason: "disk", By: "ann", Since: at}
	method := sharedstate.Cordon{Upstream: "besu-1", Method: "eth_getLogs", Since: at}

	require.Equal(t, sharedstate.Shared, one.Cordon(t.Context(), whole))
	require.Equal(t, sharedstate.Shared, two.Cordon(t.Context(), method))
	for _, s := range []*sharedstate.State{one, two} {
		eventually(t, func() bool { return len(s.Cordons()) == 2 }, "both see both")
		require.Equal(t, []sharedstate.Cordon{whole, method}, s.Cordons())
		require.True(t, s.IsCordoned("besu-0", "eth_call"))
		require.True(t, s.IsCordoned("besu-1", "eth_getLogs"))
		require.False(t, s.IsCordoned("besu-1", "eth_call"))
	}
	byTwo.mu.Lock()
	require.Len(t, byTwo.cordons, 2, "told once for each change")
	byTwo.mu.Unlock()

	stopOne()
	stopTwo()
	three, _, _ := start(t, config(address, "a"))
	require.Equal(t, []sharedstate.Cordon{whole, method}, three.Cordons(), "there from the start")
	require.Equal(t, sharedstate.Shared, three.Uncordon(t.Context(), "besu-0", ""))
	require.Equal(t, sharedstate.Shared, three.Uncordon(t.Context(), "besu-0", ""), "lifting it twice is no error")
	require.Equal(t, []sharedstate.Cordon{method}, three.Cordons())
}

func TestState_RedisDiesAndComesBackEmpty(t *testing.T) {
	t.Parallel()
	address, stopRedis := redistest.Start(t)
	one, _, _ := start(t, config(address, "a"))
	two, byTwo, _ := start(t, config(address, "a"))
	require.Equal(t, sharedstate.Shared, one.Cordon(t.Context(), sharedstate.Cordon{Upstream: "before"}))
	require.Equal(t, sharedstate.Shared, one.Cordon(t.Context(), sharedstate.Cordon{Upstream: "lifted"}))
	eventually(t, func() bool { return len(two.Cordons()) == 2 }, "seen by the other")

	stopRedis()
	require.Equal(t, sharedstate.Pending, one.Cordon(t.Context(), sharedstate.Cordon{Upstream: "meanwhile"}))
	require.Equal(t, sharedstate.Pending, one.Uncordon(t.Context(), "lifted", ""))
	one.Publish("evm:1", 200, 199)
	require.True(t, one.IsCordoned("meanwhile", "eth_call"), "it holds here at once")
	require.True(t, one.IsCordoned("before", "eth_call"), "what was known stays")
	require.False(t, one.IsCordoned("lifted", "eth_call"))

	redistest.StartAt(t, address) // without its data
	eventually(t, func() bool {
		return two.IsCordoned("meanwhile", "") && two.IsCordoned("before", "") && byTwo.last() == "evm:1 200 199"
	}, "nothing was lost")
	eventually(t, func() bool { return len(one.Cordons()) >= 2 && one.IsCordoned("before", "") }, "nor here")
}

func TestState_StartsWithoutRedis(t *testing.T) {
	t.Parallel()
	address := redistest.FreeAddress(t)
	one, _, _ := start(t, config(address, "a"))
	require.Equal(t, sharedstate.Pending, one.Cordon(t.Context(), sharedstate.Cordon{Upstream: "besu-0"}))
	redistest.StartAt(t, address)
	two, _, _ := start(t, config(address, "a"))
	eventually(t, func() bool { return two.IsCordoned("besu-0", "eth_call") }, "it is sent when Redis is there")
}

func TestState_InMemoryOnly(t *testing.T) {
	t.Parallel()
	s, heard, _ := start(t, sharedstate.Config{})
	require.Equal(t, sharedstate.InMemory, s.Cordon(t.Context(), sharedstate.Cordon{Upstream: "besu-0", Method: "eth_call"}))
	require.True(t, s.IsCordoned("besu-0", "eth_call"))
	s.Publish("evm:1", 1, 1)
	require.Equal(t, sharedstate.InMemory, s.Uncordon(t.Context(), "besu-0", "eth_call"))
	require.Empty(t, s.Cordons())
	require.Empty(t, heard.last())
}

func TestState_WorksInACluster(t *testing.T) {
	t.Parallel()
	cfg := config("", "a{x}")
	cfg.Redis.URL, cfg.Redis.Cluster = secret.String{}, []string{redistest.StartCluster(t)}
	one, _, _ := start(t, cfg)
	_, byTwo, _ := start(t, cfg)
	one.Publish("evm:1", 3, 2)
	one.Publish("evm:2", 3, 2)
	require.Equal(t, sharedstate.Shared, one.Cordon(t.Context(), sharedstate.Cordon{Upstream: "besu-0"}))
	eventually(t, func() bool { return byTwo.last() == "evm:1 3 2" }, "seen by the other")
}

// A network that began anew is lower than what is stored: that must end.
func TestState_HeadsThatNobodyConfirmsEnd(t *testing.T) {
	t.Parallel()
	address, _ := redistest.Start(t)
	one, _, _ := start(t, config(address, "a"))
	one.Publish("evm:1", 1000, 999)
	client := redis.NewClient(&redis.Options{Addr: address, DB: 1})
	defer func() { require.NoError(t, client.Close()) }()
	eventually(t, func() bool { return client.Get(t.Context(), "slipway:{a}:head:evm:1").Val() == "1000 999" }, "it is stored")
	before := client.PTTL(t.Context(), "slipway:{a}:head:evm:1").Val()
	require.Positive(t, before)
	require.LessOrEqual(t, before, time.Minute)

	one.Publish("evm:1", 5, 4)
	<-time.After(time.Second)
	require.Equal(t, "1000 999", client.Get(t.Context(), "slipway:{a}:head:evm:1").Val())
	require.Less(t, client.PTTL(t.Context(), "slipway:{a}:head:evm:1").Val(), before, "a lower head does not make it live on")
}

// Nothing that a request may call waits for Redis.
func TestState_PublishDoesNotWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, err := sharedstate.New(config("192.0.2.1:1", "a"), sharedstate.NewMetrics(telemetry.NewFactory()))
		require.NoError(t, err)
		begin := time.Now()
		s.Publish("evm:1", 1, 1)
		s.IsCordoned("a", "b")
		s.Cordons()
		require.Zero(t, time.Since(begin))
	})
}

func BenchmarkIsCordoned(b *testing.B) {
	s, err := sharedstate.New(sharedstate.Config{}, sharedstate.NewMetrics(telemetry.NewFactory()))
	require.NoError(b, err)
	s.Cordon(b.Context(), sharedstate.Cordon{Upstream: "besu-0"})
	b.ReportAllocs()
	for b.Loop() {
		s.IsCordoned("besu-1", "eth_call")
	}
}
