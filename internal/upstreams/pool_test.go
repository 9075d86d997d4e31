package upstreams_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/telemetry"
	"github.com/slipwayhq/slipway/internal/upstreams"
	"github.com/slipwayhq/slipway/internal/upstreams/upstreamtest"
)

// fixture is a running pool in front of scripted nodes.
type fixture struct {
	*upstreams.Pool
	t         *testing.T
	catalogue *methods.Catalogue
	tracker   *chain.Tracker
	log       *safeBuffer
	factory   telemetry.Factory
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func configFor(nodes ...*upstreamtest.Node) upstreams.Config {
	cfg := upstreams.Default()
	cfg.ChainID = upstreamtest.ChainID
	cfg.PollInterval = 20 * time.Millisecond
	cfg.Finality = chain.Finality{Mode: chain.Instant}
	for i, n := range nodes {
		cfg.Upstreams = append(cfg.Upstreams, upstreams.Endpoint{ID: fmt.Sprint("node-", i), URL: secret.New(n.URL())})
	}
	return cfg
}

func newFixture(t *testing.T, cfg upstreams.Config) *fixture {
	t.Helper()
	f := &fixture{t: t, catalogue: methods.New(), tracker: chain.NewTracker(cfg.Finality), log: &safeBuffer{}, factory: telemetry.NewFactory()}
	var err error
	f.Pool, err = upstreams.NewPool(cfg, f.tracker, f.catalogue, f.factory, slog.New(slog.NewTextHandler(f.log, nil)))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background()) // must outlive the nodes' cleanup order
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- f.Run(ctx, func() { close(ready) }) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	<-ready
	return f
}

func pool(t *testing.T, nodes ...*upstreamtest.Node) *fixture {
	t.Helper()
	return newFixture(t, configFor(nodes...))
}

func (f *fixture) do(method, params string) (upstreams.Reply, error) {
	return f.Do(f.t.Context(), f.request(method, params))
}

// counter adds up the series of a counter that have some labels.
func (f *fixture) counter(t *testing.T, name string, labels map[string]string) int {
	t.Helper()
	families, err := f.factory.Gatherer().Gather()
	require.NoError(t, err)
	sum := 0
	for _, family := range families {
		for _, m := range family.GetMetric() {
			matching := 0
			for _, l := range m.GetLabel() {
				if want, isWanted := labels[l.GetName()]; isWanted && want == l.GetValue() {
					matching++
				}
			}
			if family.GetName() == name && matching == len(labels) {
				sum += int(m.GetCounter().GetValue())
			}
		}
	}
	return sum
}

func (f *fixture) request(method, params string) upstreams.Request {
	return upstreams.Request{Method: method, Params: []byte(params), Facts: f.catalogue.Describe(method, []byte(params))}
}

func (f *fixture) until(what string, is func() bool) {
	f.t.Helper()
	require.Eventually(f.t, is, 10*time.Second, 5*time.Millisecond, what)
}

func two(t *testing.T) (a, b *upstreamtest.Node) {
	t.Helper()
	return upstreamtest.New(t), upstreamtest.New(t)
}

const hash = "0x00000000000000000000000000000000000000000000000000000000000000ab"

func TestDo_FaultLeadsToTheNextNode(t *testing.T) {
	t.Parallel()

	for _, fault := range []upstreamtest.Fault{
		upstreamtest.Hang, upstreamtest.TooMany, upstreamtest.ServerDown, upstreamtest.HTML, upstreamtest.Cut,
		upstreamtest.Reset, upstreamtest.BrokenJSON, upstreamtest.WrongID, upstreamtest.Forbidden, upstreamtest.Huge,
	} {
		t.Run(string(fault), func(t *testing.T) {
			t.Parallel()

			a, b := two(t)
			a.Answer("eth_getBalance", upstreamtest.Result(`"0x1"`))
			b.Answer("eth_getBalance", upstreamtest.Result(`"0x2"`))
			a.SetFault("eth_getBalance", fault)
			cfg := configFor(a, b)
			cfg.MaxResponseBytes = 1 << 20
			f := newFixture(t, cfg)

			got, err := f.do("eth_getBalance", `["0xab","latest"]`)

			require.NoError(t, err)
			require.Equal(t, `"0x2"`, string(got.Result))
			require.Equal(t, upstreams.ID("node-1"), got.Upstream)
		})
	}
}

func TestDo_TriesAreNumberedInMetrics(t *testing.T) {
	t.Parallel()

	a, b := two(t)
	a.SetFault("eth_getBalance", upstreamtest.ServerDown)
	b.Answer("eth_getBalance", upstreamtest.Result(`"0x2"`))
	cfg := configFor(a, b)
	cfg.Project, cfg.Failsafe.MaxHedges = "main", 0
	f := newFixture(t, cfg)

	_, err := f.do("eth_getBalance", `["0xab","latest"]`)

	require.NoError(t, err)
	const name = "gateway_upstream_attempts_total"
	require.Equal(t, 1, f.counter(t, name, map[string]string{"project": "main", "upstream": "node-0", "outcome": "broken", "attempt": "1"}))
	require.Equal(t, 1, f.counter(t, name, map[string]string{"project": "main", "upstream": "node-1", "outcome": "ok", "attempt": "2"}))
	require.Equal(t, 2, f.counter(t, name, nil))
}

func TestDo_AHedgeIsTheSecondTry(t *testing.T) {
	t.Parallel()

	a, b := two(t)
	a.SetFault("eth_getBalance", upstreamtest.Hang)
	b.Answer("eth_getBalance", upstreamtest.Result(`"0x2"`))
	cfg := configFor(a, b)
	cfg.Failsafe.HedgeMinDelay = time.Millisecond
	f := newFixture(t, cfg)

	_, err := f.do("eth_getBalance", `["0xab","latest"]`)

	require.NoError(t, err)
	require.Equal(t, 1, f.counter(t, "gateway_upstream_attempts_total", map[string]string{"upstream": "node-0", "outcome": "lost_race", "attempt": "1"}))
	require.Equal(t, 1, f.counter(t, "gateway_upstream_attempts_total", map[string]string{"upstream": "node-1", "outcome": "ok", "attempt": "2"}))
}

func TestDo_ErrorsOfNodes(t *testing.T) {
	t.Parallel()

	revert := upstreamtest.Answer{Error: `{"code":3,"message":"execution reverted","data":"0x08c379a0"}`}
	good := upstreamtest.Result(`"0x2"`)
	cases := map[string]struct {
		first, second     upstreamtest.Answer
		result, errorText string
		fails             string
		asked             int // the second node
	}{
		"a revert passes unchanged":            {revert, good, "", revert.Error, "", 0},
		"missing data leads on":                {upstreamtest.Error(-32000, "missing trie node ab"), good, `"0x2"`, "", "", 1},
		"an unsupported method leads on":       {upstreamtest.Error(-32604, "Method not enabled"), good, `"0x2"`, "", "", 1},
		"null that cannot be leads on":         {upstreamtest.Result("null"), good, `"0x2"`, "", "", 1},
		"null from all is passed on":           {upstreamtest.Result("null"), upstreamtest.Result("null"), "null", "", "", 1},
		"the most telling error is passed on":  {upstreamtest.Error(-32601, "Method not found"), upstreamtest.Error(-39001, "Unknown block"), "", `{"code":-39001,"message":"Unknown block"}`, "", 1},
		"a telling error beats a useless one":  {upstreamtest.Error(-39001, "Unknown block"), upstreamtest.Error(-32601, "Method not found"), "", `{"code":-39001,"message":"Unknown block"}`, "", 1},
		"words about limits are not passed on": {upstreamtest.Error(429, "key 1234 is over its rate limit"), upstreamtest.Error(429, "key 1234 is over its rate limit"), "", "", "rate_limited", 2},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			a, b := two(t)
			a.Answer("eth_call", c.first)
			b.Answer("eth_call", c.second)
			f := pool(t, a, b)

			got, err := f.do("eth_call", `[{},"latest"]`)

			if c.fails != "" {
				require.ErrorContains(t, err, c.fails)
			} else {
				require.NoError(t, err)
			}
			require.Equal(t, c.result, string(got.Result))
			require.Equal(t, c.errorText, string(got.Error))
			require.GreaterOrEqual(t, b.Calls("eth_call"), c.asked)
			if c.asked == 0 {
				require.Zero(t, b.Calls("eth_call"))
			}
		})
	}
}

func TestDo_NodeErrorsDoNotTakeANodesPlace(t *testing.T) {
	t.Parallel()

	a, b := two(t)
	a.Answer("eth_call", upstreamtest.Error(-39001, "Unknown block"))
	b.Answer("eth_call", upstreamtest.Result(`"0x"`))
	a.Answer("eth_gasPrice", upstreamtest.Result(`"0x1"`))
	f := pool(t, a, b)
	for range 10 {
		_, err := f.do("eth_call", `[{},"latest"]`)
		require.NoError(t, err)
	}
	got, err := f.do("eth_gasPrice", `[]`)
	require.NoError(t, err)
	require.Equal(t, upstreams.ID("node-0"), got.Upstream)
}

func TestDo_NullIsAskedForWhereTheChainIsLonger(t *testing.T) {
	t.Parallel()

	a, b := two(t)
	a.Answer("eth_getTransactionReceipt", upstreamtest.Result("null"))
	b.Answer("eth_getTransactionReceipt", upstreamtest.Result(`{"blockNumber":"0x66"}`))
	f := pool(t, a, b)
	b.SetHead(102)
	f.until("the head is seen", func() bool { return f.tracker.Head().Latest == 102 })
	got, err := f.do("eth_getTransactionReceipt", `["`+hash+`"]`)
	require.NoError(t, err)
	require.JSONEq(t, `{"blockNumber":"0x66"}`, string(got.Result))

	got, err = f.do("eth_getBlockByNumber", `["0x66",false]`)
	require.NoError(t, err)
	require.Equal(t, upstreams.ID("node-1"), got.Upstream, "who has the block is asked first")
	got, err = f.do("eth_getBlockByNumber", `["0xffff",false]`)
	require.NoError(t, err)
	require.Equal(t, "null", string(got.Result), "a block nobody has yet")
}

func TestDo_HeadNeverGoesBack(t *testing.T) {
	t.Parallel()

	a, b := two(t)
	b.SetHead(102)
	f := pool(t, a, b)
	f.until("both are seen", func() bool { return f.tracker.Head().Latest == 102 })

	got, err := f.do("eth_blockNumber", `[]`)
	require.NoError(t, err)
	require.Equal(t, `"0x66"`, string(got.Result))
	got, err = f.do("eth_getBlockByNumber", `["latest",false]`)
	require.NoError(t, err)
	require.Contains(t, string(got.Result), `"number":"0x66"`)

	b.SetHead(200)
	f.until("the head is seen", func() bool { return f.tracker.Head().Latest == 200 })
	asked := a.Calls("eth_getBlockByNumber")
	got, err = f.do("eth_getBlockByNumber", `["latest",false]`)
	require.NoError(t, err)
	require.Equal(t, upstreams.ID("node-1"), got.Upstream)
	require.Equal(t, asked, a.Calls("eth_getBlockByNumber"), "a node that lags far is not asked first")
}

func TestDo_NodeThatIsBehindDoesNotOvertake(t *testing.T) {
	t.Parallel()

	a, b := two(t)
	a.SetHead(200)
	b.Answer("eth_getBalance", upstreamtest.Result(`"0xold"`))
	answer := make(chan struct{})
	a.AnswerFunc("eth_getBalance", func(string) upstreamtest.Answer {
		<-answer
		return upstreamtest.Result(`"0xnew"`)
	})
	f := pool(t, a, b)
	time.AfterFunc(200*time.Millisecond, func() { close(answer) }) // long after the hedge delay
	got, err := f.do("eth_getBalance", `["0xab","latest"]`)
	require.NoError(t, err)
	require.Equal(t, `"0xnew"`, string(got.Result))
	require.Zero(t, b.Calls("eth_getBalance"))
}

func TestDo_Sends(t *testing.T) {
	t.Parallel()

	// keccak256(0x01), the hash of the "transaction" below
	const sent = `"0x5fe7f977e71dba2ea1a68e21057beebb9be2ac30c6410aa38d4f3fbe41dcffd2"`
	type answers = map[string]upstreamtest.Answer
	cases := map[string]struct {
		first, second     answers
		fault             upstreamtest.Fault
		result, errorText string
		asked             int
	}{
		"known already is success":                  {first: answers{"eth_sendRawTransaction": upstreamtest.Error(-32000, "Known transaction")}, result: sent},
		"nonce too low with our transaction":        {first: answers{"eth_sendRawTransaction": upstreamtest.Error(-32001, "Nonce too low"), "eth_getTransactionByHash": upstreamtest.Result(`{}`)}, result: sent},
		"nonce too low with somebody else's":        {first: answers{"eth_sendRawTransaction": upstreamtest.Error(-32001, "Nonce too low"), "eth_getTransactionByHash": upstreamtest.Result(`null`)}, errorText: `{"code":-32001,"message":"Nonce too low"}`},
		"a refusal is not tried elsewhere":          {first: answers{"eth_sendRawTransaction": upstreamtest.Error(-32000, "Replacement transaction underpriced")}, errorText: `{"code":-32000,"message":"Replacement transaction underpriced"}`},
		"a syncing node leads on":                   {first: answers{"eth_sendRawTransaction": upstreamtest.Error(-32008, "Initial sync is still in progress")}, second: answers{"eth_sendRawTransaction": upstreamtest.Result(sent)}, result: sent, asked: 1},
		"a lost reply leads on, and is known there": {fault: upstreamtest.Reset, second: answers{"eth_sendRawTransaction": upstreamtest.Error(-32000, "already known")}, result: sent, asked: 1},
		"a hanging node leads on":                   {fault: upstreamtest.Hang, second: answers{"eth_sendRawTransaction": upstreamtest.Result(sent)}, result: sent, asked: 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			a, b := two(t)
			for method, answer := range c.first {
				a.Answer(method, answer)
			}
			for method, answer := range c.second {
				b.Answer(method, answer)
			}
			a.SetFault("eth_sendRawTransaction", c.fault)
			cfg := configFor(a, b)
			cfg.SendTimeout = 300 * time.Millisecond
			f := newFixture(t, cfg)

			got, err := f.do("eth_sendRawTransaction", `["0x01"]`)

			require.NoError(t, err)
			require.Equal(t, c.result, string(got.Result))
			require.Equal(t, c.errorText, string(got.Error))
			require.Equal(t, 1, a.Calls("eth_sendRawTransaction"))
			require.Equal(t, c.asked, b.Calls("eth_sendRawTransaction"))
		})
	}
}

func TestDo_UnknownMethodsAreSentOnce(t *testing.T) {
	t.Parallel()

	for _, method := range []string{"foo_transfer", "eth_newFilter"} {
		a, b := two(t)
		f := pool(t, a, b)
		a.SetFault(method, upstreamtest.Reset)
		_, err := f.do(method, `[]`)
		require.ErrorContains(t, err, "after 1 attempts, the last one was broken")
		require.Equal(t, 1, a.Calls(method))
		require.Zero(t, b.Calls(method))
	}
}

func TestDo_UnknownMethodsMoveOnWhenNothingWasSent(t *testing.T) {
	t.Parallel()

	a, b := two(t)
	b.Answer("foo_transfer", upstreamtest.Result("true"))
	cfg := configFor(a, b)
	cfg.PollInterval = time.Hour // the pool does not know yet
	f := newFixture(t, cfg)
	a.Stop()
	got, err := f.do("foo_transfer", `[]`)
	require.NoError(t, err)
	require.Equal(t, "true", string(got.Result))
}

func TestDo_NoUpstream(t *testing.T) {
	t.Parallel()

	a := upstreamtest.New(t)
	f := pool(t, a)
	a.Stop()
	f.until("the loss is seen", func() bool { return !f.IsReady() })
	_, err := f.do("eth_gasPrice", `[]`)
	require.ErrorIs(t, err, upstreams.ErrNoUpstream)
}

func TestDo_OnlyNodeIsTriedAgain(t *testing.T) {
	t.Parallel()

	a := upstreamtest.New(t)
	f := pool(t, a)
	failures := 2
	a.AnswerFunc("eth_gasPrice", func(string) upstreamtest.Answer {
		if failures--; failures >= 0 {
			return upstreamtest.Error(429, "too many requests")
		}
		return upstreamtest.Result(`"0x1"`)
	})
	got, err := f.do("eth_gasPrice", `[]`)
	require.NoError(t, err)
	require.Equal(t, `"0x1"`, string(got.Result))
}

func TestDo_CallerLeaves(t *testing.T) {
	t.Parallel()

	a := upstreamtest.New(t)
	a.SetFault("eth_gasPrice", upstreamtest.Hang)
	f := pool(t, a)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := f.Do(ctx, f.request("eth_gasPrice", "[]"))
		done <- err
	}()
	f.until("it is asked", func() bool { return a.Calls("eth_gasPrice") == 1 })
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
}

func TestDoBatch(t *testing.T) {
	t.Parallel()

	a := upstreamtest.New(t)
	a.AnswerFunc("eth_getBalance", func(params string) upstreamtest.Answer {
		if strings.Contains(params, "bad") {
			return upstreamtest.Error(-32000, "missing trie node")
		}
		return upstreamtest.Result(params[1:4])
	})
	f := pool(t, a)
	requests := []upstreams.Request{f.request("eth_getBalance", `["1","latest"]`), f.request("eth_getBalance", `["bad","latest"]`), f.request("eth_getBalance", `["3","latest"]`)}

	got := f.DoBatch(t.Context(), requests)

	require.Len(t, got, 3)
	require.Equal(t, `"1"`, string(got[0].Result))
	require.False(t, got[1].IsSettled, "it must be asked for alone")
	require.Equal(t, `"3"`, string(got[2].Result))
	require.Equal(t, 1, a.Batches())

	for _, fault := range []upstreamtest.Fault{upstreamtest.ServerDown, upstreamtest.WrongID, upstreamtest.BrokenJSON} {
		a.SetFault("eth_getBalance", fault)
		for _, reply := range f.DoBatch(t.Context(), requests) {
			require.False(t, reply.IsSettled, string(fault))
		}
	}
}

func TestPoller_OtherChainIsNeverUsed(t *testing.T) {
	t.Parallel()

	for name, change := range map[string]func(*upstreamtest.Node){
		"chain id": func(n *upstreamtest.Node) { n.SetChain(1, upstreamtest.Genesis) },
		"genesis":  func(n *upstreamtest.Node) { n.SetChain(upstreamtest.ChainID, hash) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			a, b := two(t)
			change(b)
			cfg := configFor(a, b)
			cfg.Genesis = upstreamtest.Genesis
			f := newFixture(t, cfg)
			a.SetFault("eth_gasPrice", upstreamtest.ServerDown)
			b.Answer("eth_gasPrice", upstreamtest.Result(`"0x1"`))

			_, err := f.do("eth_gasPrice", `[]`)
			require.Error(t, err)
			require.Zero(t, b.Calls("eth_gasPrice"))
			require.Equal(t, upstreams.Quarantined, f.Upstreams()[1].State())
			require.Contains(t, f.log.String(), `upstream=node-1 problem="shows another chain and is not used"`)

			b.SetChain(upstreamtest.ChainID, upstreamtest.Genesis)
			f.until("it was repaired", func() bool { return f.Upstreams()[1].State() == upstreams.Serving })
		})
	}
}

func TestPoller_ChainIsCheckedAgainAfterAReconnect(t *testing.T) {
	t.Parallel()

	a := upstreamtest.New(t)
	f := pool(t, a)
	require.Equal(t, upstreams.Serving, f.Upstreams()[0].State())
	a.SetFault("", upstreamtest.Reset) // the node restarts …
	f.until("it is missed", func() bool { return strings.Contains(f.log.String(), "does not answer as it should") })
	a.SetChain(1, upstreamtest.Genesis) // … with another chain
	a.SetFault("", upstreamtest.None)
	f.until("the chain is refused", func() bool { return f.Upstreams()[0].State() == upstreams.Quarantined })
}

func TestPoller_FirstReachablePinsTheChain(t *testing.T) {
	t.Parallel()

	a := upstreamtest.New(t)
	cfg := configFor(a)
	cfg.ChainID = 0
	f := newFixture(t, cfg)
	require.Equal(t, upstreams.Identity{ChainID: upstreamtest.ChainID, Genesis: upstreamtest.Genesis}, f.Identity())
}

func TestPoller_FindsTheFinality(t *testing.T) {
	t.Parallel()

	cases := map[string]struct {
		prepare func(*upstreamtest.Node)
		want    chain.Finality
	}{
		"QBFT": {func(n *upstreamtest.Node) {
			n.Answer("qbft_getValidatorsByBlockNumber", upstreamtest.Result(`["0x01"]`))
		}, chain.Finality{Mode: chain.Instant}},
		"IBFT2": {func(n *upstreamtest.Node) {
			n.Answer("ibft_getValidatorsByBlockNumber", upstreamtest.Result(`["0x01"]`))
		}, chain.Finality{Mode: chain.Instant}},
		"tag": {func(n *upstreamtest.Node) {
			n.AnswerFunc("eth_getBlockByNumber", func(params string) upstreamtest.Answer {
				number := "0x64" // the head
				if strings.Contains(params, "finalized") {
					number = "0x40"
				}
				return upstreamtest.Result(`{"number":"` + number + `","hash":"` + upstreamtest.Genesis + `"}`)
			})
		}, chain.Finality{Mode: chain.ByTag}},
		"neither": {func(*upstreamtest.Node) {}, chain.Finality{Mode: chain.ByDepth, Depth: 64}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			a := upstreamtest.New(t)
			c.prepare(a)
			cfg := configFor(a)
			cfg.Finality = chain.Finality{Mode: chain.Auto, Depth: 64}
			f := newFixture(t, cfg)
			require.Equal(t, c.want, f.tracker.Finality())
			require.True(t, f.tracker.Head().HasFinalized)
		})
	}
}

func TestPool_SecretsStayOut(t *testing.T) {
	t.Parallel()

	a := upstreamtest.New(t)
	cfg := configFor()
	url := strings.Replace(a.URL(), "http://", "http://user:hidden@", 1) + "/hidden?key=hidden"
	cfg.Upstreams = []upstreams.Endpoint{{URL: secret.New(url)}, {URL: secret.New(url)}}
	f := newFixture(t, cfg)
	require.Equal(t, upstreams.ID(strings.TrimPrefix(a.URL(), "http://")), f.Upstreams()[0].ID())
	require.Equal(t, f.Upstreams()[0].ID()+"#2", f.Upstreams()[1].ID())
	a.Stop()
	f.until("the loss is logged", func() bool { return strings.Contains(f.log.String(), "cannot be reached") })
	require.NotContains(t, f.log.String(), "hidden")
}

func TestProbe(t *testing.T) {
	t.Parallel()

	a := upstreamtest.New(t)
	got, err := upstreams.Probe(t.Context(), secret.New(a.URL()))
	require.NoError(t, err)
	require.Equal(t, upstreams.ChainInfo{ChainID: upstreamtest.ChainID, GenesisHash: upstreamtest.Genesis, Head: upstreamtest.Head, ClientVersion: "upstreamtest/1"}, got)
	a.Stop()
	_, err = upstreams.Probe(t.Context(), secret.New(strings.Replace(a.URL(), "http://", "http://user:hidden@", 1)+"/hidden"))
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hidden")
}

func TestConfig_ValidateReportsEverything(t *testing.T) {
	t.Parallel()

	err := upstreams.Config{Upstreams: []upstreams.Endpoint{{ID: "a", URL: secret.New("ws://x")}, {ID: "a", URL: secret.New("http://")}}}.Validate()
	for _, part := range []string{
		"upstreams[0]: the URL must begin", "upstreams[1]: the URL has no host", `upstreams[1]: the id "a" stands twice`,
		"poll interval", "attempt timeout", "failsafe: rounds", "maximum response size", "maximum connections",
	} {
		require.ErrorContains(t, err, part)
	}
}

func TestDo_ARuleBoundsItsMethodsOnly(t *testing.T) {
	t.Parallel()

	node := upstreamtest.New(t)
	quick, err := methods.ParsePattern("eth_gasPrice|custom_*")
	require.NoError(t, err)
	timeout, rounds := 100*time.Millisecond, 1
	cfg := configFor(node)
	cfg.Rules = []upstreams.Rule{{Methods: quick, Timeout: &timeout, Rounds: &rounds}}
	f := newFixture(t, cfg)
	node.SetFault("eth_gasPrice", upstreamtest.Hang)
	node.SetFault("custom_slow", upstreamtest.Hang)

	for _, method := range []string{"eth_gasPrice", "custom_slow"} {
		start := time.Now()
		_, err := f.do(method, "[]")
		var exhausted *upstreams.ExhaustedError
		require.ErrorAs(t, err, &exhausted, method)
		require.Equal(t, upstreams.OutcomeTimeout, exhausted.Last, method)
		require.Less(t, time.Since(start), 5*time.Second, method)
	}
	node.Answer("eth_getBalance", upstreamtest.Result(`"0x7"`))
	reply, err := f.do("eth_getBalance", `["0x0000000000000000000000000000000000000001","latest"]`)
	require.NoError(t, err)
	require.Equal(t, `"0x7"`, string(reply.Result))
}

func TestDo_RoundsAreCounted(t *testing.T) {
	t.Parallel()

	a, b := two(t)
	cfg := configFor(a, b)
	cfg.Failsafe.Rounds, cfg.Failsafe.Pause, cfg.Failsafe.PauseJitter = 2, time.Millisecond, 0
	f := newFixture(t, cfg)
	a.SetFault("eth_gasPrice", upstreamtest.ServerDown)
	b.SetFault("eth_gasPrice", upstreamtest.ServerDown)

	_, err := f.do("eth_gasPrice", "[]")

	var exhausted *upstreams.ExhaustedError
	require.ErrorAs(t, err, &exhausted)
	require.Equal(t, 2, a.Calls("eth_gasPrice"))
	require.Equal(t, 2, b.Calls("eth_gasPrice"))
}

// An answer that is kept must not keep the text of the whole batch in memory.
func TestDoBatch_AnswersStandAlone(t *testing.T) {
	t.Parallel()

	node := upstreamtest.New(t)
	node.AnswerFunc("eth_getBalance", func(params string) upstreamtest.Answer {
		if strings.Contains(params, "large") {
			return upstreamtest.Result(`"` + strings.Repeat("a", 100_000) + `"`)
		}
		return upstreamtest.Result(`"0x1"`)
	})
	f := pool(t, node)

	got := f.DoBatch(t.Context(), []upstreams.Request{f.request("eth_getBalance", `["0x1","latest"]`), f.request("eth_getBalance", `["large","latest"]`)})

	require.Equal(t, `"0x1"`, string(got[0].Result))
	require.Less(t, cap(got[0].Result), 1000)
}
