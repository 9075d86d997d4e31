package gateway_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/gateway"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/upstreams"
	"github.com/slipwayhq/slipway/internal/upstreams/upstreamtest"
)

func TestCheckHeaders(t *testing.T) {
	t.Parallel()

	for name, isFine := range map[string]bool{
		"Strict-Transport-Security": true, "x-served-by": true, "Server": true, "Cache-Control": true,
		"Connection": false, "transfer-encoding": false, "Content-Length": false, "content-type": false, "Upgrade": false, "TE": false,
		"X-ERPC-Cache": false, "x-request-id": false, "Vary": false, "Access-Control-Allow-Origin": false, "Sec-WebSocket-Accept": false, "a b": false, "": false,
	} {
		require.Equal(t, isFine, gateway.CheckAnswerHeader(name, "1") == nil, name)
	}
	require.Error(t, gateway.CheckAnswerHeader("X-A", "1\r\nX-B: 2"))
	for name, isFine := range map[string]bool{
		"X-Tenant": true, "authorization": true, "Cookie": true, "x-request-id": true, "traceparent": true,
		"Host": false, "Connection": false, "keep-alive": false, "Content-Length": false, "Accept-Encoding": false, "Proxy-Authorization": false,
		"X-ERPC-Secret-Token": false, "X-Siwe-Message": false, "User-Agent": false, "X-*": false, "": false, "a:b": false,
	} {
		require.Equal(t, isFine, gateway.CheckForwardedHeader(name) == nil, name)
	}
}

func TestResponseHeaders_AreOnEveryAnswer(t *testing.T) {
	t.Parallel()

	w := newWorld(t, 1, func(cfg *worldConfig) { cfg.ResponseHeaders = map[string]string{"x-served-by": "here"} })
	const call = `{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}`
	for _, answer := range []*httptest.ResponseRecorder{
		w.send(t.Context(), http.MethodPost, "/", call), w.send(t.Context(), http.MethodPost, "/", "["+call+"]"),
		w.send(t.Context(), http.MethodPost, "/nowhere/at/all/x", call), w.send(t.Context(), http.MethodPost, "/", "{"),
		w.send(t.Context(), http.MethodGet, "/", ""), w.send(t.Context(), http.MethodOptions, "/", ""),
	} {
		require.Equal(t, []string{"here"}, answer.Header()["X-Served-By"])
	}
}

// tenantNode answers eth_getCode with what it was told of the tenant.
func tenantNode(t *testing.T) (node *httptest.Server, asked *atomic.Int64) {
	t.Helper()
	scripted := upstreamtest.New(t)
	scripted.Answer("eth_getCode", upstreamtest.Result(`"TENANT"`))
	asked = new(atomic.Int64)
	node = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		recorder := httptest.NewRecorder()
		scripted.ServeHTTP(recorder, r)
		text := recorder.Body.String()
		asked.Add(int64(strings.Count(text, "TENANT")))
		_, _ = w.Write([]byte(strings.ReplaceAll(text, "TENANT", "<"+strings.Join(r.Header["X-Tenant"], "+")+">")))
	}))
	t.Cleanup(node.Close)
	return node, asked
}

func TestForwardHeaders_KeepAnswersApart(t *testing.T) {
	t.Parallel()

	node, asked := tenantNode(t)
	w := newWorld(t, 0, func(cfg *worldConfig) {
		cfg.project.ForwardHeaders = []string{"x-tenant", "X-Request-Id"}
		cfg.pool.Upstreams = []upstreams.Endpoint{{ID: "a", URL: secret.New(node.URL)}}
	})
	const one = `{"jsonrpc":"2.0","id":1,"method":"eth_getCode","params":["0x0000000000000000000000000000000000000001","0x5"]}`
	ask := func(body string, tenants ...string) (string, string) {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
		request.Header["X-Tenant"] = tenants
		request.Header.Set("X-Request-Id", "id-"+strings.Join(tenants, "-")+"-"+body[:1])
		request.Header.Set("X-Other", "stays here")
		recorder := httptest.NewRecorder()
		w.gateway.ServeHTTP(recorder, request)
		return recorder.Body.String(), recorder.Header().Get("X-ERPC-Cache")
	}
	for _, c := range []struct {
		tenants      []string
		answer, from string
	}{
		{[]string{"a"}, "<a>", "MISS"},
		{[]string{"b"}, "<b>", "MISS"},
		{[]string{"a"}, "<a>", "HIT"},
		{nil, "<>", "MISS"},
		{nil, "<>", "HIT"},
		{[]string{"a", "b"}, "<a+b>", "MISS"},
		{[]string{"bad\x01"}, "<>", "HIT"},
		{[]string{strings.Repeat("x", 5000)}, "<>", "HIT"},
	} {
		answer, from := ask(one, c.tenants...)
		require.Contains(t, answer, c.answer)
		require.Equal(t, c.from, from, c.tenants)
	}
	require.Equal(t, int64(4), asked.Load())

	batch := "[" + one + "," + strings.Replace(one, "0x5", "0x6", 1) + "]"
	answer, _ := ask(batch, "c")
	require.Equal(t, 2, strings.Count(answer, "<c>"), "a batch takes them along")
}
