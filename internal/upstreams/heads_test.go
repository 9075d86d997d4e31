package upstreams_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/upstreams"
	"github.com/slipwayhq/slipway/internal/upstreams/upstreamtest"
)

func TestHeads_OneLyingNodeSpoilsNothing(t *testing.T) {
	t.Parallel()

	for name, prepare := range map[string]func(*upstreamtest.Node) func(){
		"from the start": func(n *upstreamtest.Node) func() {
			n.Answer("eth_blockNumber", upstreamtest.Result(`"0xffffffff"`))
			return func() {}
		},
		"later": func(n *upstreamtest.Node) func() {
			return func() { n.Answer("eth_blockNumber", upstreamtest.Result(`"0xffffffff"`)) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			liar, honest := two(t)
			then := prepare(liar)
			f := pool(t, liar, honest)
			then()
			for range 20 {
				reply, err := f.do("eth_blockNumber", "[]")
				require.NoError(t, err)
				require.Equal(t, `"0x64"`, string(reply.Result))
			}
			f.until("the liar loses its place", func() bool { return f.Explain("eth_call", nil)[0].Upstream == "node-1" })
			require.Equal(t, uint64(upstreamtest.Head), f.tracker.Head().Latest)
			require.Contains(t, f.log.String(), "claims block 4294967295 and cannot show it")
		})
	}
}

func TestHeads_ATrueLeapIsFollowed(t *testing.T) {
	t.Parallel()

	a := upstreamtest.New(t)
	f := pool(t, a)
	a.SetHead(1_000_000) // the gateway slept
	f.until("it is followed", func() bool { return f.tracker.Head().Latest == 1_000_000 })
}

func TestHeads_TwoNodesAreBelieved(t *testing.T) {
	t.Parallel()

	a, b := two(t)
	f := pool(t, a, b)
	for _, n := range []*upstreamtest.Node{a, b} {
		n.Answer("eth_blockNumber", upstreamtest.Result(`"0xffff"`)) // neither shows it
	}
	f.until("they are believed", func() bool { return f.tracker.Head().Latest == 0xffff })
}

func TestHeads_AnotherChainIsSeenWhileServing(t *testing.T) {
	t.Parallel()

	for name, swap := range map[string]func(*upstreamtest.Node){
		"chain id":                func(n *upstreamtest.Node) { n.SetChain(1, upstreamtest.Genesis) },
		"block 0, and fewer more": func(n *upstreamtest.Node) { n.SetChain(upstreamtest.ChainID, hash); n.SetHead(3) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := two(t)
			f := pool(t, a, b)
			swap(a)
			f.until("it is not used any more", func() bool { return f.Upstreams()[0].State() == upstreams.Quarantined })
		})
	}
}

func TestHeads_ABlockThatIsDueIsWaitedFor(t *testing.T) {
	t.Parallel()

	a := upstreamtest.New(t)
	f := pool(t, a)
	head := uint64(upstreamtest.Head)
	for range 4 { // a block every 300 ms or so
		<-time.After(300 * time.Millisecond)
		head++
		a.SetHead(head)
		f.until("it is seen", func() bool { return f.tracker.Head().Latest == head })
	}
	go func() {
		<-time.After(100 * time.Millisecond)
		a.SetHead(head + 1)
	}()
	reply, err := f.do("eth_getBlockByNumber", `["0x69",false]`) // 105
	require.NoError(t, err)
	require.Contains(t, string(reply.Result), `"number":"0x69"`)
	require.Less(t, a.Calls("eth_getBlockByNumber"), 6, "it does not ask all the time")

	start := time.Now()
	reply, err = f.do("eth_getBlockByNumber", `["0x70",false]`)
	require.NoError(t, err)
	require.Equal(t, "null", string(reply.Result), "too far away")
	require.Less(t, time.Since(start), 450*time.Millisecond)
	reply, err = f.do("eth_getBlockByNumber", `["0x6a",false]`)
	require.NoError(t, err)
	require.Equal(t, "null", string(reply.Result), "it did not come in time")
}

func TestHeads_AHeadThatDoesNotMoveIsNobodysFault(t *testing.T) {
	t.Parallel()

	a, b := two(t)
	a.Answer(gasPrice, upstreamtest.Result(`"0x1"`))
	f := pool(t, a, b)
	before := a.Calls("eth_blockNumber")
	f.until("it was looked at for a while", func() bool { return a.Calls("eth_blockNumber") > before+20 })
	require.Equal(t, upstreams.ID("node-0"), f.answeredBy(gasPrice, "[]"))
	require.Empty(t, f.Explain(gasPrice, nil)[0].Reasons)
	require.NotContains(t, f.log.String(), "problem")
}
