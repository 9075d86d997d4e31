package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/cache"
	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/upstreams/upstreamtest"
)

// pinning is a world that writes the newest block's number in place of latest,
// and hears of new blocks only by asking.
func pinning(maxAge time.Duration) func(*worldConfig) {
	return func(c *worldConfig) {
		c.network.LatestMaxAge = maxAge
		c.pool.PollInterval = time.Hour
	}
}

// call sends a request and returns the answer's body.
func (w *world) call(t *testing.T, method, params string) string {
	t.Helper()
	answer := w.send(t.Context(), http.MethodPost, "/", `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":`+params+`}`)
	require.Equal(t, http.StatusOK, answer.Code, answer.Body.String())
	return answer.Body.String()
}

// stateAt makes a node answer with the block it was asked for.
func stateAt(n *upstreamtest.Node) {
	n.AnswerFunc("eth_getBalance", func(params string) upstreamtest.Answer {
		return upstreamtest.Result(strings.TrimSuffix(strings.SplitN(params, ",", 2)[1], "]"))
	})
}

const balanceAtLatest = `["0x00000000000000000000000000000000000000ab","latest"]`

func TestLatest_IsOneAnswerForABlock(t *testing.T) {
	t.Parallel()

	w := newWorld(t, 1, pinning(time.Hour))
	node := w.nodes[0]
	stateAt(node)
	head := fmt.Sprintf(`"0x%x"`, upstreamtest.Head)
	for range 5 {
		require.Contains(t, w.call(t, "eth_getBalance", balanceAtLatest), head)
	}
	require.Equal(t, 1, node.Calls("eth_getBalance"))

	next := upstreamtest.Head + 1
	node.SetHead(uint64(next))
	node.Answer("eth_getTransactionReceipt", upstreamtest.Result(fmt.Sprintf(`{"blockNumber":"0x%x"}`, next)))
	w.call(t, "eth_getTransactionReceipt", `["0x00000000000000000000000000000000000000000000000000000000000000ab"]`)
	require.Contains(t, w.call(t, "eth_getBalance", balanceAtLatest), fmt.Sprintf(`"0x%x"`, next),
		"who has seen a receipt sees its block")
	require.Equal(t, 2, node.Calls("eth_getBalance"))
}

func TestLatest_IsNeverOlderThanItsBound(t *testing.T) {
	t.Parallel()

	w := newWorld(t, 1, pinning(time.Nanosecond))
	stateAt(w.nodes[0])
	for n := range 5 {
		next := uint64(upstreamtest.Head + n)
		w.nodes[0].SetHead(next)
		require.Contains(t, w.call(t, "eth_getBalance", balanceAtLatest), fmt.Sprintf(`"0x%x"`, next))
	}
}

func TestLatest_StaysWhereItMust(t *testing.T) {
	t.Parallel()

	asked := func(t *testing.T, change func(*worldConfig), method, params string) string {
		t.Helper()
		w := newWorld(t, 1, change)
		w.nodes[0].Answer(method, upstreamtest.Result(`"0x1"`))
		w.call(t, method, params)
		return w.nodes[0].LastParams(method)
	}
	require.Equal(t, balanceAtLatest, asked(t, pinning(0), "eth_getBalance", balanceAtLatest), "switched off")
	require.Equal(t, balanceAtLatest, asked(t, func(c *worldConfig) {
		pinning(time.Hour)(c)
		c.pool.Finality = chain.Finality{Mode: chain.ByDepth, Depth: 3}
	}, "eth_getBalance", balanceAtLatest), "blocks may be taken back")
	require.Equal(t, balanceAtLatest, asked(t, func(c *worldConfig) {
		pinning(time.Hour)(c)
		c.network.Directives.SkipInterpolation = true
	}, "eth_getBalance", balanceAtLatest), "the client wants it so")
	pending := strings.Replace(balanceAtLatest, "latest", "pending", 1)
	require.Equal(t, pending, asked(t, pinning(time.Hour), "eth_getBalance", pending))
	require.Equal(t, `[{},"latest"]`, asked(t, pinning(time.Hour), "eth_estimateGas", `[{},"latest"]`))
}

func TestLatest_StaysWhenNoNodeTellsTheHeadInTime(t *testing.T) {
	t.Parallel()

	w := newWorld(t, 1, pinning(time.Nanosecond))
	w.nodes[0].Answer("eth_getBalance", upstreamtest.Result(`"0x1"`))
	w.nodes[0].SetFault("eth_blockNumber", upstreamtest.Hang)
	start := time.Now()
	for range 20 {
		require.Contains(t, w.call(t, "eth_getBalance", balanceAtLatest), `"0x1"`)
	}
	require.Less(t, time.Since(start), 3*time.Second, "the question costs its time once")
	require.Equal(t, balanceAtLatest, w.nodes[0].LastParams("eth_getBalance"))
}

func TestLatest_FallsBackWhereNoNodeHasTheBlock(t *testing.T) {
	t.Parallel()

	cases := map[string]struct {
		method, params, latest string
		lacks                  upstreamtest.Answer
	}{
		"state, Besu before 25.12": {"eth_getBalance", balanceAtLatest, balanceAtLatest, upstreamtest.Error(-39001, "Unknown block")},
		"state, Besu since 25.12":  {"eth_getBalance", balanceAtLatest, balanceAtLatest, upstreamtest.Result("null")},
		"state, geth":              {"eth_getBalance", balanceAtLatest, balanceAtLatest, upstreamtest.Error(-32000, "header not found")},
		"a block":                  {"eth_getBlockByNumber", `["latest",false]`, `["latest",false]`, upstreamtest.Result("null")},
		"logs, Besu":               {"eth_getLogs", `[{"toBlock":"latest"}]`, `[{"toBlock":"latest"}]`, upstreamtest.Error(-32602, "Invalid block number params")},
		"logs, geth":               {"eth_getLogs", `[{}]`, `[{}]`, upstreamtest.Error(-32602, "block range extends beyond current head block")},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1, pinning(time.Hour))
			answer := fmt.Sprintf(`{"number":"0x%x"}`, upstreamtest.Head)
			var asked atomic.Int32
			w.nodes[0].AnswerFunc(c.method, func(params string) upstreamtest.Answer {
				asked.Add(1)
				if params == c.latest {
					return upstreamtest.Result(answer)
				}
				return c.lacks
			})
			for range 2 {
				require.Contains(t, w.call(t, c.method, c.params), answer)
			}
			require.EqualValues(t, 4, asked.Load(), "such an answer is not kept")
		})
	}
}

// policies are those of a file for eRPC: everything is kept for a while.
func policies(t *testing.T) []cache.Policy {
	t.Helper()
	all, err := methods.ParsePattern("*")
	require.NoError(t, err)
	ttl := cache.TTL{Time: time.Minute}
	return []cache.Policy{
		{Method: all}, {Method: all, Finality: cache.Unfinalized, TTL: ttl}, {Method: all, Finality: cache.Realtime, TTL: ttl},
	}
}

func TestCache_RealtimeAnswersHoldUntilTheNextBlock(t *testing.T) {
	t.Parallel()

	w := newWorld(t, 1, func(c *worldConfig) {
		c.network.Policies = policies(t)
		c.pool.PollInterval = time.Hour
	})
	node := w.nodes[0]
	node.Answer("eth_gasPrice", upstreamtest.Result(`"0x5"`))
	for range 3 {
		w.call(t, "eth_gasPrice", `[]`)
	}
	require.Equal(t, 1, node.Calls("eth_gasPrice"))

	node.SetHead(upstreamtest.Head + 1)
	w.call(t, "eth_getBlockByNumber", fmt.Sprintf(`["0x%x",false]`, upstreamtest.Head+1))
	for range 3 {
		w.call(t, "eth_gasPrice", `[]`)
	}
	require.Equal(t, 2, node.Calls("eth_gasPrice"), "a new block ends it")

	for range 3 {
		node.Answer("eth_getTransactionCount", upstreamtest.Result(`"0x1"`))
		w.call(t, "eth_getTransactionCount", `["0xab","pending"]`)
	}
	require.Equal(t, 3, node.Calls("eth_getTransactionCount"), "pending is never kept")
}

func TestCache_UnfinalizedAnswersEndWithAReorganisation(t *testing.T) {
	t.Parallel()

	w := newWorld(t, 1, func(c *worldConfig) {
		c.network.Policies = policies(t)
		c.pool.Finality = chain.Finality{Mode: chain.ByDepth, Depth: 50}
		c.pool.PollInterval = time.Hour
	})
	node := w.nodes[0]
	number := upstreamtest.Head - 1
	block := func(hash string) upstreamtest.Answer {
		return upstreamtest.Result(fmt.Sprintf(`{"number":"0x%x","hash":"%s","parentHash":"0xaa"}`, number, hash))
	}
	byNumber, byHash := fmt.Sprintf(`["0x%x",false]`, number), `["0x00000000000000000000000000000000000000000000000000000000000000ab",false]`
	state := fmt.Sprintf(`["0xab","0x%x"]`, number)
	node.Answer("eth_getBlockByNumber", block("0xb1"))
	stateAt(node)
	for range 3 {
		w.call(t, "eth_getBlockByNumber", byNumber)
		w.call(t, "eth_getBalance", state)
	}
	require.Equal(t, 1, node.Calls("eth_getBalance"))

	node.Answer("eth_getBlockByNumber", block("0xb2"))
	node.Answer("eth_getBlockByHash", block("0xb2")) // how the gateway hears of it
	w.call(t, "eth_getBlockByHash", byHash)
	require.Contains(t, w.call(t, "eth_getBlockByNumber", byNumber), "0xb2")
	w.call(t, "eth_getBalance", state)
	require.Equal(t, 2, node.Calls("eth_getBalance"))
}

func TestCache_SkipCacheReadAsksANode(t *testing.T) {
	t.Parallel()

	w := newWorld(t, 1, func(c *worldConfig) { c.network.Directives.SkipCacheRead = true })
	w.nodes[0].Answer("eth_getBalance", upstreamtest.Result(`"0x1"`))
	for range 3 {
		w.call(t, "eth_getBalance", `["0xab","0x1"]`)
	}
	require.Equal(t, 3, w.nodes[0].Calls("eth_getBalance"))
}
