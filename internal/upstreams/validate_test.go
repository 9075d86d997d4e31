package upstreams_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/devnet"
	"github.com/slipwayhq/slipway/internal/lifecycle/lifecycletest"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/upstreams"
	"github.com/slipwayhq/slipway/internal/upstreams/upstreamtest"
)

// inspect looks at some URLs for two seconds at most.
func inspect(t *testing.T, urls ...string) []upstreams.Inspection {
	t.Helper()
	cfg := upstreams.Default()
	for _, u := range urls {
		cfg.Upstreams = append(cfg.Upstreams, upstreams.Endpoint{URL: secret.New(u)})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	return upstreams.Inspect(ctx, cfg)
}

func TestInspect_OfNodesThatDiffer(t *testing.T) {
	t.Parallel()

	good := upstreamtest.New(t)
	good.Answer("eth_syncing", upstreamtest.Result("false"))
	good.Answer("eth_getLogs", upstreamtest.Result("[]"))
	good.Answer("debug_traceTransaction", upstreamtest.Error(-32602, "no such transaction"))
	good.Answer("trace_block", upstreamtest.Error(-32604, "Method not enabled"))
	good.AnswerFunc("eth_getBalance", func(params string) upstreamtest.Answer {
		var number uint64
		_, err := fmt.Sscanf(params[strings.LastIndexByte(params, ',')+1:], `"0x%x"]`, &number)
		require.NoError(t, err)
		if number < 40 {
			return upstreamtest.Error(-32000, "World state unavailable")
		}
		return upstreamtest.Result(`"0x0"`)
	})
	behind := upstreamtest.New(t)
	behind.SetHead(50)
	behind.Answer("eth_syncing", upstreamtest.Result(`{"currentBlock":"0x32"}`))
	behind.Answer("eth_getBalance", upstreamtest.Result(`"0x0"`))
	other := upstreamtest.New(t)
	other.SetChain(upstreamtest.ChainID, "0x"+strings.Repeat("77", 32))
	gone := upstreamtest.New(t)
	gone.Stop()
	closed := upstreamtest.New(t)
	closed.SetFault("", upstreamtest.Forbidden)
	page := upstreamtest.New(t)
	page.SetFault("", upstreamtest.HTML)
	slow := upstreamtest.New(t)
	slow.SetFault("", upstreamtest.Hang)
	halting := upstreamtest.New(t)
	halting.SetFault("eth_getLogs", upstreamtest.Hang)

	begin := time.Now()
	got := inspect(t, good.URL(), behind.URL(), other.URL(), strings.Replace(gone.URL(), "http://", "http://user:hidden@", 1)+"/hidden",
		closed.URL(), page.URL(), slow.URL(), halting.URL())
	require.Less(t, time.Since(begin), 4*time.Second, "they are looked at at the same time")

	require.Empty(t, got[0].Errors)
	require.Empty(t, got[0].Warnings)
	require.EqualValues(t, upstreamtest.ChainID, got[0].ChainID)
	require.Equal(t, "upstreamtest/1", got[0].ClientVersion)
	require.EqualValues(t, 40, *got[0].OldestState)
	require.LessOrEqual(t, good.Calls("eth_getBalance"), 26)
	require.Equal(t, map[string]bool{
		"eth_getLogs": true, "eth_getBlockReceipts": false, "eth_feeHistory": false, "debug_traceTransaction": true, "trace_block": false,
		"txpool_status": false, "txpool_besuStatistics": false, "net_peerCount": false, "qbft_getValidatorsByBlockNumber": false, "ibft_getValidatorsByBlockNumber": false,
	}, got[0].Methods)

	require.Empty(t, got[1].Errors)
	require.Equal(t, []string{"is 50 blocks behind", "is syncing", "does not have eth_getLogs"}, got[1].Warnings)
	require.Zero(t, *got[1].OldestState, "an archive")
	require.Contains(t, got[2].Errors[0], "shows the genesis block 0x7777")
	for i, want := range map[int]string{
		3: "cannot be reached: ", 4: "does not accept the credentials (HTTP status 403)", 5: "does not answer as it should", 6: "does not answer in time",
	} {
		require.False(t, got[i].Reachable, i)
		require.Contains(t, got[i].Errors[0], want)
	}
	require.Empty(t, got[7].Errors, "what was found out counts")
	require.Contains(t, got[7].Warnings, "too slow: not everything could be found out in time")
	require.NotContains(t, fmt.Sprint(got), "hidden")
}

func TestInspect_SendsTheHeaderAndTriesTheWebSocket(t *testing.T) {
	t.Parallel()

	node, other := upstreamtest.New(t), upstreamtest.New(t)
	other.SetChain(7, upstreamtest.Genesis)
	keyed := func(next http.Handler) *httptest.Server {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Key") != "hidden" {
				http.Error(w, "no key", http.StatusForbidden)
				return
			}
			next.ServeHTTP(w, r)
		}))
		t.Cleanup(server.Close)
		return server
	}
	plain := keyed(node)
	ws := func(server *httptest.Server) secret.String {
		return secret.New(strings.Replace(server.URL, "http://", "ws://user:hidden@", 1) + "/hidden")
	}
	good, foreign := keyed(&pushingNode{node: node}), keyed(&pushingNode{node: other})
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	closed := httptest.NewServer(http.NotFoundHandler())
	defer closed.Close()

	cfg := upstreams.Default()
	header := map[string]secret.String{"x-key": secret.New("hidden")}
	for id, socket := range []secret.String{ws(good), ws(foreign), ws(gone), ws(closed), {}} {
		cfg.Upstreams = append(cfg.Upstreams, upstreams.Endpoint{ID: fmt.Sprint(id), URL: secret.New(plain.URL), WebSocketURL: socket, Header: header})
	}
	cfg.Upstreams = append(cfg.Upstreams, upstreams.Endpoint{ID: "no header", URL: secret.New(plain.URL)})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	got := upstreams.Inspect(ctx, cfg)

	for i := range 5 {
		require.True(t, got[i].Reachable, "the header is sent")
		require.Empty(t, got[i].Errors, i)
	}
	require.True(t, *got[0].WebSocket)
	require.NotContains(t, strings.Join(got[0].Warnings, " "), "WebSocket")
	for i, want := range map[int]string{1: "it shows chain id 7 instead of 31337 of its HTTP port", 2: "connection refused", 3: "HTTP status 404"} {
		require.False(t, *got[i].WebSocket, i)
		require.Contains(t, strings.Join(got[i].Warnings, "\n"), "cannot be followed over its WebSocket, it is polled: ", i)
		require.Contains(t, strings.Join(got[i].Warnings, "\n"), want, i)
	}
	require.Nil(t, got[4].WebSocket)
	require.Contains(t, got[5].Errors[0], "does not accept the credentials")
	require.NotContains(t, fmt.Sprint(got), "hidden")
}

func TestInspect_ARealChain(t *testing.T) {
	t.Parallel()

	chain, err := devnet.New(devnet.Config{ChainID: 4242, HTTPAddr: "127.0.0.1:0"})
	require.NoError(t, err)
	lifecycletest.Start(t, chain.Run)
	for range 3 {
		_, err := chain.Commit()
		require.NoError(t, err)
	}

	got := inspect(t, chain.HTTPURL())[0]

	require.Empty(t, got.Errors)
	require.Empty(t, got.Warnings)
	require.True(t, got.Reachable)
	require.EqualValues(t, 4242, got.ChainID)
	require.Equal(t, chain.Genesis().Hex(), got.Genesis)
	require.GreaterOrEqual(t, got.Head, uint64(3))
	require.Zero(t, *got.OldestState)
	require.True(t, got.Methods["eth_getLogs"])
	require.True(t, got.Methods["eth_getBlockReceipts"])
	require.False(t, got.Methods["qbft_getValidatorsByBlockNumber"])
}
