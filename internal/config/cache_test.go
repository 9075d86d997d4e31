package config

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/cache"
	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/redisconn"
)

func TestLoadGateway_TheStacksCachePoliciesTakeEffect(t *testing.T) {
	t.Parallel()

	got, err := LoadGateway("testdata/good/erpc-stack.yaml", environment())
	require.NoError(t, err)
	kept := got.App.Cache
	require.Equal(t, "redis://default:atk@redis:6379/0", kept.Redis.Conn.URL.Reveal())
	require.Equal(t, cache.Compression{Enabled: true, Level: "default", Threshold: 1024}, kept.Redis.Compression)
	require.Equal(t, 30*24*time.Hour, kept.Redis.MaxTTL)
	require.Len(t, kept.Policies, 3)

	catalogue := methods.New()
	policies := cache.NewPolicies(kept.Policies, "settlemint", "evm:53771311147", catalogue)
	head := cacheHead(100)
	for name, c := range map[string]struct {
		method, params, value string
		want                  cache.Plan
		kept                  bool
	}{
		"final":         {"eth_getBalance", `["0xab","0x64"]`, `"0x1"`, cache.NewPlan(0), true},
		"empty":         {"eth_getCode", `["0xab","0x64"]`, `"0x"`, cache.Plan{}, false},
		"the gas price": {"eth_gasPrice", `[]`, `"0x1"`, cache.NewPlan(5 * time.Second), true},
		"pending":       {"eth_getTransactionCount", `["0xab","pending"]`, `"0x1"`, cache.Plan{}, false},
	} {
		ask := cache.Ask{Facts: catalogue.Describe(c.method, []byte(c.params)), Params: []byte(c.params), Head: head, Newest: head.Latest}
		plan, _, ok := policies.Keep(ask, cache.Answer{Value: []byte(c.value), NodeHead: 100})
		require.Equal(t, c.kept, ok, name)
		for _, l := range []cache.Layer{cache.InMemory, cache.InRedis} {
			require.Equal(t, c.want.Uses(l), plan.Uses(l), name)
			require.Equal(t, c.want.TTL(l), plan.TTL(l), name)
		}
	}
}

func TestLoadGateway_CacheKeys(t *testing.T) {
	t.Parallel()

	got, err := LoadGateway("testdata/good/cache-keys.yaml", environment("REDIS_PASSWORD", "hush"))
	require.NoError(t, err)
	require.Equal(t, 50*time.Millisecond, got.App.Projects[0].Networks[0].LatestMaxAge)
	kept := got.App.Cache
	require.Equal(t, int64(32<<20), kept.MemoryBytes)
	require.True(t, kept.OwnPerProject)
	require.Equal(t, cache.Compression{Enabled: false, Level: "best", Threshold: 10}, kept.Redis.Compression)
	conn := kept.Redis.Conn
	require.Equal(t, []string{"sentinel-0:26379", "sentinel-1:26379"}, conn.Sentinel.Addresses)
	require.Equal(t, "main", conn.Sentinel.Master)
	require.Equal(t, "hush", conn.Password.Reveal())
	require.Equal(t, "cache", conn.Username)
	require.Equal(t, 2, conn.DB)
	require.Equal(t, 20, conn.PoolSize)
	require.Equal(t, "gw:", conn.KeyPrefix)
	require.True(t, conn.TLS.Enabled)
	require.Equal(t, "/etc/redis/ca.pem", conn.TLS.CAFile)
	require.Equal(t, "redis.internal", conn.TLS.ServerName)
	require.Equal(t, 7*24*time.Hour, kept.Redis.MaxTTL)

	require.Len(t, kept.Policies, 3)
	p := kept.Policies[0]
	require.Equal(t, []cache.Layer{cache.InRedis}, p.Layers, "memory has a policy of its own")
	require.Equal(t, "main", p.Project.String())
	require.Equal(t, "evm:*", p.Network.String())
	require.Equal(t, "eth_get*|eth_call", p.Method.String())
	require.Equal(t, ">=0x10", p.Params[1].String())
	require.Equal(t, cache.AllowEmpty, p.Empty)
	require.Equal(t, [2]int{2, 1 << 20}, [2]int{p.MinSize, p.MaxSize})
	p = kept.Policies[1]
	require.Equal(t, []cache.Layer{cache.InMemory}, p.Layers)
	require.Equal(t, cache.Realtime, p.Finality)
	require.Equal(t, cache.TTL{Time: 2 * time.Second, Blocks: 0.5}, p.TTL)
	require.Equal(t, [2]bool{false, true}, [2]bool{p.NoGet, p.NoSet})
	require.Equal(t, cache.OnlyEmpty, p.Empty)
	require.Empty(t, kept.Policies[2].Layers, "every store")
}

// Every section with a Redis takes the file, and shows it.
func TestLoadGateway_RedisPasswordFile(t *testing.T) {
	t.Parallel()
	const file = "/run/secrets/redis/password"
	got, err := LoadGateway("testdata/good/redis-password-file.yaml", environment())
	require.NoError(t, err)
	for _, conn := range []redisconn.Config{got.App.Cache.Redis.Conn, got.App.SharedState.Redis, got.App.RateLimits.Redis} {
		require.Equal(t, file, conn.PasswordFile)
		require.True(t, conn.Password.IsEmpty())
	}
	shown, err := got.YAML()
	require.NoError(t, err)
	require.Equal(t, 3, strings.Count(string(shown), "passwordFile: "+file), "%s", shown)
	require.Contains(t, string(shown), "username: state")
	require.Contains(t, string(shown), "sentinel-0:26379")
}

func cacheHead(latest uint64) chain.Head {
	return chain.Head{Latest: latest, Finalized: latest, IsKnown: true, HasFinalized: true}
}
