package e2e

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/devnet"
	"github.com/slipwayhq/slipway/internal/lifecycle/lifecycletest"
	"github.com/slipwayhq/slipway/internal/redisconn/redistest"
	"github.com/slipwayhq/slipway/internal/secret/secrettest"
)

// The password of the gateway's Redis changes, with both valid at once and with
// the file behind the server. Clients get answers all the time, and Redis is in
// use again by itself.
func TestRotation_OfRedissPassword(t *testing.T) {
	t.Parallel()
	chain, err := devnet.New(devnet.Config{ChainID: chainID, BlockTime: 200 * time.Millisecond, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	lifecycletest.Start(t, chain.Run)
	address, _ := redistest.Start(t, "--user", "admin", "on", ">admin", "~*", "&*", "+@all", "--user", "gateway", "on", ">hush-1", "~*", "&*", "+@all")
	server := redis.NewClient(&redis.Options{Addr: address, Username: "admin", Password: "admin"})
	t.Cleanup(func() { _ = server.Close() })
	do := func(words ...any) {
		t.Helper()
		require.NoError(t, server.Do(t.Context(), words...).Err())
	}
	cut := func() {
		t.Helper()
		do("CLIENT", "KILL", "USER", "gateway")
	}

	files := secrettest.New(t, map[string]string{"password": "hush-1"})
	at := func(db int) map[string]any {
		return map[string]any{"uri": fmt.Sprintf("redis://gateway@%s/%d", address, db), "passwordFile": files.Path("password"), "timeout": "5s"}
	}
	gateway := newProgram(t, "gateway", map[string]any{
		"clusterKey": "one",
		"projects": []any{map[string]any{
			"id":        "main",
			"networks":  []any{map[string]any{"architecture": "evm", "finality": "instant", "evm": map[string]any{"chainId": chainID}}},
			"upstreams": []any{map[string]any{"endpoint": chain.HTTPURL()}},
		}},
		"database": map[string]any{
			"evmJsonRpcCache": map[string]any{"connectors": []any{map[string]any{"id": "redis", "driver": "redis", "redis": at(0)}}},
			"sharedState":     map[string]any{"connector": map[string]any{"driver": "redis", "redis": at(1)}},
		},
	})
	gateway.serve(t)
	s := &system{client: newClient()}
	t.Cleanup(s.client.CloseIdleConnections)
	asked := 0
	ask := func() {
		t.Helper()
		var balance string
		s.rpc(t, gateway.url+fmt.Sprintf("/main/evm/%d", chainID), "eth_getBalance", fmt.Sprintf(`["0x%040x","0x0"]`, asked), &balance)
		asked++
	}
	kept := func() int64 {
		t.Helper()
		n, err := server.DBSize(t.Context()).Result()
		require.NoError(t, err)
		return n
	}
	isInUse := func() {
		t.Helper()
		before := kept()
		waitUntil(t, func() bool { ask(); return kept() > before })
	}
	isInUse()

	do("ACL", "SETUSER", "gateway", ">hush-2")
	files.Swap(t, map[string]string{"password": "hush-2"})
	do("ACL", "SETUSER", "gateway", "<hush-1")
	isInUse()
	cut()
	isInUse()

	do("ACL", "SETUSER", "gateway", "resetpass", ">hush-3")
	cut()
	before := kept()
	for range 20 {
		ask()
	}
	require.Equal(t, before, kept(), "Redis lets nobody in")
	files.Swap(t, map[string]string{"password": "hush-3"})
	isInUse()
	require.NotContains(t, gateway.written(t), "hush-")
	t.Logf("%d answers, no error", asked)
}
