package upstreams_test

import (
	"context"
	"encoding/hex"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/upstreams"
	"github.com/slipwayhq/slipway/internal/upstreams/upstreamtest"
)

const gasPrice = "eth_gasPrice"

// named makes nodes that answer eth_gasPrice with their place, and a configuration for them.
func named(t *testing.T, count int) ([]*upstreamtest.Node, upstreams.Config) {
	t.Helper()
	nodes := make([]*upstreamtest.Node, count)
	for i := range nodes {
		nodes[i] = upstreamtest.New(t)
		nodes[i].Answer(gasPrice, upstreamtest.Result(`"0x`+string(rune('0'+i))+`"`))
	}
	cfg := configFor(nodes...)
	cfg.Failsafe.MaxHedges = 0 // a busy test machine shall not change who answers
	return nodes, cfg
}

func parsed(t *testing.T, text string) methods.Pattern {
	t.Helper()
	p, err := methods.ParsePattern(text)
	require.NoError(t, err)
	return p
}

func (f *fixture) answeredBy(method, params string) upstreams.ID {
	f.t.Helper()
	reply, err := f.do(method, params)
	require.NoError(f.t, err)
	return reply.Upstream
}

func TestChoice_FallbackIsAskedWhenNoOtherHealthyNodeIsLeft(t *testing.T) {
	t.Parallel()

	nodes, cfg := named(t, 3)
	cfg.Upstreams[0].Tags = []string{upstreams.TagFallback}
	f := newFixture(t, cfg)
	require.Equal(t, upstreams.ID("node-1"), f.answeredBy(gasPrice, "[]"))
	nodes[1].SetFault("", upstreamtest.ServerDown)
	require.Equal(t, upstreams.ID("node-2"), f.answeredBy(gasPrice, "[]"))
	require.Zero(t, nodes[0].Calls(gasPrice))
	nodes[2].SetFault("", upstreamtest.ServerDown)
	f.until("the fallback is asked first", func() bool { return f.Explain(gasPrice, nil)[0].Upstream == "node-0" })
	require.Equal(t, upstreams.ID("node-0"), f.answeredBy(gasPrice, "[]"))
}

func TestChoice_MethodsOfANode(t *testing.T) {
	t.Parallel()

	nodes, cfg := named(t, 2)
	cfg.Upstreams[0].Ignore = []methods.Pattern{parsed(t, "eth_gas*|foo_*")}
	f := newFixture(t, cfg)
	nodes[1].Answer("foo_bar", upstreamtest.Result("1"))
	require.Equal(t, upstreams.ID("node-1"), f.answeredBy(gasPrice, "[]"))
	require.Equal(t, upstreams.ID("node-1"), f.answeredBy("foo_bar", "[]"), "methods nobody knows, too")
	nodes[1].SetFault(gasPrice, upstreamtest.ServerDown)
	_, err := f.do(gasPrice, "[]")
	require.Error(t, err)
	require.Zero(t, nodes[0].Calls(gasPrice))
	require.Contains(t, f.Explain(gasPrice, nil)[1].Reasons, "does not serve the method by its configuration: not asked")
}

func TestChoice_ANodeWithoutAMethodIsNotAskedAgain(t *testing.T) {
	t.Parallel()

	for _, method := range []string{"trace_block", "foo_bar"} {
		nodes, cfg := named(t, 2)
		nodes[0].Answer(method, upstreamtest.Error(-32604, "Method not enabled"))
		nodes[1].Answer(method, upstreamtest.Result("[]"))
		f := newFixture(t, cfg)
		params := `["0x1"]`
		if method == "foo_bar" { // tried once only: the next call goes to the other node
			_, err := f.do(method, params)
			require.NoError(t, err)
		}
		for range 5 {
			require.Equal(t, upstreams.ID("node-1"), f.answeredBy(method, params), method)
		}
		require.Equal(t, 1, nodes[0].Calls(method), method)
		require.Equal(t, upstreams.ID("node-0"), f.answeredBy(gasPrice, "[]"), "the others are asked as before")

		nodes[1].Answer(method, upstreamtest.Error(-32601, "Method not found"))
		for range 3 {
			reply, err := f.do(method, params)
			require.NoError(t, err)
			require.Contains(t, string(reply.Error), `"code":-3260`, "when all refuse, the refusal is the answer")
		}
	}
}

func TestChoice_ANodeMayBeAskedAgainAtOnce(t *testing.T) {
	t.Parallel()

	nodes, cfg := named(t, 2)
	cfg.Upstreams[0].KeepAsking = true
	nodes[0].Answer("trace_block", upstreamtest.Error(-32601, "Method not found"))
	nodes[1].Answer("trace_block", upstreamtest.Result("[]"))
	f := newFixture(t, cfg)
	for range 3 {
		f.answeredBy("trace_block", `["0x1"]`)
	}
	require.Equal(t, 3, nodes[0].Calls("trace_block"))
}

func TestChoice_WeightsShareTheLoad(t *testing.T) {
	t.Parallel()

	nodes, cfg := named(t, 2)
	cfg.Upstreams[0].Weight = 3
	f := newFixture(t, cfg)
	for range 200 {
		f.answeredBy(gasPrice, "[]")
	}
	require.InDelta(t, 150, nodes[0].Calls(gasPrice), 40)
	require.InDelta(t, 50, nodes[1].Calls(gasPrice), 40)
	list := f.Explain(gasPrice, nil)
	require.ElementsMatch(t, []float64{3, 1}, []float64{list[0].Weight, list[1].Weight})
}

func TestChoice_ThrottledNodesAreSparedAndNotBroken(t *testing.T) {
	t.Parallel()

	for name, answer := range map[string]func(*upstreamtest.Node){
		"HTTP 429": func(n *upstreamtest.Node) { n.SetFault(gasPrice, upstreamtest.TooMany) },
		"-32005":   func(n *upstreamtest.Node) { n.Answer(gasPrice, upstreamtest.Error(-32005, "rate limit exceeded")) },
	} {
		nodes, cfg := named(t, 2)
		f := newFixture(t, cfg)
		answer(nodes[0])
		for range 10 {
			require.Equal(t, upstreams.ID("node-1"), f.answeredBy(gasPrice, "[]"), name)
		}
		require.Equal(t, 1, nodes[0].Calls(gasPrice), name)
		last := f.Explain(gasPrice, nil)[1]
		require.True(t, last.Healthy, name)
		require.Positive(t, last.SparedMs, name)
		require.Equal(t, 1, last.Throttled, name)
	}
}

func TestChoice_RetryAfterIsKept(t *testing.T) {
	t.Parallel()

	node := upstreamtest.New(t)
	node.Answer(gasPrice, upstreamtest.Result(`"0xfe"`))
	throttling := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Key") != "hidden" {
			http.Error(w, "no key", http.StatusForbidden)
			return
		}
		w.Header().Set("Retry-After", "120")
		recorder := httptest.NewRecorder()
		node.ServeHTTP(recorder, r)
		if strings.Contains(recorder.Body.String(), `"0xfe"`) {
			http.Error(w, "slow down", http.StatusTooManyRequests)
			return
		}
		_, _ = w.Write(recorder.Body.Bytes())
	})
	server := httptest.NewServer(throttling)
	defer server.Close()
	nodes, cfg := named(t, 1)
	keyed := upstreams.Endpoint{ID: "keyed", URL: secret.New(server.URL), Header: map[string]secret.String{"x-key": secret.New("hidden")}}
	cfg.Upstreams = append([]upstreams.Endpoint{keyed}, cfg.Upstreams...)
	f := newFixture(t, cfg)
	require.Equal(t, upstreams.Serving, f.Upstreams()[0].State(), "the header reaches the node")
	require.Equal(t, upstreams.ID("node-0"), f.answeredBy(gasPrice, "[]"))
	require.Equal(t, 1, nodes[0].Calls(gasPrice))
	require.InDelta(t, 120_000, f.Explain(gasPrice, nil)[1].SparedMs, 5000)
}

func TestChoice_Cordons(t *testing.T) {
	t.Parallel()

	_, cfg := named(t, 2)
	f := newFixture(t, cfg)
	require.ErrorContains(t, f.Cordon("nobody", "", ""), `no upstream "nobody"`)
	require.Error(t, f.Cordon("node-0", "a||b", ""))

	require.NoError(t, f.Cordon("node-0", "", "disk"))
	require.NoError(t, f.Cordon("node-0", "", "new disk"), "again changes the reason")
	require.Equal(t, upstreams.ID("node-1"), f.answeredBy(gasPrice, "[]"))
	list := f.Cordons()
	require.Len(t, list, 1)
	require.Equal(t, "new disk", list[0].Reason)
	require.Contains(t, f.Explain(gasPrice, nil)[1].Reasons, "cordoned: not asked (new disk)")
	require.NoError(t, f.Cordon("node-1", "eth_gas*", ""))
	_, err := f.do(gasPrice, "[]")
	require.ErrorIs(t, err, upstreams.ErrNoUpstream)

	kept := f.Cordons()
	require.NoError(t, f.Uncordon("node-0", ""))
	require.NoError(t, f.Uncordon("node-0", ""), "again is no error")
	require.Equal(t, upstreams.ID("node-0"), f.answeredBy(gasPrice, "[]"))
	f.SetCordons(append(kept, upstreams.Cordon{Upstream: "gone"}))
	require.Equal(t, kept, f.Cordons())
	f.SetCordons(nil)
	require.Empty(t, f.Cordons())
}

func TestChoice_Selector(t *testing.T) {
	t.Parallel()

	_, cfg := named(t, 3)
	cfg.Upstreams[1].Tags = []string{"region:eu"}
	cfg.Upstreams[2].Tags = []string{"region:us"}
	f := newFixture(t, cfg)
	for selector, want := range map[string]upstreams.ID{"region:*": "node-1", "!node-0&!region:eu": "node-2", "": "node-0", "node-2|region:eu": "node-1"} {
		request := f.request(gasPrice, "[]")
		request.Selector = selector
		reply, err := f.Do(t.Context(), request)
		require.NoError(t, err, selector)
		require.Equal(t, want, reply.Upstream, selector)
	}
	request := f.request(gasPrice, "[]")
	request.Selector = "region:mars"
	_, err := f.Do(t.Context(), request)
	require.ErrorIs(t, err, upstreams.ErrNoUpstream)
	request.Selector = "(region"
	_, err = f.Do(t.Context(), request)
	var bad *upstreams.SelectorError
	require.ErrorAs(t, err, &bad)
}

func TestChoice_NodesWithoutTheBlockAreAskedLater(t *testing.T) {
	t.Parallel()

	nodes, cfg := named(t, 2)
	cfg.Upstreams[0].Blocks = upstreams.Availability{Lower: upstreams.Bound{Kind: upstreams.BehindLatest, Blocks: 10}}
	for i, n := range nodes {
		n.Answer("eth_getBalance", upstreamtest.Result(`"0x`+string(rune('0'+i))+`"`))
	}
	f := newFixture(t, cfg)
	const account = `["0x0000000000000000000000000000000000000001",`
	require.Equal(t, upstreams.ID("node-0"), f.answeredBy("eth_getBalance", account+`"0x60"]`))
	require.Equal(t, upstreams.ID("node-1"), f.answeredBy("eth_getBalance", account+`"0x10"]`))
	require.Equal(t, upstreams.ID("node-0"), f.answeredBy("eth_getBalance", account+`"latest"]`))
}

func TestChoice_SyncingNodes(t *testing.T) {
	t.Parallel()

	nodes, cfg := named(t, 3)
	for _, n := range nodes[:2] {
		n.Answer("eth_syncing", upstreamtest.Result(`{"currentBlock":"0x1"}`))
	}
	nodes[2].Answer("eth_syncing", upstreamtest.Result(`false`))
	cfg.Upstreams[0].SkipWhenSyncing = true
	f := newFixture(t, cfg)
	require.Equal(t, upstreams.ID("node-2"), f.answeredBy(gasPrice, "[]"))
	nodes[2].SetFault(gasPrice, upstreamtest.ServerDown)
	require.Equal(t, upstreams.ID("node-1"), f.answeredBy(gasPrice, "[]"), "asked last")
	require.Zero(t, nodes[0].Calls(gasPrice), "left out")
	nodes[0].Answer("eth_syncing", upstreamtest.Result(`false`))
	f.until("it is used again", func() bool { return f.answeredBy(gasPrice, "[]") == "node-0" })
}

func TestChoice_OneMethodMayHaveAnotherOrder(t *testing.T) {
	t.Parallel()

	nodes, cfg := named(t, 2)
	nodes[0].Answer("trace_block", upstreamtest.Error(-32603, "Internal error"))
	nodes[1].Answer("trace_block", upstreamtest.Result("[]"))
	f := newFixture(t, cfg)
	for range 20 {
		require.Equal(t, upstreams.ID("node-1"), f.answeredBy("trace_block", `["0x1"]`))
	}
	require.Less(t, nodes[0].Calls("trace_block"), 15, "it was learnt that the first one fails at it")
	for _, s := range f.Explain(gasPrice, nil) {
		require.Nil(t, s.Method, "other methods are judged by the node")
	}
	require.Equal(t, upstreams.ID("node-1"), f.Explain("trace_block", nil)[0].Upstream)
	require.Contains(t, strings.Join(f.Explain("trace_block", nil)[1].Reasons, " "), "for the method: 100% of its calls failed")
}

func TestChoice_MultipliersChangeTheOrderOfSomeCalls(t *testing.T) {
	t.Parallel()

	nodes, cfg := named(t, 2)
	for i, n := range nodes {
		for _, method := range []string{gasPrice, "eth_maxPriorityFeePerGas"} {
			n.AnswerFunc(method, func(string) upstreamtest.Answer {
				if i == 0 {
					<-time.After(70 * time.Millisecond)
				}
				return upstreamtest.Result(`"0x1"`)
			})
		}
	}
	cfg.Upstreams[0].Multipliers = []upstreams.Multiplier{{Methods: parsed(t, gasPrice), Latency: new(float64)}}
	f := newFixture(t, cfg)
	for range 15 {
		f.answeredBy(gasPrice, "[]")
		f.answeredBy("eth_maxPriorityFeePerGas", "[]")
	}
	require.Equal(t, upstreams.ID("node-0"), f.answeredBy(gasPrice, "[]"), "its latency does not count here")
	require.Equal(t, upstreams.ID("node-1"), f.answeredBy("eth_maxPriorityFeePerGas", "[]"), "and does there")

	first := f.Explain(gasPrice, nil)[0]
	require.Equal(t, upstreams.ID("node-0"), first.Upstream)
	require.Equal(t, &upstreams.Weights{Failures: 1, Throttled: 1}, first.Weights)
	require.Contains(t, strings.Join(first.Reasons, " "), "counts failures 1 times, latency 0 times, throttling 1 times")
	require.Nil(t, f.Explain("eth_maxPriorityFeePerGas", nil)[0].Weights)
}

func TestChoice_SharesOfSomeMethodsLeaveTheOthersAlone(t *testing.T) {
	t.Parallel()

	nodes, cfg := named(t, 2)
	for _, n := range nodes {
		n.Answer("eth_maxPriorityFeePerGas", upstreamtest.Result(`"0x1"`))
	}
	half := 1.0
	cfg.Upstreams[0].Multipliers = []upstreams.Multiplier{{Methods: parsed(t, gasPrice), Share: &half}}
	f := newFixture(t, cfg)
	for range 100 {
		f.answeredBy(gasPrice, "[]")
		require.Equal(t, upstreams.ID("node-0"), f.answeredBy("eth_maxPriorityFeePerGas", "[]"))
	}
	require.InDelta(t, 50, nodes[1].Calls(gasPrice), 30)
}

// signed is a raw transaction as parameters, and its sender.
func signed(t *testing.T) (params, sender string) {
	t.Helper()
	key, err := crypto.GenerateKey()
	require.NoError(t, err)
	tx, err := types.SignNewTx(key, types.LatestSignerForChainID(big.NewInt(upstreamtest.ChainID)), &types.DynamicFeeTx{ChainID: big.NewInt(upstreamtest.ChainID), Gas: 21000})
	require.NoError(t, err)
	raw, err := tx.MarshalBinary()
	require.NoError(t, err)
	return `["0x` + hex.EncodeToString(raw) + `"]`, strings.ToLower(crypto.PubkeyToAddress(key.PublicKey).Hex())
}

func TestChoice_OneSenderOneNode(t *testing.T) {
	t.Parallel()

	nodes, cfg := named(t, 3)
	for _, n := range nodes {
		n.Answer("eth_sendRawTransaction", upstreamtest.Result(`"`+hash+`"`))
		n.Answer("eth_getTransactionCount", upstreamtest.Result(`"0x1"`))
	}
	f := newFixture(t, cfg)
	homes := map[upstreams.ID]int{}
	var params, sender string
	for range 60 {
		params, sender = signed(t)
		home := f.answeredBy("eth_sendRawTransaction", params)
		require.Equal(t, home, f.answeredBy("eth_getTransactionCount", `["`+sender+`","pending"]`), "the pool that has the transaction is asked")
		homes[home]++
	}
	require.Len(t, homes, 3, "senders are spread")

	home := f.answeredBy("eth_sendRawTransaction", params)
	var at int
	for i, u := range f.Upstreams() {
		if u.ID() == home {
			at = i
		}
	}
	nodes[at].SetFault("", upstreamtest.ServerDown)
	f.until("it is down", func() bool { return !f.Upstreams()[at].IsHealthy() })
	second := f.answeredBy("eth_sendRawTransaction", params)
	require.NotEqual(t, home, second)
	require.Equal(t, second, f.answeredBy("eth_getTransactionCount", `["`+sender+`","pending"]`))
	nodes[at].SetFault("", upstreamtest.None)
	f.until("the sender is back", func() bool { return f.answeredBy("eth_sendRawTransaction", params) == home })
}

func TestChoice_BudgetOfANode(t *testing.T) {
	t.Parallel()

	nodes, cfg := named(t, 2)
	var left atomic.Int64
	left.Store(3)
	cfg.Upstreams[0].Budget = "small"
	f := newFixture(t, cfg)
	f.SetBudgets(func(_ context.Context, budget string, _ []string) bool { return budget == "small" && left.Add(-1) >= 0 })
	for range 3 {
		require.Equal(t, upstreams.ID("node-0"), f.answeredBy(gasPrice, "[]"))
	}
	require.Equal(t, upstreams.ID("node-1"), f.answeredBy(gasPrice, "[]"))
	require.Equal(t, 3, nodes[0].Calls(gasPrice))
	require.Zero(t, f.Explain(gasPrice, nil)[0].Failed)
}

func TestChoice_RulesOfANode(t *testing.T) {
	t.Parallel()

	nodes, cfg := named(t, 2)
	short, twice := 50*time.Millisecond, 2
	breaker := upstreams.Breaker{Failures: 4, Of: 10, OpenFor: time.Hour, Successes: 1, Trials: 1}
	cfg.Upstreams[0].Rules = []upstreams.NodeRule{{Methods: parsed(t, gasPrice), Timeout: &short, Attempts: &twice, Breaker: &breaker}}
	f := newFixture(t, cfg)
	nodes[0].SetFault(gasPrice, upstreamtest.ServerDown)
	require.Equal(t, upstreams.ID("node-1"), f.answeredBy(gasPrice, "[]"))
	require.Equal(t, 2, nodes[0].Calls(gasPrice), "as often as its rule says")
	require.Equal(t, upstreams.ID("node-1"), f.answeredBy(gasPrice, "[]"))
	list := f.Explain(gasPrice, nil)
	require.Equal(t, upstreams.ID("node-0"), list[1].Upstream)
	require.Equal(t, []upstreams.BreakerStanding{{Methods: gasPrice, State: "open", Failures: 4}}, list[1].Breakers)
	f.until("probes bring the node back", func() bool { return f.Upstreams()[0].IsHealthy() })
	require.Equal(t, upstreams.ID("node-1"), f.answeredBy(gasPrice, "[]"), "the breaker is open all the same")
	nodes[1].SetFault(gasPrice, upstreamtest.ServerDown)
	nodes[0].SetFault(gasPrice, upstreamtest.None)
	require.Equal(t, upstreams.ID("node-0"), f.answeredBy(gasPrice, "[]"), "asked when no other is left")
}

func TestChoice_EmptyAnswers(t *testing.T) {
	t.Parallel()

	nodes, cfg := named(t, 3)
	nodes[0].Answer("eth_getTransactionByHash", upstreamtest.Result("null"))
	nodes[1].Answer("eth_getTransactionByHash", upstreamtest.Result(`{"blockNumber":"0x1"}`))
	f := newFixture(t, cfg)
	ask := func(empty, pending bool) string {
		request := f.request("eth_getTransactionByHash", `["`+hash+`"]`)
		request.RetryEmpty, request.RetryPending = empty, pending
		reply, err := f.Do(t.Context(), request)
		require.NoError(t, err)
		return string(reply.Result)
	}
	require.JSONEq(t, `{"blockNumber":"0x1"}`, ask(false, false), "one node alone is not believed")
	nodes[2].Answer("eth_getTransactionByHash", upstreamtest.Result(`{"blockNumber":"0x2"}`))
	nodes[1].Answer("eth_getTransactionByHash", upstreamtest.Result("null"))
	require.Equal(t, "null", ask(false, false), "two are")
	require.JSONEq(t, `{"blockNumber":"0x2"}`, ask(true, false), "where it is wanted all are asked")
	nodes[2].Answer("eth_getTransactionByHash", upstreamtest.Result("null"))

	nodes[1].Answer("eth_getTransactionByHash", upstreamtest.Result(`{"blockNumber":"0x1"}`))
	nodes[0].Answer("eth_getTransactionByHash", upstreamtest.Result(`{"blockNumber":null}`))
	require.JSONEq(t, `{"blockNumber":null}`, ask(false, false))
	require.JSONEq(t, `{"blockNumber":"0x1"}`, ask(false, true))
	nodes[1].Answer("eth_getTransactionByHash", upstreamtest.Result("null"))
	require.JSONEq(t, `{"blockNumber":null}`, ask(false, true), "better than nothing")
}
