package api

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/devnet"
	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/lifecycle/lifecycletest"
	"github.com/slipwayhq/slipway/internal/nodeclient"
	"github.com/slipwayhq/slipway/internal/secret"
)

// fakeGateway is a WebSocket that gives every subscription one event.
type fakeGateway struct {
	mu    sync.Mutex
	conns []*websocket.Conn
	seen  []string
}

func (g *fakeGateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	g.mu.Lock()
	g.conns = append(g.conns, conn)
	g.mu.Unlock()
	for {
		_, text, err := conn.Read(r.Context())
		if err != nil {
			return
		}
		g.mu.Lock()
		g.seen = append(g.seen, string(text))
		g.mu.Unlock()
		req, _ := jsonrpc.ScanRequest(text)
		_ = conn.Write(r.Context(), websocket.MessageText, jsonrpc.AppendResult(nil, req.ID, []byte(`"0xab"`)))
		_ = conn.Write(r.Context(), websocket.MessageText, []byte(event))
	}
}

const event = `{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0xab","result":{ "number":"0x1" }}}`

// withGateway serves a signer in front of a gateway that has WebSockets.
func withGateway(t *testing.T, change ...func(*Config)) (*fixture, *fakeGateway) {
	t.Helper()
	gateway := &fakeGateway{}
	server := httptest.NewServer(gateway)
	t.Cleanup(server.Close)
	client, err := nodeclient.New(nodeclient.Config{URL: secret.New(server.URL)})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return serveWith(t, func(d *Deps, c *Config) {
		d.Sources = client
		for _, f := range change {
			f(c)
		}
	}), gateway
}

func (f *fixture) dial(t *testing.T, header ...string) *websocket.Conn {
	t.Helper()
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	conn, response, err := websocket.Dial(t.Context(), f.url, &websocket.DialOptions{HTTPHeader: h})
	require.NoError(t, err)
	if response.Body != nil {
		_ = response.Body.Close()
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

func write(t *testing.T, conn *websocket.Conn, text string) {
	t.Helper()
	require.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte(text)))
}

func read(t *testing.T, conn *websocket.Conn) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, text, err := conn.Read(ctx)
	require.NoError(t, err)
	return string(text)
}

// closing reads until the other end says why it ends.
func closing(t *testing.T, conn *websocket.Conn) websocket.StatusCode {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		if _, _, err := conn.Read(ctx); err != nil {
			return websocket.CloseStatus(err)
		}
	}
}

func TestSocket_AnswersAsHTTPDoes(t *testing.T) {
	t.Parallel()
	f, _ := withGateway(t)
	conn := f.dial(t)

	for call, want := range map[string]string{
		`{"jsonrpc":"2.0","id":"a","method":"eth_accounts"}`:                                                 `{"jsonrpc":"2.0","id":"a","result":["` + alice + `"]}`,
		`{"jsonrpc":"2.0","id":7,"method":"eth_chainId"}`:                                                    `{"jsonrpc":"2.0","id":7,"result":"from the gateway: eth_chainId"}`,
		`[{"jsonrpc":"2.0","id":1,"method":"eth_chainId"},{"jsonrpc":"2.0","id":2,"method":"eth_accounts"}]`: `[{"jsonrpc":"2.0","id":1,"result":"from the gateway: eth_chainId"},{"jsonrpc":"2.0","id":2,"result":["` + alice + `"]}]`,
		`{"id":7`: `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error: invalid JSON"}}`,
		`[]`:      `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"invalid request: empty batch"}}`,
		rpc("eth_sign", quoted(bob), quoted(someData)): `{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"unknown account: the signer has no key for from"}}`,
	} {
		write(t, conn, call)
		require.JSONEq(t, want, read(t, conn), call)
	}
	// Nothing is due for notifications: the next message is of the call after them.
	write(t, conn, `{"jsonrpc":"2.0","method":"eth_accounts"}`)
	write(t, conn, `{"jsonrpc":"2.0","method":"eth_chainId"}`)
	write(t, conn, `[{"jsonrpc":"2.0","method":"eth_accounts"}]`)
	write(t, conn, `{"jsonrpc":"2.0","id":8,"method":"eth_chainId"}`)
	require.Contains(t, read(t, conn), `"id":8`)
}

func TestSocket_AcceptsInTheOrderOfTheMessages(t *testing.T) {
	t.Parallel()
	f, _ := withGateway(t)
	conn := f.dial(t)
	const n = 200
	go func() {
		for i := range n {
			_ = conn.Write(t.Context(), websocket.MessageText, fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"method":"eth_sendTransaction","params":[{"from":"%s","to":"%s","value":"%d"}]}`, i, alice, bob, i))
		}
	}()
	for range n {
		require.Contains(t, read(t, conn), `"result":"0x`)
	}
	for i, accepted := range f.queue.list {
		require.EqualValues(t, i, accepted.Request.Value.Int64())
	}
}

func TestSocket_SubscriptionsComeFromTheGateway(t *testing.T) {
	t.Parallel()
	f, gateway := withGateway(t)
	conn := f.dial(t)
	subscribe := `{"jsonrpc":"2.0",  "id":"mine","method":"eth_subscribe","params":["newHeads"]}`
	write(t, conn, subscribe)
	require.Equal(t, `{"jsonrpc":"2.0","id":"mine","result":"0xab"}`, read(t, conn))
	require.Equal(t, event, read(t, conn), "as it came")
	write(t, conn, `{"jsonrpc":"2.0","id":2,"method":"eth_unsubscribe","params":["0xab"]}`)
	require.Contains(t, read(t, conn), `"id":2`)
	require.Equal(t, event, read(t, conn))
	gateway.mu.Lock()
	require.Len(t, gateway.conns, 1, "one for all subscriptions of a client")
	require.Equal(t, subscribe, gateway.seen[0])
	upstream := gateway.conns[0]
	gateway.mu.Unlock()

	// Subscriptions that are over must not look alive.
	require.NoError(t, upstream.CloseNow())
	require.Equal(t, websocket.StatusTryAgainLater, closing(t, conn))
}

func TestSocket_HeadsOfARealChain(t *testing.T) {
	t.Parallel()
	chain, err := devnet.New(devnet.Config{
		ChainID: 31337, BlockTime: 50 * time.Millisecond, HTTPAddr: "127.0.0.1:0", WSAddr: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	lifecycletest.Start(t, chain.Run)
	client, err := nodeclient.New(nodeclient.Config{URL: secret.New(strings.Replace(chain.WSURL(), "ws://", "http://", 1))})
	require.NoError(t, err)
	f := serveWith(t, func(d *Deps, _ *Config) { d.Sources = client })
	conn := f.dial(t)

	write(t, conn, `{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}`)

	var subscribed struct{ Result string }
	require.NoError(t, json.Unmarshal([]byte(read(t, conn)), &subscribed))
	for range 3 {
		var head struct {
			Method string
			Params struct {
				Subscription string
				Result       struct{ Number string }
			}
		}
		require.NoError(t, json.Unmarshal([]byte(read(t, conn)), &head))
		require.Equal(t, "eth_subscription", head.Method)
		require.Equal(t, subscribed.Result, head.Params.Subscription)
		require.NotEmpty(t, head.Params.Result.Number)
	}
}

func TestSocket_AGatewayWithoutWebSocketsIsSaidSo(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	client, err := nodeclient.New(nodeclient.Config{URL: secret.New(strings.Replace(plain.URL, "http://", "http://user:hunter2@", 1))})
	require.NoError(t, err)
	_, err = client.Dial(t.Context())
	require.ErrorIs(t, err, nodeclient.ErrUnreachable)
	require.ErrorContains(t, err, "404")
	require.NotContains(t, err.Error(), "hunter2")
	f := serveWith(t, func(d *Deps, _ *Config) { d.Sources = client })
	conn := f.dial(t)
	write(t, conn, `{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}`)
	require.Contains(t, read(t, conn), `"code":-32002`)
	write(t, conn, `{"jsonrpc":"2.0","id":2,"method":"eth_accounts"}`)
	require.Contains(t, read(t, conn), alice, "the rest goes on")
}

func TestSocket_IsDrainedAtTheStop(t *testing.T) {
	t.Parallel()
	f, _ := withGateway(t)
	release := make(chan struct{})
	f.queue.hold = release
	conn := f.dial(t)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	ready := make(chan struct{})
	go func() { ended <- f.handler.Run(ctx, func() { close(ready) }) }()
	<-ready
	write(t, conn, `{"jsonrpc":"2.0","id":1,"method":"eth_sendTransaction","params":[{"from":"`+alice+`","to":"`+bob+`"}]}`)
	require.Eventually(t, func() bool {
		f.queue.mu.Lock()
		defer f.queue.mu.Unlock()
		return len(f.queue.list) == 1
	}, 10*time.Second, 5*time.Millisecond)

	stop()
	close(release)

	require.Contains(t, read(t, conn), `"result":"0x`, "what was accepted is answered")
	require.Equal(t, websocket.StatusServiceRestart, closing(t, conn))
	require.NoError(t, <-ended)
	status, _, answer := f.do(t, "GET", "/", "", "Upgrade", "websocket", "Connection", "Upgrade")
	require.Equal(t, 503, status, answer)
}

func TestSocket_WhoIsNotLetIn(t *testing.T) {
	t.Parallel()
	f, _ := withGateway(t, func(c *Config) { c.MaxSockets = 1 })

	status, _, _ := f.do(t, "GET", "/", "")
	require.Equal(t, 405, status)
	status, _, answer := f.do(t, "GET", "/", "", "Upgrade", "websocket", "Connection", "Upgrade", "Origin", "https://evil.example")
	require.Equal(t, 403, status)
	require.Contains(t, answer, "foreign_origin")
	first := f.dial(t, "Origin", "http://localhost:8080")
	require.Eventually(t, func() bool { // the client is answered before it is counted
		status, _, answer = f.do(t, "GET", "/", "", "Upgrade", "websocket", "Connection", "Upgrade")
		return status == 503
	}, 10*time.Second, time.Millisecond)
	require.Contains(t, answer, "too many")
	require.NoError(t, first.CloseNow())
	require.Eventually(t, func() bool {
		conn, _, err := websocket.Dial(t.Context(), f.url, nil) //nolint:bodyclose // the library closes it
		if err == nil {
			_ = conn.CloseNow()
		}
		return err == nil
	}, 10*time.Second, 10*time.Millisecond, "room again")
}

func TestSocket_AMessageThatIsTooLargeEndsTheConnection(t *testing.T) {
	t.Parallel()
	f, _ := withGateway(t)
	conn := f.dial(t)
	write(t, conn, `"`+strings.Repeat("x", 2<<20)+`"`)
	require.Equal(t, websocket.StatusMessageTooBig, closing(t, conn))
}

// The handshake's headers hold for all calls, as a request's do.
func TestSocket_AProtectedWallet(t *testing.T) {
	t.Parallel()
	f := serveWallets(t)
	text := f.wallet(t)
	wallet := quoted(text)
	var made []struct {
		ID         string
		Parameters map[string]string
	}
	f.call(t, &made, "user_createWalletVerification", []string{wallet, `{"name":"paper","verificationType":"SECRET_CODES"}`})
	code := strings.Split(made[0].Parameters["secretCodes"], ",")[0]
	sign := rpc("personal_sign", quoted(someData), wallet)

	conn := f.dial(t)
	write(t, conn, sign)
	require.Contains(t, read(t, conn), "x-auth-challenge-response")
	conn = f.dial(t, "x-auth-verification-id", made[0].ID, "x-auth-challenge-response", code)
	write(t, conn, sign)
	require.Contains(t, read(t, conn), `"result":"0x`)
	write(t, conn, sign)
	var got struct{ Error *jsonrpc.Error }
	require.NoError(t, json.Unmarshal([]byte(read(t, conn)), &got))
	require.Equal(t, jsonrpc.CodeUnauthorized, got.Error.Code)
}
