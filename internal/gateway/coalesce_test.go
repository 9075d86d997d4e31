package gateway_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/upstreams/upstreamtest"
)

// gate holds the answers to a method back.
type gate struct {
	open chan struct{}
	node *upstreamtest.Node
}

func newGate(node *upstreamtest.Node, method, result string) *gate {
	g := &gate{open: make(chan struct{}), node: node}
	node.AnswerFunc(method, func(string) upstreamtest.Answer {
		<-g.open
		return upstreamtest.Result(result)
	})
	return g
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	require.Eventually(t, is, 10*time.Second, time.Millisecond, what)
}

const gasPrice = `{"id":%d,"method":"eth_gasPrice","params":[]}`

func TestCoalesce_EqualReadsShareOneForward(t *testing.T) {
	t.Parallel()

	w := newWorld(t, 1, nil)
	g := newGate(w.nodes[0], "eth_gasPrice", `"0x1"`)
	var all sync.WaitGroup
	answers := make([]string, 10)
	for i := range answers {
		all.Go(func() { answers[i] = w.send(t.Context(), "POST", "/", fmt.Sprintf(gasPrice, i)).Body.String() })
	}
	until(t, "the forward is under way", func() bool { return w.nodes[0].Calls("eth_gasPrice") == 1 })
	close(g.open)
	all.Wait()

	for i, a := range answers {
		require.Equal(t, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"result":"0x1"}`, i), a, "each with its own id")
	}
	require.Less(t, w.nodes[0].Calls("eth_gasPrice"), 10)
}

func TestCoalesce_WritesAreNeverJoined(t *testing.T) {
	t.Parallel()

	for _, method := range []string{"eth_sendRawTransaction", "foo_transfer", "eth_newFilter"} {
		w := newWorld(t, 1, nil)
		g := newGate(w.nodes[0], method, `"0x1"`)
		var all sync.WaitGroup
		for i := range 3 {
			all.Go(func() {
				w.send(t.Context(), "POST", "/", fmt.Sprintf(`{"id":%d,"method":%q,"params":["0x01"]}`, i, method))
			})
		}
		until(t, "all three are under way", func() bool { return w.nodes[0].Calls(method) == 3 })
		close(g.open)
		all.Wait()
	}
}

func TestCoalesce_ForwardEndsWhenAllHaveLeft(t *testing.T) {
	t.Parallel()

	w := newWorld(t, 1, nil)
	w.nodes[0].SetFault("eth_gasPrice", upstreamtest.Hang)
	ctx, leave := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		w.send(ctx, "POST", "/", fmt.Sprintf(gasPrice, 1))
		close(done)
	}()
	until(t, "the forward is under way", func() bool { return w.nodes[0].Calls("eth_gasPrice") == 1 })
	left := time.Now()
	leave()
	<-done
	require.Less(t, time.Since(left), 500*time.Millisecond, "long before the request's timeout of a second")

	w.nodes[0].SetFault("eth_gasPrice", upstreamtest.None)
	w.nodes[0].Answer("eth_gasPrice", upstreamtest.Result(`"0x2"`))
	require.Contains(t, w.send(t.Context(), "POST", "/", fmt.Sprintf(gasPrice, 2)).Body.String(), `"0x2"`, "a new request begins anew")
}
