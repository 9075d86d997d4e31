package upstreams

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/methods"
)

func TestWhoMayKnowMore(t *testing.T) {
	t.Parallel()

	type node struct {
		head               uint64
		isSilent, fallback bool
	}
	all := []node{
		{head: 100}, {head: 101}, {head: 98}, {head: 90}, {head: 100, isSilent: true}, {head: 101, isSilent: true}, {head: 100, fallback: true},
	}
	byHash, byNumber := methods.Facts{Ref: methods.RefHash}, methods.Facts{Ref: methods.RefNumber, Number: 99}
	future := methods.Facts{Ref: methods.RefNumber, Number: 102}
	for name, c := range map[string]struct {
		req     Request
		outcome Outcome
		nulls   int
		of      node
		want    []int
	}{
		"a first null":               {Request{Facts: byHash}, OutcomeNull, 1, node{head: 100}, []int{0, 1, 2, 5}},
		"a first null of a fallback": {Request{Facts: byHash}, OutcomeNull, 1, node{head: 100, fallback: true}, []int{0, 1, 2, 5, 6}},
		"a first null, by number":    {Request{Facts: byNumber}, OutcomeNull, 1, node{head: 100}, []int{0, 1, 4, 5, 6}},
		"of a block that nobody has": {Request{Facts: future}, OutcomeNull, 0, node{head: 100}, nil},
		"of a node that is behind":   {Request{Facts: byHash}, OutcomeNull, 0, node{head: 90}, []int{0, 1, 2, 4, 5, 6}},
		"a second null":              {Request{Facts: byHash}, OutcomeNull, 2, node{head: 100}, []int{1, 5}},
		"a second null, asking all":  {Request{Facts: byHash, RetryEmpty: true}, OutcomeNull, 2, node{head: 100}, []int{0, 1, 2, 3, 4, 5, 6}},
		"an old answer":              {Request{Facts: byHash}, OutcomeStale, 0, node{head: 100}, []int{1, 5}},
		"no answer":                  {Request{Facts: byHash}, OutcomeTimeout, 0, node{head: 100}, []int{0, 1, 2, 3, 4, 5, 6}},
		"no answer behind a null":    {Request{Facts: byHash}, OutcomeTimeout, 1, node{head: 100}, []int{0, 1, 2, 3, 4, 5, 6}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			upstream := func(n node) *Upstream {
				u := &Upstream{isFallback: n.fallback}
				u.head.Store(n.head)
				u.isSilent.Store(n.isSilent)
				return u
			}
			p := &Pool{cfg: Config{MaxLag: 2}, tracker: chain.NewTracker(chain.Finality{})}
			p.tracker.ObserveLatest(100)
			left := make([]*Upstream, len(all))
			for i, n := range all {
				left[i] = upstream(n)
			}
			var got []int
			kept := p.whoMayKnowMore(left, c.req, verdict{outcome: c.outcome, upstream: upstream(c.of)}, c.nulls)
			for i, u := range left {
				for _, k := range kept {
					if k == u {
						got = append(got, i)
					}
				}
			}
			require.Equal(t, c.want, got)
		})
	}
}

// TestUpstream_IsSilentUntilAProbeGoesWell: a node on its way back may confirm
// what another one says, long before it is preferred again.
func TestUpstream_IsSilentUntilAProbeGoesWell(t *testing.T) {
	t.Parallel()

	u := &Upstream{health: newHealth()}
	now := time.Now()
	u.health.probesNeeded, u.health.cameBack = 2, now // it was down lately
	for range failuresToDrop {
		require.False(t, u.isSilent.Load())
		u.probed(now, false)
	}
	require.True(t, u.isSilent.Load())
	u.probed(now, true)
	require.True(t, u.isDown.Load())
	require.False(t, u.isSilent.Load())
	u.probed(now, false)
	require.True(t, u.isSilent.Load())
}
