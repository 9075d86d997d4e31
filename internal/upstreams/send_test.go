package upstreams_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/upstreams"
	"github.com/slipwayhq/slipway/internal/upstreams/upstreamtest"
)

const (
	sendMethod = "eth_sendRawTransaction"
	findMethod = "eth_getTransactionByHash"
	// sentHash is keccak256(0x01).
	sentHash = `"0x5fe7f977e71dba2ea1a68e21057beebb9be2ac30c6410aa38d4f3fbe41dcffd2"`
)

var hasIt = upstreamtest.Result(`{"hash":` + sentHash + `}`) //nolint:gochecknoglobals // a constant that cannot be written as one

func TestSend_IsNoFailureWhenAnyNodeHasTheTransaction(t *testing.T) {
	t.Parallel()

	cases := map[string]func(a, b *upstreamtest.Node){
		"all replies are lost, the first node has it": func(a, b *upstreamtest.Node) {
			a.SetFault(sendMethod, upstreamtest.Reset)
			b.SetFault(sendMethod, upstreamtest.Reset)
			a.Answer(findMethod, hasIt)
			b.Answer(findMethod, upstreamtest.Result("null"))
		},
		"all replies are lost, the second node has it": func(a, b *upstreamtest.Node) {
			a.SetFault(sendMethod, upstreamtest.Cut)
			b.SetFault(sendMethod, upstreamtest.ServerDown)
			a.SetFault(findMethod, upstreamtest.Hang)
			b.Answer(findMethod, hasIt)
		},
		"a reply is lost, the next node refuses": func(a, b *upstreamtest.Node) {
			a.SetFault(sendMethod, upstreamtest.Reset)
			a.Answer(findMethod, hasIt)
			b.Answer(sendMethod, upstreamtest.Error(-32000, "Replacement transaction underpriced"))
			b.Answer(findMethod, upstreamtest.Result("null"))
		},
		"the nonce is low, and another node knows why": func(a, b *upstreamtest.Node) {
			a.Answer(sendMethod, upstreamtest.Error(-32001, "Nonce too low"))
			a.Answer(findMethod, upstreamtest.Result("null"))
			b.Answer(findMethod, hasIt)
		},
	}
	for name, prepare := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := two(t)
			prepare(a, b)
			cfg := configFor(a, b)
			cfg.Failsafe.Rounds = 1
			f := newFixture(t, cfg)

			got, err := f.do(sendMethod, `["0x01"]`)

			require.NoError(t, err)
			require.Equal(t, sentHash, string(got.Result))
			require.Empty(t, got.Error)
		})
	}
}

func TestSend_IsFoundAfterTheCallersTimeIsUp(t *testing.T) {
	t.Parallel()
	a := upstreamtest.New(t)
	a.SetFault(sendMethod, upstreamtest.Hang)
	a.Answer(findMethod, hasIt)
	f := pool(t, a)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()

	got, err := f.Do(ctx, f.request(sendMethod, `["0x01"]`))

	require.NoError(t, err)
	require.Equal(t, sentHash, string(got.Result))
}

func TestSend_StaysAFailureWhenNobodyHasIt(t *testing.T) {
	t.Parallel()
	a, b := two(t)
	for _, n := range []*upstreamtest.Node{a, b} {
		n.SetFault(sendMethod, upstreamtest.Reset)
		n.Answer(findMethod, upstreamtest.Result("null"))
	}
	cfg := configFor(a, b)
	cfg.Failsafe.Rounds = 1
	f := newFixture(t, cfg)

	_, err := f.do(sendMethod, `["0x01"]`)

	var exhausted *upstreams.ExhaustedError
	require.ErrorAs(t, err, &exhausted)
	require.Equal(t, 1, a.Calls(findMethod), "it was looked for")
}

func TestSend_BroadcastGoesToSeveralNodes(t *testing.T) {
	t.Parallel()
	a, b := two(t)
	for _, n := range []*upstreamtest.Node{a, b} {
		n.Answer(sendMethod, upstreamtest.Result(sentHash))
	}
	cfg := configFor(a, b)
	cfg.Broadcast = 2
	f := newFixture(t, cfg)

	got, err := f.do(sendMethod, `["0x01"]`)

	require.NoError(t, err)
	require.Equal(t, sentHash, string(got.Result))
	f.until("both nodes have it", func() bool { return a.Calls(sendMethod) > 0 && b.Calls(sendMethod) > 0 })
}

func TestSend_BroadcastIsAnsweredByTheFirstThatTakesIt(t *testing.T) {
	t.Parallel()
	a, b := two(t)
	a.SetFault(sendMethod, upstreamtest.Hang)
	b.Answer(sendMethod, upstreamtest.Result(sentHash))
	cfg := configFor(a, b)
	cfg.Broadcast = 2
	cfg.SendTimeout = time.Minute
	cfg.Failsafe.Timeout = time.Minute
	f := newFixture(t, cfg)

	got, err := f.do(sendMethod, `["0x01"]`)

	require.NoError(t, err)
	require.Equal(t, upstreams.ID("node-1"), got.Upstream)
	require.Equal(t, 1, b.Calls(sendMethod))
}

func TestSend_BroadcastRefusedByOneIsTakenByAnother(t *testing.T) {
	t.Parallel()
	a, b := two(t)
	a.Answer(sendMethod, upstreamtest.Error(-32000, "insufficient funds"))
	b.Answer(sendMethod, upstreamtest.Result(sentHash))
	cfg := configFor(a, b)
	cfg.Broadcast = 2
	f := newFixture(t, cfg)

	got, err := f.do(sendMethod, `["0x01"]`)

	require.NoError(t, err)
	require.Equal(t, sentHash, string(got.Result))
}

func TestDo_AnOversizedAnswerIsToldAndNotAskedForAtEveryNode(t *testing.T) {
	t.Parallel()
	a, b := two(t)
	c := upstreamtest.New(t)
	nodes := []*upstreamtest.Node{a, b, c}
	for _, n := range nodes {
		n.Answer("eth_getBalance", upstreamtest.Result(`"0x1"`))
		n.SetFault("eth_getBalance", upstreamtest.Huge)
	}
	cfg := configFor(nodes...)
	cfg.MaxResponseBytes = 1 << 10
	f := newFixture(t, cfg)

	_, err := f.do("eth_getBalance", `["0xab","latest"]`)

	var oversized *upstreams.OversizedError
	require.ErrorAs(t, err, &oversized)
	require.Equal(t, "the answer is larger than 1024 bytes: ask for less at a time", err.Error())
	require.Equal(t, 2, a.Calls("eth_getBalance")+b.Calls("eth_getBalance")+c.Calls("eth_getBalance"), "a second opinion, not a third")
	for _, u := range f.Upstreams() {
		require.True(t, u.IsHealthy())
	}
}
