package upstreams_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/upstreams"
	"github.com/slipwayhq/slipway/internal/upstreams/upstreamtest"
)

// pushingNode is a node's WebSocket port: it answers as the node does, and
// pushes the given messages to who has subscribed.
type pushingNode struct {
	node     *upstreamtest.Node
	messages []string
	auth     atomic.Value // the Authorization of the last handshake
}

func (n *pushingNode) start(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(n)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func (n *pushingNode) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.auth.Store(r.Header.Get("Authorization"))
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer func() { _ = conn.CloseNow() }()
	for {
		_, text, err := conn.Read(r.Context())
		if err != nil {
			return
		}
		request, _ := jsonrpc.ScanRequest(text)
		if request.Method != "eth_subscribe" {
			recorder := httptest.NewRecorder()
			n.node.ServeHTTP(recorder, httptest.NewRequestWithContext(r.Context(), http.MethodPost, "/", strings.NewReader(string(text))))
			_ = conn.Write(r.Context(), websocket.MessageText, recorder.Body.Bytes())
			continue
		}
		_ = conn.Write(r.Context(), websocket.MessageText, jsonrpc.AppendResult(nil, request.ID, []byte(`"0xab"`)))
		for _, m := range n.messages {
			_ = conn.Write(r.Context(), websocket.MessageText, []byte(m))
		}
	}
}

func pushed(subscription, result string) string {
	return `{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"` + subscription + `","result":` + result + `}}`
}

func TestPool_Follow(t *testing.T) {
	t.Parallel()

	node := upstreamtest.New(t)
	socket := &pushingNode{node: node, messages: []string{pushed("0xab", `{"number":"0x70"}`), pushed("0xcd", `"not ours"`), `{}`, pushed("0xab", `"second"`), "no JSON"}}
	cfg := configFor(node)
	cfg.Upstreams[0].WebSocketURL = secret.New("ws://user:hidden@" + socket.start(t) + "/hidden-key")
	f := newFixture(t, cfg)
	require.True(t, f.CanFollow())

	var events []string
	err := f.Follow(t.Context(), upstreams.NewHeads, func(id upstreams.ID) { require.Equal(t, upstreams.ID("node-0"), id) }, func(result []byte) {
		events = append(events, string(result))
	})

	require.ErrorContains(t, err, "follow node-0: read: a message that is not JSON")
	require.Equal(t, []string{`{"number":"0x70"}`, `"second"`}, events)
	require.Equal(t, "Basic dXNlcjpoaWRkZW4=", socket.auth.Load())
	require.ErrorIs(t, f.Follow(t.Context(), upstreams.NewHeads, nil, nil), upstreams.ErrNoFeed, "it rests")
	require.NotContains(t, f.log.String()+err.Error(), "hidden")
}

func TestPool_Follow_NeverAnotherChain(t *testing.T) {
	t.Parallel()

	node, other := upstreamtest.New(t), upstreamtest.New(t)
	other.SetChain(upstreamtest.ChainID, "0x"+strings.Repeat("77", 32))
	cfg := configFor(node)
	cfg.Upstreams[0].WebSocketURL = secret.New("ws://" + (&pushingNode{node: other}).start(t))
	f := newFixture(t, cfg)

	err := f.Follow(t.Context(), upstreams.NewHeads, func(upstreams.ID) { t.Error("it must not be opened") }, nil)
	require.ErrorContains(t, err, "genesis block")
}

func TestPool_Follow_ErrorsDoNotShowTheURL(t *testing.T) {
	t.Parallel()

	node := upstreamtest.New(t)
	plain := strings.TrimPrefix(node.URL(), "http://")
	for name, url := range map[string]string{
		"no WebSocket": "ws://user:hidden@" + plain + "/hidden-key", "refused": "ws://user:hidden@127.0.0.1:1/hidden-key", "no TLS": "wss://user:hidden@" + plain + "/hidden-key",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := configFor(node)
			cfg.Upstreams[0].WebSocketURL = secret.New(url)
			f := newFixture(t, cfg)
			err := f.Follow(t.Context(), upstreams.NewHeads, nil, nil)
			require.ErrorContains(t, err, "open a WebSocket")
			require.NotContains(t, f.log.String()+err.Error(), "hidden")
		})
	}
}

func TestPool_Follow_EndsWithItsContext(t *testing.T) {
	t.Parallel()

	node := upstreamtest.New(t)
	first, second := &pushingNode{node: node}, &pushingNode{node: node}
	cfg := configFor(node, node)
	cfg.Upstreams[0].WebSocketURL = secret.New("ws://" + first.start(t))
	cfg.Upstreams[1].WebSocketURL = secret.New("ws://" + second.start(t))
	f := newFixture(t, cfg)
	follow := func(cause error) (id upstreams.ID, err error) {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer time.AfterFunc(10*time.Second, func() { cancel(nil) }).Stop()
		err = f.Follow(ctx, upstreams.NewHeads, func(which upstreams.ID) {
			id = which
			cancel(cause)
		}, func([]byte) {})
		return id, err
	}
	id, err := follow(context.Canceled)
	require.Equal(t, upstreams.ID("node-0"), id)
	require.ErrorIs(t, err, context.Canceled)
	id, err = follow(upstreams.ErrStalled)
	require.Equal(t, upstreams.ID("node-0"), id, "a cancelled one is not to blame")
	require.ErrorIs(t, err, upstreams.ErrStalled)
	id, _ = follow(context.Canceled)
	require.Equal(t, upstreams.ID("node-1"), id, "a stalled one is")
}
