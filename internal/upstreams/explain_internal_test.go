package upstreams

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReasons_SayWhatMovedANode(t *testing.T) {
	t.Parallel()

	cases := map[string]struct {
		s    Standing
		d    doubts
		want []string
	}{
		"nothing":       {Standing{State: "serving", Healthy: true}, doubts{}, []string{}},
		"another chain": {Standing{State: "quarantined", Healthy: true}, doubts{}, []string{"shows another chain: never asked"}},
		"away":          {Standing{State: "unreachable", Healthy: true}, doubts{}, []string{"cannot be reached: not asked until its chain was seen again"}},
		"several": {Standing{State: "serving", Head: 90, Score: 12, Failed: 3, Answered: 7, P50: 20}, doubts{isBehind: true}, []string{
			"failed 3 times in a row or more: asked last, until probes go well",
			"its newest block is 90, the network's is 100: asked after nodes that have the block",
			"score 12: 3 of 10 requests failed in 30 seconds, half of its answers took more than 20.0 ms",
		}},
		"an operator": {Standing{State: "serving", Healthy: true}, doubts{cordon: &cordonRule{Cordon: Cordon{Reason: "disk"}}}, []string{"cordoned: not asked (disk)"}},
		"one method": {Standing{State: "serving", Healthy: true, Score: 4, Method: &MethodStanding{Mean: 900, Failed: 0.1}}, doubts{}, []string{
			"score 4 for the method: 10% of its calls failed, an answer takes 900.0 ms on average",
		}},
		"by configuration": {Standing{State: "serving", Healthy: true, Tags: []string{TagFallback}}, doubts{exclusion: excludedMethod, isPruned: true}, []string{
			"does not serve the method by its configuration: not asked",
			"does not have the block by its configuration: asked after nodes that do",
			"fallback: asked when no other healthy node is left",
		}},
		"for a time": {Standing{State: "serving", Healthy: true, Syncing: true, SparedMs: 1500}, doubts{refuses: true, isOpen: true}, []string{
			"said lately that it has no such method: not asked while others have it",
			"its circuit breaker is open: asked when no other node is left",
			"is syncing: asked after nodes that are not",
			"wanted fewer requests: spared for 1500 ms more",
		}},
	}
	for name, c := range cases {
		require.Equal(t, c.want, reasons(c.s, c.d, 100), name)
	}
}
