package upstreams_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/upstreams"
	"github.com/slipwayhq/slipway/internal/upstreams/upstreamtest"
)

// threeNodes are three nodes that answer eth_gasPrice and are hedged after 50 ms.
func threeNodes(t *testing.T) ([]*upstreamtest.Node, upstreams.Config) {
	t.Helper()
	nodes, cfg := named(t, 3)
	cfg.Failsafe.MaxHedges = 2
	return nodes, cfg
}

func TestRace_TwoNodesOfThreeHang(t *testing.T) {
	t.Parallel()

	nodes, cfg := threeNodes(t)
	f := newFixture(t, cfg)
	nodes[0].SetFault(gasPrice, upstreamtest.Hang)
	nodes[1].SetFault(gasPrice, upstreamtest.Hang)

	begin := time.Now()
	require.Equal(t, upstreams.ID("node-2"), f.answeredBy(gasPrice, "[]"))
	require.Less(t, time.Since(begin), cfg.Failsafe.AttemptTimeout/2)

	for range 2 {
		f.answeredBy(gasPrice, "[]")
	}
	for _, s := range f.Explain(gasPrice, nil) {
		if s.Upstream != "node-2" {
			require.Equal(t, 3, s.Failed, "%s has lost three races", s.Upstream)
		}
	}
	require.Equal(t, upstreams.ID("node-2"), f.Explain(gasPrice, nil)[0].Upstream, "the others have lost their place")
}

func TestRace_AFailedHedgeLeadsToTheNextNodeAtOnce(t *testing.T) {
	t.Parallel()

	nodes, cfg := threeNodes(t)
	f := newFixture(t, cfg)
	nodes[0].SetFault(gasPrice, upstreamtest.Hang)
	nodes[1].SetFault(gasPrice, upstreamtest.ServerDown)

	begin := time.Now()
	require.Equal(t, upstreams.ID("node-2"), f.answeredBy(gasPrice, "[]"))
	require.Less(t, time.Since(begin), cfg.Failsafe.AttemptTimeout/2)
}

func TestRace_AsksNoMoreNodesThanItMay(t *testing.T) {
	t.Parallel()

	for _, hedges := range []int{0, 1} {
		nodes, cfg := threeNodes(t)
		cfg.Failsafe.MaxHedges = hedges
		cfg.Failsafe.AttemptTimeout = 500 * time.Millisecond
		f := newFixture(t, cfg)
		for _, n := range nodes[:2] {
			n.SetFault(gasPrice, upstreamtest.Hang)
		}
		begin := time.Now()
		require.Equal(t, upstreams.ID("node-2"), f.answeredBy(gasPrice, "[]"))
		require.GreaterOrEqual(t, time.Since(begin), cfg.Failsafe.AttemptTimeout, "the third node is asked when an attempt is over")
	}
}
