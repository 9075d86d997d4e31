package config

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/upstreams"
)

func TestLoadGateway_NodesInheritKeyByKey(t *testing.T) {
	t.Parallel()

	got, err := LoadGateway("testdata/good/upstreams.yaml", environment())
	require.NoError(t, err)
	require.NoError(t, got.App.Validate())

	networks := got.App.Projects[0].Networks
	require.Equal(t, uint64(5), networks[0].Pool.ChainID)
	require.Equal(t, "*", networks[0].Directives.UseUpstream)
	require.True(t, networks[0].Directives.RetryEmpty, "what the network leaves out")
	require.Equal(t, 7*time.Second, *networks[0].Pool.Rules[0].Timeout)
	require.Equal(t, 9*time.Second, *networks[1].Pool.Rules[0].Timeout, "a list is replaced, not mixed")

	one, own, third := networks[0].Pool.Upstreams[0], networks[0].Pool.Upstreams[1], networks[1].Pool.Upstreams[0]
	require.Equal(t, []string{"region:eu"}, one.Tags)
	require.Zero(t, one.Weight)
	require.True(t, one.KeepAsking)
	require.True(t, one.SkipWhenSyncing)
	require.Zero(t, one.PollInterval, "0 is the gateway's own pace, not no pace at all")
	require.Len(t, one.Ignore, 1)
	require.Equal(t, upstreams.Availability{Lower: upstreams.Bound{Kind: upstreams.BehindLatest, Blocks: 128}, StateOnly: true}, one.Blocks)
	require.Equal(t, "hidden", one.Header["x-key"].Reveal())
	require.Equal(t, "trace_*", one.Rules[0].Methods.String())
	require.Equal(t, 90*time.Second, *one.Rules[0].Timeout)
	require.Equal(t, &upstreams.Breaker{Failures: 10, Of: 10, OpenFor: time.Minute, Successes: 8, Trials: 10}, one.Rules[0].Breaker)

	require.Equal(t, []string{"region:eu", upstreams.TagFallback}, own.Tags, "an empty key is no list")
	require.InDelta(t, 2.5, own.Weight, 0)
	require.Len(t, own.Allow, 1)
	require.Len(t, own.Ignore, 2)
	require.False(t, own.SkipWhenSyncing)
	require.Equal(t, 3*time.Second, own.PollInterval)
	require.Equal(t, "hidden", own.Header["x-team"].Reveal())
	require.Equal(t, "other", own.Header["x-key"].Reveal())
	require.Equal(t, upstreams.Availability{Lower: upstreams.Bound{Kind: upstreams.AtBlock, Blocks: 100}, Upper: upstreams.Bound{Kind: upstreams.BehindLatest, Blocks: 3}}, own.Blocks)
	require.Len(t, own.Rules, 1)
	require.Equal(t, 2, *own.Rules[0].Attempts)
	require.Nil(t, own.Rules[0].Breaker)

	require.Empty(t, third.Tags, "an empty list is a list")
	require.Zero(t, third.Weight)
	require.Len(t, third.Multipliers, 2, "those for its network")
	require.Equal(t, "eth_getLogs|trace_*", third.Multipliers[0].Methods.String())
	require.Equal(t, []upstreams.Finality{upstreams.Finalized}, third.Multipliers[0].Finalities)
	require.InDelta(t, 2, *third.Multipliers[0].Failures, 0, "twice eRPC's default")
	require.Zero(t, *third.Multipliers[0].Latency)
	require.InDelta(t, 1, *third.Multipliers[0].Throttled, 0)
	require.InDelta(t, 0.5, *third.Multipliers[0].Lag, 0)
	require.Nil(t, third.Multipliers[0].Share, "left out is not zero")
	require.InDelta(t, 3, *third.Multipliers[1].Share, 0)
	require.Nil(t, third.Multipliers[1].Failures)
	require.Equal(t, upstreams.Bound{Kind: upstreams.BehindLatest, Blocks: 512}, third.Blocks.Lower)
	require.True(t, third.IgnoreSyncing)
}

// An alias may share a section between a node and another place: what the node
// inherits must not show there.
func TestLoadGateway_WhatIsInheritedStaysWithTheHeir(t *testing.T) {
	t.Parallel()

	got, err := parseGateway("file", []byte(`
projects:
- id: main
  networks: [{evm: {chainId: 7}}]
  upstreamDefaults: {evm: {nodeType: full}}
  upstreams: &nodes
  - {endpoint: http://one, evm: {chainId: 7}}
- id: other
  networks: [{evm: {chainId: 7}}]
  upstreams: *nodes
`), environment())
	require.NoError(t, err)
	require.True(t, got.App.Projects[0].Networks[0].Pool.Upstreams[0].Blocks.StateOnly)
	require.False(t, got.App.Projects[1].Networks[0].Pool.Upstreams[0].Blocks.StateOnly)
}
