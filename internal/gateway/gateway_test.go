package gateway_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/cache"
	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/gateway"
	"github.com/slipwayhq/slipway/internal/lifecycle/lifecycletest"
	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/subscriptions"
	"github.com/slipwayhq/slipway/internal/telemetry"
	"github.com/slipwayhq/slipway/internal/upstreams"
	"github.com/slipwayhq/slipway/internal/upstreams/upstreamtest"
)

// world is a gateway with a real pool in front of scripted nodes.
type world struct {
	gateway http.Handler
	sockets *gateway.Sockets
	nodes   []*upstreamtest.Node
	factory telemetry.Factory
}

// worldConfig is what a test may change.
type worldConfig struct {
	gateway.Config
	project gateway.ProjectConfig
	network gateway.NetworkConfig
	pool    upstreams.Config
	sockets gateway.SocketConfig
	hub     subscriptions.Config
}

func newWorld(tb testing.TB, nodeCount int, change func(*worldConfig)) *world {
	tb.Helper()
	w := &world{factory: telemetry.NewFactory()}
	cfg := worldConfig{Config: gateway.Default(), project: gateway.DefaultProject(), network: gateway.NetworkConfig{Search: gateway.DefaultSearch()}, pool: upstreams.Default(), sockets: gateway.DefaultSockets(), hub: subscriptions.Default()}
	cfg.Version = "test"
	cfg.RequestTimeout = 3 * time.Second // a busy machine
	cfg.pool.ChainID = upstreamtest.ChainID
	cfg.pool.Finality = chain.Finality{Mode: chain.Instant}
	cfg.pool.PollInterval = 20 * time.Millisecond
	if change != nil {
		change(&cfg)
	}
	pool := cfg.pool
	for range nodeCount {
		n := upstreamtest.New(tb)
		w.nodes = append(w.nodes, n)
		pool.Upstreams = append(pool.Upstreams, upstreams.Endpoint{URL: secret.New(n.URL())})
	}
	catalogue, tracker, log := methods.New(), chain.NewTracker(pool.Finality), slog.New(slog.DiscardHandler)
	network, err := upstreams.NewPool(pool, tracker, catalogue, w.factory, log)
	require.NoError(tb, err)
	memory, err := cache.NewMemory(1<<20, cache.NewMetrics(w.factory))
	require.NoError(tb, err)

	hub, err := subscriptions.New(cfg.hub, subscriptions.Deps{
		Network: network, Catalogue: catalogue, Metrics: subscriptions.NewMetrics(w.factory), Log: log, Project: "main", NetworkName: "evm:31337",
	})
	require.NoError(tb, err)
	w.sockets, err = gateway.NewSockets(cfg.sockets, w.factory, log)
	require.NoError(tb, err)
	parts := gateway.NetworkParts{NetworkConfig: cfg.network, NetworkDeps: gateway.NetworkDeps{
		Pool: network, Tracker: tracker, Catalogue: catalogue, Store: memory, Factory: w.factory, Log: log, Name: "evm:31337", Hub: hub,
		Health: func() gateway.NetworkHealth {
			return gateway.NetworkHealth{Status: "ok", ChainID: upstreamtest.ChainID, Latest: tracker.Head().Latest, Finality: "instant"}
		},
	}}
	front, err := gateway.New(cfg.Config, []gateway.Project{{ProjectConfig: cfg.project, Networks: []gateway.NetworkParts{parts}}}, gateway.Deps{
		Ready:   http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"status":"ready"}`)) }),
		Sockets: w.sockets,
		Factory: w.factory, Log: log,
	})
	require.NoError(tb, err)
	w.sockets.Use(front)
	w.gateway = front

	ctx, cancel := context.WithCancel(context.Background()) // ends after the last request, not before
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- network.Run(ctx, func() { close(ready) }) }()
	tb.Cleanup(func() {
		cancel()
		require.NoError(tb, <-done)
	})
	<-ready
	lifecycletest.Start(tb, hub.Run)
	return w
}

func (w *world) send(ctx context.Context, method, path, body string) *httptest.ResponseRecorder {
	recorder := httptest.NewRecorder()
	w.gateway.ServeHTTP(recorder, httptest.NewRequestWithContext(ctx, method, path, strings.NewReader(body)))
	return recorder
}

func (w *world) metrics(t *testing.T) string {
	t.Helper()
	recorder := httptest.NewRecorder()
	telemetry.NewAdminHandler(w.factory.Gatherer()).ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	return recorder.Body.String()
}

// TestScripts plays the files in testdata/scripts. Their lines:
//
//	nodes N                              how many nodes there are (first line)
//	node N says METHOD JSON              the node answers with a result
//	node N errs METHOD JSON              the node answers with an error object
//	node N faults METHOD FAULT           the node misbehaves (see upstreamtest)
//	>> [HTTP-METHOD PATH] BODY           client to gateway; POST / when left out
//	<< STATUS [BODY]                     gateway to client, byte for byte
//	node N was asked METHOD COUNT        how often, since the start
//	node N was last asked METHOD PARAMS  what, byte for byte
//	node N had batches COUNT             how many batches reached the node
//	metric LINE                          a line of the metrics
func TestScripts(t *testing.T) {
	t.Parallel()

	files, err := filepath.Glob("testdata/scripts/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			play(t, file)
		})
	}
}

func play(t *testing.T, file string) {
	t.Helper()
	text, err := os.Open(file)
	require.NoError(t, err)
	defer text.Close()
	var w *world
	var answer *httptest.ResponseRecorder
	lines := bufio.NewScanner(text)
	for number := 1; lines.Scan(); number++ {
		line, where := strings.TrimSpace(lines.Text()), fmt.Sprintf("%s:%d", file, number)
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case "", "#":
		case "nodes":
			var count int
			_, err := fmt.Sscan(rest, &count)
			require.NoError(t, err, where)
			w = newWorld(t, count, nil)
		case ">>":
			answer = w.ask(t, rest)
		case "<<":
			status, body, _ := strings.Cut(rest, " ")
			require.Equal(t, status, fmt.Sprint(answer.Code), "%s: %s", where, answer.Body)
			require.Equal(t, body, answer.Body.String(), where)
		case "node":
			w.node(t, where, rest)
		case "metric":
			require.Contains(t, w.metrics(t), rest+"\n", where)
		default:
			t.Fatalf("%s: what is %q?", where, word)
		}
	}
	require.NoError(t, lines.Err())
}

func (w *world) ask(t *testing.T, line string) *httptest.ResponseRecorder {
	t.Helper()
	method, path, body := http.MethodPost, "/", line
	if parts := strings.SplitN(line, " ", 3); len(parts) > 1 && strings.HasPrefix(parts[1], "/") {
		method, path, body = parts[0], parts[1], strings.Join(parts[2:], "")
	}
	return w.send(t.Context(), method, path, body)
}

func (w *world) node(t *testing.T, where, line string) {
	t.Helper()
	var number int
	_, err := fmt.Sscan(line, &number)
	require.NoError(t, err, where)
	_, line, _ = strings.Cut(line, " ")
	node := w.nodes[number-1]
	verbs := []struct {
		words string
		do    func(first, second string)
	}{
		{"says", func(method, result string) { node.Answer(method, upstreamtest.Result(result)) }},
		{"errs", func(method, object string) { node.Answer(method, upstreamtest.Answer{Error: object}) }},
		{"faults", func(method, fault string) { node.SetFault(method, upstreamtest.Fault(fault)) }},
		{"was last asked", func(method, params string) { require.Equal(t, params, node.LastParams(method), where) }},
		{"was asked", func(method, count string) { require.Equal(t, count, fmt.Sprint(node.Calls(method)), where) }},
		{"had batches", func(count, _ string) { require.Equal(t, count, fmt.Sprint(node.Batches()), where) }},
	}
	for _, verb := range verbs {
		if rest, ok := strings.CutPrefix(line, verb.words+" "); ok {
			first, second, _ := strings.Cut(rest, " ")
			verb.do(first, second)
			return
		}
	}
	t.Fatalf("%s: what is %q?", where, line)
}

func TestBody_Limits(t *testing.T) {
	t.Parallel()

	w := newWorld(t, 1, func(c *worldConfig) { c.MaxBodyBytes, c.MaxBatch = 1000, 3 })
	tooLarge := `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"invalid request: the body is larger than the limit"}}`
	exact := `{"id":1,"method":"eth_chainId","x":"`
	exact += strings.Repeat("x", 1000-len(exact)-2) + `"}`

	require.Equal(t, 200, w.send(t.Context(), "POST", "/", exact).Code)
	got := w.send(t.Context(), "POST", "/", exact+" ")
	require.Equal(t, 413, got.Code)
	require.Equal(t, tooLarge, got.Body.String())

	chunked := httptest.NewRequestWithContext(t.Context(), "POST", "/", strings.NewReader(exact+" "))
	chunked.ContentLength = -1
	recorder := httptest.NewRecorder()
	w.gateway.ServeHTTP(recorder, chunked)
	require.Equal(t, 413, recorder.Code)

	one := `{"id":1,"method":"eth_chainId"}`
	require.Equal(t, 200, w.send(t.Context(), "POST", "/", "["+one+","+one+","+one+"]").Code)
	got = w.send(t.Context(), "POST", "/", "["+one+","+one+","+one+","+one+"]")
	require.Equal(t, 400, got.Code)
	require.Contains(t, got.Body.String(), "too many elements")
}

func TestBody_DeepNesting(t *testing.T) {
	t.Parallel()

	w := newWorld(t, 1, nil)
	const depth = 1_000_000
	for _, body := range []string{
		strings.Repeat("[", depth),
		`{"id":1,"method":"eth_call","params":` + strings.Repeat("[", depth) + strings.Repeat("]", depth) + `}`,
	} {
		got := w.send(t.Context(), "POST", "/", body)
		require.Equal(t, 400, got.Code)
		require.Contains(t, got.Body.String(), "nested too deeply")
	}
}

func TestAnswer_LargeResults(t *testing.T) {
	t.Parallel()

	w := newWorld(t, 1, nil)
	large := `"0x` + strings.Repeat("ab", 100_000) + `"`
	w.nodes[0].Answer("eth_getCode", upstreamtest.Result(large))
	for range 2 { // from the node, then from the cache
		got := w.send(t.Context(), "POST", "/", `{"id":"x","method":"eth_getCode","params":["0xab","0x1"]}`)
		require.Equal(t, `{"jsonrpc":"2.0","id":"x","result":`+large+`}`, got.Body.String())
		require.Equal(t, fmt.Sprint(got.Body.Len()), got.Header().Get("Content-Length"))
		require.Equal(t, "application/json", got.Header().Get("Content-Type"))
	}
	require.Equal(t, 1, w.nodes[0].Calls("eth_getCode"))
}
