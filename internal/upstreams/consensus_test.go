package upstreams_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/upstreams"
	"github.com/slipwayhq/slipway/internal/upstreams/upstreamtest"
)

// agreeing is a pool that asks three nodes, of which two must agree, with what
// each says to eth_getBalance.
func agreeing(t *testing.T, change func(*upstreams.Consensus), answers ...string) (*fixture, []*upstreamtest.Node) {
	t.Helper()
	var nodes []*upstreamtest.Node
	for _, a := range answers {
		n := upstreamtest.New(t)
		n.Answer("eth_getBalance", upstreamtest.Result(a))
		nodes = append(nodes, n)
	}
	cfg := configFor(nodes...)
	c := upstreams.DefaultConsensus()
	c.Participants = 3
	if change != nil {
		change(&c)
	}
	all, err := methods.ParsePattern("*")
	require.NoError(t, err)
	cfg.Rules = []upstreams.Rule{{Methods: all, Consensus: &c}}
	return newFixture(t, cfg), nodes
}

func TestConsensus_TheMajorityIsBelieved(t *testing.T) {
	t.Parallel()
	f, _ := agreeing(t, nil, `{"a":1,"b":2}`, `{"a":9}`, `{"b":2, "a":1}`)

	got, err := f.do("eth_getBalance", `["0xab","latest"]`)

	require.NoError(t, err)
	require.Contains(t, []string{`{"a":1,"b":2}`, `{"b":2, "a":1}`}, string(got.Result))
}

func TestConsensus_EndsWhenTheLeadCannotBeLost(t *testing.T) {
	t.Parallel()
	f, nodes := agreeing(t, nil, `"0x1"`, `"0x1"`, `"0x1"`)
	nodes[2].SetFault("eth_getBalance", upstreamtest.Hang)
	start := time.Now()

	got, err := f.do("eth_getBalance", `["0xab","latest"]`)

	require.NoError(t, err)
	require.Equal(t, `"0x1"`, string(got.Result))
	require.Less(t, time.Since(start), 5*time.Second, "long before the attempt's timeout")
}

func TestConsensus_DisputeIsTold(t *testing.T) {
	t.Parallel()
	f, _ := agreeing(t, nil, `"0x1"`, `"0x2"`, `"0x3"`)

	_, err := f.do("eth_getBalance", `["0xab","latest"]`)

	var dispute *upstreams.DisputeError
	require.ErrorAs(t, err, &dispute)
	require.Equal(t, upstreams.DisputeError{Answers: 3, Agreeing: 1, Threshold: 2}, *dispute)
	f.until("it is logged", func() bool { return len(f.log.String()) > 0 })
	require.Contains(t, f.log.String(), "upstreams disagree")
}

func TestConsensus_ANodeWithoutAnswerIsReplaced(t *testing.T) {
	t.Parallel()
	f, nodes := agreeing(t, func(c *upstreams.Consensus) { c.Participants = 2 }, `"0x1"`, `"0x1"`, `"0x1"`)
	nodes[0].SetFault("eth_getBalance", upstreamtest.ServerDown)

	got, err := f.do("eth_getBalance", `["0xab","latest"]`)

	require.NoError(t, err)
	require.Equal(t, `"0x1"`, string(got.Result))
	require.Equal(t, 1, nodes[2].Calls("eth_getBalance"))
}

func TestConsensus_IgnoresFields(t *testing.T) {
	t.Parallel()
	f, _ := agreeing(t, func(c *upstreams.Consensus) {
		c.Threshold = 3
		c.IgnoreFields = map[string][]string{"eth_getBalance": {"t"}}
	}, `{"a":1,"t":1}`, `{"a":1,"t":2}`, `{"a":1}`)

	_, err := f.do("eth_getBalance", `["0xab","latest"]`)

	require.NoError(t, err)
}

func TestConsensus_WhoOftenDisagreesSitsOut(t *testing.T) {
	t.Parallel()
	f, nodes := agreeing(t, func(c *upstreams.Consensus) {
		c.Threshold = 2
		c.Punishment = &upstreams.Punishment{Disputes: 2, Window: time.Minute, SitOut: time.Minute}
	}, `"0x9"`, `"0x1"`, `"0x1"`)
	for i := range 20 {
		_, err := f.do("eth_getBalance", fmt.Sprintf(`["0xab","0x%x"]`, i))
		require.NoError(t, err)
	}
	require.Less(t, nodes[0].Calls("eth_getBalance"), 20)
}

func TestConsensus_NeverForWrites(t *testing.T) {
	t.Parallel()
	f, nodes := agreeing(t, nil, `"0x1"`, `"0x1"`, `"0x1"`)
	for _, n := range nodes {
		n.Answer(sendMethod, upstreamtest.Result(sentHash))
		n.Answer("foo_bar", upstreamtest.Result(`1`))
	}
	for _, method := range []string{sendMethod, "foo_bar"} {
		_, err := f.do(method, `["0x01"]`)
		require.NoError(t, err)
		require.Equal(t, 1, nodes[0].Calls(method)+nodes[1].Calls(method)+nodes[2].Calls(method), method)
	}
}

func TestConsensus_ElementsOfABatchAreAskedAlone(t *testing.T) {
	t.Parallel()
	f, nodes := agreeing(t, nil, `"0x1"`, `"0x1"`, `"0x1"`)
	replies := f.DoBatch(t.Context(), []upstreams.Request{f.request("eth_getBalance", `["0xab","0x1"]`), f.request("eth_getBalance", `["0xab","0x2"]`)})
	require.False(t, replies[0].IsSettled || replies[1].IsSettled)
	require.Zero(t, nodes[0].Batches())
}

func TestConsensus_IsSkippedOnDemand(t *testing.T) {
	t.Parallel()
	f, _ := agreeing(t, nil, `"0x1"`, `"0x2"`, `"0x3"`)
	request := f.request("eth_getBalance", `["0xab","latest"]`)
	request.SkipConsensus = true

	_, err := f.Do(t.Context(), request)

	require.NoError(t, err)
}

func TestDo_AWrongAnswerLeadsToTheNextNode(t *testing.T) {
	t.Parallel()
	a, b := two(t)
	a.Answer(findMethod, upstreamtest.Result(`{"hash":`+sentHash+`}`))
	b.Answer(findMethod, upstreamtest.Result(`{"hash":"`+hash+`"}`))
	f := pool(t, a, b)

	got, err := f.do(findMethod, `["`+hash+`"]`)

	require.NoError(t, err)
	require.Equal(t, upstreams.ID("node-1"), got.Upstream)
	require.Equal(t, `{"hash":"`+hash+`"}`, string(got.Result))
}
