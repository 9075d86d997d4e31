package upstreams_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/upstreams"
	"github.com/slipwayhq/slipway/internal/upstreams/upstreamtest"
)

func TestExplain_TellsTheOrderAndWhy(t *testing.T) {
	t.Parallel()

	good, failing := upstreamtest.New(t), upstreamtest.New(t)
	f := newFixture(t, configFor(failing, good))
	require.Equal(t, []upstreams.ID{"node-0", "node-1"}, order(f.Explain("eth_call", nil)), "all alike: as configured")

	failing.SetFault("eth_gasPrice", upstreamtest.ServerDown)
	good.Answer("eth_gasPrice", upstreamtest.Result(`"0x1"`))
	var list []upstreams.Standing
	f.until("the failing node loses its place", func() bool {
		_, err := f.do("eth_gasPrice", "[]")
		require.NoError(t, err)
		list = f.Explain("eth_call", nil)
		return list[0].Upstream == "node-1" && len(list[1].Reasons) > 0
	})

	require.Equal(t, 1, list[0].Place)
	require.Positive(t, list[0].Answered)
	require.Positive(t, list[1].Failed)
}

func order(list []upstreams.Standing) []upstreams.ID {
	out := make([]upstreams.ID, len(list))
	for i, s := range list {
		out[i] = s.Upstream
	}
	return out
}
