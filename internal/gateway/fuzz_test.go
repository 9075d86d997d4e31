package gateway_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/cache"
	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/gateway"
	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/telemetry"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

// echoPool answers every call with its parameters.
type echoPool struct{}

func (echoPool) Do(_ context.Context, req upstreams.Request) (upstreams.Reply, error) {
	if !json.Valid(jsonrpc.AppendRequest(nil, jsonrpc.ID("1"), req.Method, req.Params)) {
		panic("a node would be sent what is no JSON")
	}
	if req.Params == nil {
		return upstreams.Reply{Result: []byte("null")}, nil
	}
	return upstreams.Reply{Result: req.Params, Head: 100}, nil
}

func (p echoPool) DoBatch(ctx context.Context, reqs []upstreams.Request) []upstreams.BatchReply {
	out := make([]upstreams.BatchReply, len(reqs))
	for i, req := range reqs {
		reply, err := p.Do(ctx, req)
		out[i] = upstreams.BatchReply{Reply: reply, IsSettled: err == nil}
	}
	return out
}

func (echoPool) Identity() upstreams.Identity {
	return upstreams.Identity{ChainID: 31337, Genesis: "0x" + strings.Repeat("9e", 32)}
}

func newEchoGateway(tb testing.TB) http.Handler {
	tb.Helper()
	factory := telemetry.NewFactory()
	memory, err := cache.NewMemory(1<<20, cache.NewMetrics(factory))
	require.NoError(tb, err)
	tracker := chain.NewTracker(chain.Finality{Mode: chain.Instant})
	parts := gateway.NetworkParts{
		NetworkConfig: gateway.NetworkConfig{ChainID: 31337, Alias: "dev"},
		NetworkDeps: gateway.NetworkDeps{
			Pool: echoPool{}, Tracker: tracker, Catalogue: methods.New(), Store: memory, Factory: factory,
			Log: slog.New(slog.DiscardHandler), Name: "evm:31337", Health: func() gateway.NetworkHealth { return gateway.NetworkHealth{Status: "ok"} },
		},
	}
	cfg := gateway.Default()
	cfg.Aliases = []gateway.HostAlias{{Domain: "*.example.org", Project: "main", Architecture: "evm", Chain: "31337"}}
	g, err := gateway.New(cfg, []gateway.Project{{ProjectConfig: gateway.DefaultProject(), Networks: []gateway.NetworkParts{parts}}},
		gateway.Deps{Ready: http.NotFoundHandler(), Factory: factory, Log: slog.New(slog.DiscardHandler)})
	require.NoError(tb, err)
	return g
}

// FuzzGateway: whatever a body is, the answer is JSON-RPC with the request's id,
// byte for byte, and what goes to the nodes is JSON.
func FuzzGateway(f *testing.F) {
	for _, seed := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}`, `{"jsonrpc":"2.0","id":"a\"","method":"eth_call","params":[{},"finalized"]}`,
		`[{"id":1,"method":"eth_getBalance","params":["0x1","safe"]},1,{"method":"eth_call"}]`, `[]`, `{`, `{"id":1e999,"method":"\u0000","params":{}}`,
		`{"id":1,"method":"eth_getLogs","params":[{"fromBlock":"safe","toBlock":"0x1"}]}`, "{\"id\":\"\xff\",\"method\":\"m\"}",
		`{"id":1,"method":"eth_sendRawTransaction","params":["0x"]}`, `{"id":1,"method":"eth_newFilter","params":[{}],"networkId":"evm:31337"}`,
	} {
		f.Add(seed)
	}
	g := newEchoGateway(f)
	f.Fuzz(func(t *testing.T, body string) {
		recorder := httptest.NewRecorder()
		g.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body)))
		text := recorder.Body.Bytes()
		if recorder.Code == http.StatusNoContent {
			require.Empty(t, text)
			return
		}
		require.True(t, json.Valid(text), "%q is answered with %q", body, text)
		request, invalid := jsonrpc.ScanRequest([]byte(body))
		if jsonrpc.IsBatch([]byte(body)) || invalid != nil && request.ID == nil {
			return
		}
		response, err := jsonrpc.ScanResponse(text)
		require.NoError(t, err, "%q is answered with %q", body, text)
		require.Equal(t, string(request.ID), string(response.ID), "%q is answered with %q", body, text)
	})
}

// FuzzRoutes: no host and path, however strange, brings more than an answer that
// says so.
func FuzzRoutes(f *testing.F) {
	for _, seed := range [][2]string{
		{"localhost", "/"},
		{"x.example.org", "/"},
		{"", "/main/evm/31337"},
		{"a", "/main//evm/31337/"},
		{"a", "/dev"},
		{"[::1]:80", "/evm/31337"},
		{"a", "/main/evm/18446744073709551616"},
		{"a", "/../main"},
		{"a", "/main/evm/031337"},
		{"..", "/main/%2f"},
	} {
		f.Add(seed[0], seed[1])
	}
	g := newEchoGateway(f)
	f.Fuzz(func(t *testing.T, host, path string) {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(`{"id":1,"method":"eth_chainId"}`))
		request.Host, request.URL.Path = host, path
		recorder := httptest.NewRecorder()
		g.ServeHTTP(recorder, request)
		switch recorder.Code {
		case http.StatusOK:
			require.Equal(t, `{"jsonrpc":"2.0","id":1,"result":"0x7a69"}`, recorder.Body.String())
		case http.StatusNotFound:
			require.True(t, json.Valid(recorder.Body.Bytes()), recorder.Body.String())
		default:
			t.Fatalf("%q%q: status %d", host, path, recorder.Code)
		}
	})
}
