package upstreams

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReasons_SayWhatMovedANode(t *testing.T) {
	t.Parallel()

	cases := map[string]struct {
		s      Standing
		behind bool
		want   []string
	}{
		"nothing":       {Standing{State: "serving", Healthy: true}, false, []string{}},
		"another chain": {Standing{State: "quarantined", Healthy: true}, false, []string{"shows another chain: never asked"}},
		"away":          {Standing{State: "unreachable", Healthy: true}, false, []string{"cannot be reached: not asked until its chain was seen again"}},
		"several": {Standing{State: "serving", Head: 90, Score: 12, Failed: 3, Answered: 7, P50: 20}, true, []string{
			"failed 3 times in a row or more: asked last, until probes go well",
			"its newest block is 90, the network's is 100: asked after nodes that have the block",
			"score 12: 3 of 10 requests failed in 30 seconds, half of its answers took more than 20.0 ms",
		}},
	}
	for name, c := range cases {
		require.Equal(t, c.want, reasons(c.s, c.behind, 100), name)
	}
}
