package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/upstreams/upstreamtest"
)

// socketWorld is a world behind a real port, whose node has blocks that follow
// each other, each with some logs.
type socketWorld struct {
	*world
	url string

	mu   sync.Mutex
	logs int // of each block
}

func newSocketWorld(t *testing.T, change func(*worldConfig)) *socketWorld {
	t.Helper()
	w := &socketWorld{world: newWorld(t, 1, change)}
	node := w.nodes[0]
	node.AnswerFunc("eth_getBlockByNumber", func(params string) upstreamtest.Answer {
		number := uint64(0)
		if ref := string(jsonrpc.Element([]byte(params), 0)); ref == `"latest"` {
			number = node.Head()
		} else if _, err := fmt.Sscanf(ref, `"0x%x"`, &number); err != nil || number > node.Head() {
			return upstreamtest.Result("null")
		}
		if number == 0 {
			return upstreamtest.Result(`{"number":"0x0","hash":"` + upstreamtest.Genesis + `"}`)
		}
		return upstreamtest.Result(fmt.Sprintf(`{"number":"0x%x","hash":"0x%064x","parentHash":"0x%064x"}`, number, number, number-1))
	})
	node.AnswerFunc("eth_getLogs", func(params string) upstreamtest.Answer {
		var number uint64
		_, _ = fmt.Sscanf(string(jsonrpc.Member(jsonrpc.Element([]byte(params), 0), "fromBlock")), `"0x%x"`, &number)
		w.mu.Lock()
		defer w.mu.Unlock()
		all := make([]string, w.logs)
		for i := range all {
			all[i] = fmt.Sprintf(`{"address":"0x%040x","topics":[],"blockHash":"0x%064x","logIndex":"0x%x"}`, 1, number, i)
		}
		return upstreamtest.Result("[" + strings.Join(all, ",") + "]")
	})
	server := httptest.NewServer(w.gateway)
	t.Cleanup(server.Close)
	w.url = "ws" + strings.TrimPrefix(server.URL, "http")
	return w
}

func (w *socketWorld) dial(t *testing.T, header http.Header) (*websocket.Conn, int) {
	t.Helper()
	conn, response, err := websocket.Dial(t.Context(), w.url, &websocket.DialOptions{HTTPHeader: header}) //nolint:bodyclose // the library closes it
	if err != nil {
		require.NotNil(t, response, err)
		return nil, response.StatusCode
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	return conn, response.StatusCode
}

func say(t *testing.T, conn *websocket.Conn, text string) {
	t.Helper()
	require.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte(text)))
}

func hear(t *testing.T, conn *websocket.Conn) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, text, err := conn.Read(ctx)
	require.NoError(t, err)
	return string(text)
}

func TestSocket_CallsAndBatches(t *testing.T) {
	t.Parallel()

	w := newSocketWorld(t, nil)
	w.nodes[0].Answer("eth_getBalance", upstreamtest.Result(`"0x2a"`))
	conn, status := w.dial(t, nil)
	require.Equal(t, http.StatusSwitchingProtocols, status)
	for _, c := range []struct{ say, hear string }{
		{`{"jsonrpc":"2.0","id":7,"method":"eth_getBalance","params":["0x01","latest"]}`, `{"jsonrpc":"2.0","id":7,"result":"0x2a"}`},
		{`[{"id":1,"method":"eth_chainId"},{"method":"eth_chainId"},{"id":"b","method":"eth_getBalance","params":["0x01","latest"]}]`, `[{"jsonrpc":"2.0","id":1,"result":"0x7a69"},{"jsonrpc":"2.0","id":"b","result":"0x2a"}]`},
		{`{"id":2,"method":"admin_peers"}`, `{"jsonrpc":"2.0","id":2,"error":{"code":-32601,"message":"method not allowed: the namespace admin is closed at this gateway"}}`},
		{`{"id":3`, `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error: invalid JSON"}}`},
		{`{"id":4,"method":"eth_unsubscribe","params":["0x1"]}`, `{"jsonrpc":"2.0","id":4,"error":{"code":-32602,"message":"there is no such subscription"}}`},
	} {
		say(t, conn, c.say)
		require.Equal(t, c.hear, hear(t, conn))
	}
}

func TestSocket_SubscriptionsOverHTTPAreRefused(t *testing.T) {
	t.Parallel()

	w := newSocketWorld(t, nil)
	answer := w.post(t, `{"id":1,"method":"eth_subscribe","params":["newHeads"]}`)
	require.Contains(t, answer.Body.String(), "subscriptions need a WebSocket connection")
}

func TestSocket_TheAnswerComesBeforeTheFirstEvent(t *testing.T) {
	t.Parallel()

	w := newSocketWorld(t, nil)
	conn, _ := w.dial(t, nil)
	head := uint64(upstreamtest.Head)
	for range 20 { // each while blocks come
		say(t, conn, `[{"id":1,"method":"eth_subscribe","params":["newHeads"]},{"id":2,"method":"eth_subscribe","params":["logs"]}]`)
		head++
		w.nodes[0].SetHead(head)
		answer := hear(t, conn)
		require.Contains(t, answer, `[{"jsonrpc":"2.0","id":1,"result":"0x`)
		first := jsonrpc.Member(jsonrpc.Elements([]byte(answer))[0], "result")
		head++
		w.nodes[0].SetHead(head)
		for { // a block from before may come first
			event := hear(t, conn)
			params := jsonrpc.Member([]byte(event), "params")
			require.Equal(t, string(first), string(jsonrpc.Member(params, "subscription")))
			if string(jsonrpc.Member(jsonrpc.Member(params, "result"), "number")) == fmt.Sprintf(`"0x%x"`, head) {
				break
			}
		}
		say(t, conn, `{"id":3,"method":"eth_unsubscribe","params":[`+string(first)+`]}`)
		require.Equal(t, `{"jsonrpc":"2.0","id":3,"result":true}`, hear(t, conn))
	}
}

func TestSocket_WhoIsNotLetIn(t *testing.T) {
	t.Parallel()

	w := newSocketWorld(t, func(c *worldConfig) {
		c.project.CORS.AllowedOrigins = []string{"https://app.example.org"}
		c.sockets.MaxConnections = 1
	})
	_, status := w.dial(t, http.Header{"Origin": {"https://evil.example.org"}})
	require.Equal(t, http.StatusForbidden, status)
	conn, status := w.dial(t, http.Header{"Origin": {"https://app.example.org"}})
	require.Equal(t, http.StatusSwitchingProtocols, status)
	say(t, conn, `{"id":1,"method":"eth_chainId"}`)
	hear(t, conn)
	_, status = w.dial(t, nil)
	require.Equal(t, http.StatusServiceUnavailable, status)
	w.url += "/nowhere"
	_, status = w.dial(t, nil)
	require.Equal(t, http.StatusNotFound, status)
	require.Contains(t, w.metrics(t), `gateway_websocket_refused_total{reason="origin"} 1`)
}

func TestSocket_ASlowConsumerIsLetGo(t *testing.T) {
	t.Parallel()

	w := newSocketWorld(t, func(c *worldConfig) { c.hub.MaxQueuedEvents = 100 })
	w.logs = 1000
	conn, _ := w.dial(t, nil)
	conn.SetReadLimit(1 << 20)
	say(t, conn, `{"id":1,"method":"eth_subscribe","params":["logs"]}`)
	hear(t, conn)
	w.nodes[0].SetHead(upstreamtest.Head + 1)
	var err error
	for err == nil {
		_, _, err = conn.Read(t.Context())
	}
	require.Equal(t, websocket.StatusPolicyViolation, websocket.CloseStatus(err))
	require.ErrorContains(t, err, "slow consumer")
}

func TestSocket_TooLargeAMessage(t *testing.T) {
	t.Parallel()

	w := newSocketWorld(t, func(c *worldConfig) { c.MaxBodyBytes = 1000 })
	conn, _ := w.dial(t, nil)
	say(t, conn, strings.Repeat(" ", 2<<20))
	_, _, err := conn.Read(t.Context())
	require.Equal(t, websocket.StatusMessageTooBig, websocket.CloseStatus(err))
}

func TestSockets_StopWaitsForTheAnswer(t *testing.T) {
	t.Parallel()

	w := newSocketWorld(t, nil)
	inside, release := make(chan struct{}), make(chan struct{})
	w.nodes[0].AnswerFunc("eth_getBalance", func(string) upstreamtest.Answer {
		close(inside)
		<-release
		return upstreamtest.Result(`"0x1"`)
	})
	conn, _ := w.dial(t, nil)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.sockets.Run(ctx, func() {}) }()
	say(t, conn, `{"id":1,"method":"eth_getBalance","params":["0x01","latest"]}`)
	<-inside
	stop()
	close(release)
	require.Equal(t, `{"jsonrpc":"2.0","id":1,"result":"0x1"}`, hear(t, conn))
	_, _, err := conn.Read(t.Context())
	require.Equal(t, websocket.StatusServiceRestart, websocket.CloseStatus(err))
	require.NoError(t, <-done)
	_, status := w.dial(t, nil)
	require.Equal(t, http.StatusServiceUnavailable, status)
}

// The count is that of the whole process, so the test runs alone.
func TestSockets_LeaveNothingBehind(t *testing.T) { //nolint:paralleltest // see above
	w := newSocketWorld(t, func(c *worldConfig) { c.hub.Linger = time.Millisecond })
	before := runtime.NumGoroutine()
	for range 50 {
		conn, _ := w.dial(t, nil)
		say(t, conn, `{"id":1,"method":"eth_subscribe","params":["newHeads"]}`)
		hear(t, conn)
	}
	require.Greater(t, runtime.NumGoroutine(), before+100)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	go func() { _ = w.sockets.Run(ctx, func() {}) }()
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+10 }, 20*time.Second, 20*time.Millisecond)
	require.Contains(t, w.metrics(t), `gateway_websocket_connections{network="evm:31337",project="main"} 0`)
	require.Contains(t, w.metrics(t), `gateway_subscriptions{kind="newHeads",network="evm:31337",project="main"} 0`)
}
