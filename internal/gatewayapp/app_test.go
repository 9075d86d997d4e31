package gatewayapp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/cache/cachetest"
	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/gatewayapp"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/upstreams"
	"github.com/slipwayhq/slipway/internal/upstreams/upstreamtest"
)

// config is a gateway on free ports in front of some nodes.
func config(nodes ...*upstreamtest.Node) gatewayapp.Config {
	cfg := gatewayapp.Default()
	cfg.Listen, cfg.AdminListen = "127.0.0.1:0", "127.0.0.1:0"
	cfg.Pool().ChainID = upstreamtest.ChainID
	cfg.Pool().Finality = chain.Finality{Mode: chain.Instant}
	cfg.Pool().PollInterval = 50 * time.Millisecond
	cfg.Projects[0].Networks[0].LatestMaxAge = 0 // what asks for latest reaches the node
	for _, n := range nodes {
		cfg.Pool().Upstreams = append(cfg.Pool().Upstreams, upstreams.Endpoint{URL: secret.New(n.URL())})
	}
	return cfg
}

// start runs a gateway until the test ends.
func start(t *testing.T, cfg gatewayapp.Config) *gatewayapp.App {
	t.Helper()
	app, _ := startStoppable(t, cfg)
	return app
}

// startStoppable runs a gateway until stop or the end of the test.
func startStoppable(t *testing.T, cfg gatewayapp.Config) (app *gatewayapp.App, stop func()) {
	t.Helper()
	var err error
	app, err = gatewayapp.New(cfg, gatewayapp.Deps{Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- app.Run(ctx, func() { close(ready) }) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-done)
	})
	t.Cleanup(stop)
	select {
	case <-ready:
	case err := <-done:
		done <- nil
		t.Fatalf("the gateway ended: %v", err)
	case <-time.After(10 * time.Second):
		t.Fatal("the gateway does not become ready")
	}
	return app, stop
}

// post sends a body and returns status and answer.
func post(t *testing.T, app *gatewayapp.App, path, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+app.Addr()+path, strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	return do(t, request)
}

func do(t *testing.T, request *http.Request) (int, string) {
	t.Helper()
	response, err := http.DefaultClient.Do(request) //nolint:forbidigo // a test's client
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(text)
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	return do(t, request)
}

const balance = `{"jsonrpc":"2.0","id":7,"method":"eth_getBalance","params":["0x0000000000000000000000000000000000000001","latest"]}`

func TestApp_ForwardsAndAnswersItself(t *testing.T) {
	t.Parallel()

	node := upstreamtest.New(t)
	node.Answer("eth_getBalance", upstreamtest.Result(`"0x2a"`))
	app := start(t, config(node))

	for _, path := range []string{"/", "/main", "/main/evm/31337"} {
		status, text := post(t, app, path, balance)
		require.Equal(t, 200, status)
		require.Equal(t, `{"jsonrpc":"2.0","id":7,"result":"0x2a"}`, text)
	}
	_, text := post(t, app, "/", `{"jsonrpc":"2.0","id":"a","method":"eth_chainId"}`)
	require.Equal(t, `{"jsonrpc":"2.0","id":"a","result":"0x7a69"}`, text)

	status, text := get(t, "http://"+app.Addr()+"/main/healthcheck")
	require.Equal(t, 200, status)
	require.Equal(t, `{"status":"ok","projects":[{"id":"main","networks":[{"status":"ok","chainId":31337,"latestBlock":100,"finalizedBlock":100,"finality":"instant"}]}]}`, text)
	status, text = get(t, "http://"+app.AdminAddr()+"/metrics")
	require.Equal(t, 200, status)
	require.Contains(t, text, `gateway_requests_total{method="eth_getBalance",network="evm:31337",outcome="ok",project="main",source="upstream"} 3`)
	status, _ = get(t, "http://"+app.AdminAddr()+"/readyz")
	require.Equal(t, 200, status)
}

func TestApp_HTTP2WithoutTLSForClientsOnly(t *testing.T) {
	t.Parallel()

	node := upstreamtest.New(t)
	large := `"0x` + strings.Repeat("ab", 100_000) + `"`
	node.Answer("eth_getBalance", upstreamtest.Result(large))
	app := start(t, config(node))
	client := &http.Transport{Protocols: new(http.Protocols)} // asks for gzip on its own
	client.Protocols.SetUnencryptedHTTP2(true)
	defer client.CloseIdleConnections()

	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+app.Addr(), strings.NewReader(balance))
	require.NoError(t, err)
	response, err := client.RoundTrip(request)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, "HTTP/2.0", response.Proto)
	require.True(t, response.Uncompressed, "it came as gzip")
	require.Equal(t, `{"jsonrpc":"2.0","id":7,"result":`+large+`}`, string(text))
	require.Equal(t, "MISS", response.Header.Get("X-ERPC-Cache"))

	admin, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+app.AdminAddr()+"/metrics", nil)
	require.NoError(t, err)
	refused, err := client.RoundTrip(admin)
	if err == nil {
		refused.Body.Close()
	}
	require.Error(t, err)
}

func TestApp_DyingUpstreamIsInvisible(t *testing.T) {
	t.Parallel()

	for name, die := range map[string]func(*upstreamtest.Node){
		"killed":      (*upstreamtest.Node).Stop,
		"hangs":       func(n *upstreamtest.Node) { n.SetFault("", upstreamtest.Hang) },
		"resets":      func(n *upstreamtest.Node) { n.SetFault("", upstreamtest.Reset) },
		"answers 503": func(n *upstreamtest.Node) { n.SetFault("", upstreamtest.ServerDown) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			first, second := upstreamtest.New(t), upstreamtest.New(t)
			for _, n := range []*upstreamtest.Node{first, second} {
				n.Answer("eth_getBalance", upstreamtest.Result(`"0x1"`))
				n.Answer("eth_sendRawTransaction", upstreamtest.Result(`"0x2"`))
			}
			cfg := config(first, second)
			cfg.Pool().SendTimeout = 200 * time.Millisecond
			app := start(t, cfg)

			die(first)

			for range 20 {
				status, text := post(t, app, "/", balance)
				require.Equal(t, 200, status, text)
				require.Contains(t, text, `"0x1"`)
			}
			status, text := post(t, app, "/", `{"id":1,"method":"eth_sendRawTransaction","params":["0x01"]}`)
			require.Equal(t, 200, status, text)
			require.Contains(t, text, `"0x2"`)
			require.Equal(t, 1, second.Calls("eth_sendRawTransaction"))
		})
	}
}

func TestApp_HangingPrimaryLosesItsPlaceWithinASecond(t *testing.T) {
	t.Parallel()

	first, second := upstreamtest.New(t), upstreamtest.New(t)
	first.Answer("eth_getBalance", upstreamtest.Result(`"0x1"`))
	second.Answer("eth_getBalance", upstreamtest.Result(`"0x2"`))
	app := start(t, config(first, second))

	first.SetFault("", upstreamtest.Hang)
	deadline := time.Now().Add(time.Second)
	for asked := -1; asked != first.Calls("eth_getBalance"); {
		require.False(t, time.Now().After(deadline), "the hanging node is still asked first")
		asked = first.Calls("eth_getBalance")
		_, text := post(t, app, "/", balance)
		require.Contains(t, text, `"0x2"`)
	}
}

func TestApp_WrongChain(t *testing.T) {
	t.Parallel()

	node := upstreamtest.New(t)
	cfg := config(node)
	cfg.Pool().ChainID = 1
	app, err := gatewayapp.New(cfg, gatewayapp.Deps{Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)

	err = app.Run(t.Context(), func() { t.Error("it must not become ready") })

	var wrong *upstreams.WrongChainError
	require.ErrorAs(t, err, &wrong)
	require.EqualError(t, err, "upstreams: main/evm:1: every upstream shows chain id 31337, configured is chain id 1")
}

func TestApp_StartsWithoutAnyUpstream(t *testing.T) {
	t.Parallel()

	node := upstreamtest.New(t)
	cfg := config(node)
	node.Stop()
	app := start(t, cfg)

	status, text := get(t, "http://"+app.AdminAddr()+"/readyz")
	require.Equal(t, 503, status)
	require.Contains(t, text, "no upstream is reachable")
	status, text = post(t, app, "/", balance)
	require.Equal(t, 503, status)
	require.Equal(t, `{"jsonrpc":"2.0","id":7,"error":{"code":-32002,"message":"no upstream can serve this request now"}}`, text)
	status, _ = get(t, "http://"+app.Addr()+"/livez")
	require.Equal(t, 200, status)
}

func TestApp_TwoInOneProcess(t *testing.T) {
	t.Parallel()

	one, two := upstreamtest.New(t), upstreamtest.New(t)
	one.Answer("eth_getBalance", upstreamtest.Result(`"0x1"`))
	two.Answer("eth_getBalance", upstreamtest.Result(`"0x2"`))
	a, b := start(t, config(one)), start(t, config(two))

	_, text := post(t, a, "/", balance)
	require.Contains(t, text, `"0x1"`)
	_, text = post(t, b, "/", balance)
	require.Contains(t, text, `"0x2"`)
}

func TestApp_StopLetsRequestsFinish(t *testing.T) {
	t.Parallel()

	node := upstreamtest.New(t)
	inside, release := make(chan struct{}), make(chan struct{})
	node.AnswerFunc("eth_getBalance", func(string) upstreamtest.Answer {
		close(inside)
		<-release
		return upstreamtest.Result(`"0x1"`)
	})
	app, err := gatewayapp.New(config(node), gatewayapp.Deps{Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- app.Run(ctx, func() { close(ready) }) }()
	<-ready

	answer := make(chan string, 1)
	go func() {
		response, err := http.Post("http://"+app.Addr(), "application/json", bytes.NewReader([]byte(balance))) //nolint:noctx // ends with the server
		if err != nil {
			answer <- err.Error()
			return
		}
		defer response.Body.Close()
		text, _ := io.ReadAll(response.Body)
		answer <- string(text)
	}()
	<-inside
	cancel()
	close(release)

	require.Equal(t, `{"jsonrpc":"2.0","id":7,"result":"0x1"}`, <-answer)
	require.NoError(t, <-done)
}

func TestApp_ClientsAreAskedToLeaveBeforeTheStop(t *testing.T) {
	t.Parallel()
	node := upstreamtest.New(t)
	node.Answer("eth_getBalance", upstreamtest.Result(`"0x1"`))
	cfg := config(node)
	cfg.WaitBeforeShutdown = 2 * time.Second
	app, err := gatewayapp.New(cfg, gatewayapp.Deps{Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- app.Run(ctx, func() { close(ready) }) }()
	<-ready
	isAskedToLeave := func(version int) bool {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(version == 1)
		protocols.SetUnencryptedHTTP2(version == 2)
		transport := &http.Transport{Protocols: protocols}
		defer transport.CloseIdleConnections()
		response, err := (&http.Client{Transport: transport}).Post("http://"+app.Addr(), "application/json", strings.NewReader(balance)) //nolint:noctx // ends with the server
		require.NoError(t, err)
		defer response.Body.Close()
		require.Equal(t, http.StatusOK, response.StatusCode)
		require.Equal(t, version, response.ProtoMajor)
		return response.Close
	}
	require.False(t, isAskedToLeave(1))
	require.False(t, isAskedToLeave(2))
	cancel()
	require.Eventually(t, func() bool { return isAskedToLeave(1) }, time.Second, time.Millisecond)
	isAskedToLeave(2) // by a frame of its own, which the client keeps to itself
	require.NoError(t, <-done)
}

func TestApp_RedisOutlivesTheGateway(t *testing.T) {
	t.Parallel()

	redis, stopRedis := cachetest.StartRedis(t)
	node := upstreamtest.New(t)
	node.Answer("eth_getBalance", upstreamtest.Result(`"0x1"`))
	final := strings.Replace(balance, "latest", "0x1", 1)
	cfg := config(node)
	cfg.Cache.Redis.Conn.URL = secret.New(redis)
	cfg.Cache.Redis.Conn.Timeout = 5 * time.Second // a busy test machine
	first, second := start(t, cfg), start(t, cfg)

	_, text := post(t, first, "/", final)
	require.Contains(t, text, `"0x1"`)
	require.Eventually(t, func() bool {
		_, metrics := get(t, "http://"+first.AdminAddr()+"/metrics")
		return strings.Contains(metrics, `gateway_cache_sets_total{network="evm:31337",outcome="ok",policy="*/*/finalized",project="main",store="redis",ttl="forever"} 1`)
	}, 5*time.Second, 5*time.Millisecond)
	_, text = post(t, second, "/", final)
	require.Contains(t, text, `"0x1"`)
	require.Equal(t, 1, node.Calls("eth_getBalance"), "the second gateway found it in Redis")

	stopRedis()
	for range 3 {
		status, text := post(t, second, "/", strings.Replace(balance, "latest", "0x2", 1))
		require.Equal(t, 200, status, text)
	}
}

func TestConfig_ValidateReportsEverything(t *testing.T) {
	t.Parallel()

	cfg := gatewayapp.Default()
	cfg.Listen = "nowhere"
	cfg.Cache.Redis.Conn.URL = secret.New("http://user:hidden@host")
	cfg.Pool().Upstreams = []upstreams.Endpoint{{URL: secret.New("ftp://user:hidden@host")}}

	err := cfg.Validate()

	for _, part := range []string{`listen: "nowhere"`, "it must be redis://", "upstreams[0]: the URL must begin with http://"} {
		require.ErrorContains(t, err, part)
	}
	require.NotContains(t, err.Error(), "hidden")
}

func TestApp_TellsTheOperatorTheOrderOfTheNodes(t *testing.T) {
	t.Parallel()

	app := start(t, config(upstreamtest.New(t)))

	status, text := get(t, "http://"+app.AdminAddr()+"/upstreams?method=eth_getLogs&params=[{}]")
	require.Equal(t, 200, status)
	var list []struct {
		Network        string
		Finality       string
		FinalitySource string
		Upstreams      []upstreams.Standing
	}
	require.NoError(t, json.Unmarshal([]byte(text), &list), text)
	require.Len(t, list, 1)
	require.Equal(t, "evm:31337", list[0].Network)
	require.Equal(t, 1, list[0].Upstreams[0].Place)
	require.Equal(t, "serving", list[0].Upstreams[0].State)
	require.Equal(t, "other", list[0].Upstreams[0].Vendor)
	require.Equal(t, "instant", list[0].Finality)
	require.Equal(t, "configured", list[0].FinalitySource)
	auto := config(upstreamtest.New(t))
	auto.Pool().Finality.Mode = chain.Auto
	_, text = get(t, "http://"+start(t, auto).AdminAddr()+"/upstreams")
	require.NoError(t, json.Unmarshal([]byte(text), &list), text)
	require.Contains(t, list[0].FinalitySource, string(list[0].Upstreams[0].Upstream)+" ", "who was asked, and what it said")
	status, _ = get(t, "http://"+app.AdminAddr()+"/upstreams?project=other")
	require.Equal(t, 404, status)
	status, _ = get(t, "http://"+app.AdminAddr()+"/upstreams?params=[")
	require.Equal(t, 400, status)
	status, _ = get(t, "http://"+app.AdminAddr()+"/livez")
	require.Equal(t, 200, status)
}
