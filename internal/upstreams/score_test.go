package upstreams

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/telemetry"
)

func TestScore_Weighed(t *testing.T) {
	t.Parallel()

	s := score{failures: 8, throttled: 2, latency: 3}
	cases := map[string]struct {
		weights Weights
		behind  uint64
		want    int64
	}{
		"as usual":                 {usualWeights(), 5, 13},
		"failures count more":      {Weights{Failures: 2, Throttled: 1, Latency: 1}, 0, 21},
		"latency does not count":   {Weights{Failures: 1, Throttled: 1}, 0, 10},
		"throttling counts half":   {Weights{Failures: 1, Throttled: 0.5, Latency: 1}, 0, 12},
		"a block behind costs two": {Weights{Failures: 1, Throttled: 1, Latency: 1, Lag: 2}, 3, 19},
		"never beyond its bits":    {Weights{Lag: 1000}, 1 << 40, maxScore},
	}
	for name, c := range cases {
		require.Equal(t, c.want, s.weighed(c.weights, c.behind), name)
	}
	got, isKnown := unpack(s.pack())
	require.True(t, isKnown)
	require.Equal(t, s, got)
	_, isKnown = unpack(0)
	require.False(t, isKnown)
	_, isKnown = unpack(score{}.pack())
	require.True(t, isKnown, "a perfect score is one")
}

func TestEmphasis_TheFirstThatNamesAThingHolds(t *testing.T) {
	t.Parallel()

	c := methods.New()
	two, three, none, ten := 2.0, 3.0, 0.0, 10.0
	u := &Upstream{multipliers: make([][]Multiplier, c.Len()), endpoint: Endpoint{Multipliers: []Multiplier{
		{Methods: pattern(t, "eth_getLogs"), Latency: &none},
		{Methods: pattern(t, "eth_*"), Finalities: []Finality{Finalized}, Failures: &three, Share: &three},
		{Methods: pattern(t, "*"), Latency: &two, Share: &two},
	}}}
	for _, m := range c.All() {
		u.multipliers[m.Index] = multipliersOf(u.endpoint.Multipliers, m.Name)
	}
	of := func(method string, finality Finality) emphasis {
		return u.emphasisFor(question{method: method, facts: methods.Facts{Method: c.Find(method)}, finality: finality})
	}
	require.Equal(t, emphasis{2, Weights{1, 1, 0, 0}}, of("eth_getLogs", Realtime))
	require.Equal(t, emphasis{3, Weights{3, 1, 0, 0}}, of("eth_getLogs", Finalized))
	require.Equal(t, emphasis{3, Weights{3, 1, 2, 0}}, of("eth_getBalance", Finalized))
	require.Equal(t, emphasis{2, Weights{1, 1, 2, 0}}, of("trace_block", Finalized))
	require.Equal(t, emphasis{2, Weights{1, 1, 2, 0}}, of("foo_bar", Realtime), "methods nobody knows, too")
	u.endpoint.Weight = ten
	require.InDelta(t, ten, of("eth_getBalance", Finalized).share, 0, "the weight of the node wins")
}

func TestScoreFor_TakesWhatIsKnownOfTheMethod(t *testing.T) {
	t.Parallel()

	c := methods.New()
	call, balance := c.Find("eth_call"), c.Find("eth_getBalance")
	u := &Upstream{
		health: newHealth(), methods: make([]methodHealth, c.Len()), metrics: newMetrics(telemetry.NewFactory()).of("main", "evm:1", "a"),
		multipliers: make([][]Multiplier, c.Len()), methodScores: make([]atomic.Uint64, c.Len()),
	}
	for range 20 {
		u.record(start, time.Millisecond, OutcomeOK, 1, balance)
		u.record(start, 2*time.Second, OutcomeOK, 1, call)
		u.record(start, time.Millisecond, OutcomeRateLimited, 1, call)
	}
	q := func(m *methods.Method) question { return question{method: m.Name, facts: methods.Facts{Method: m}} }
	require.Equal(t, int64(6+4), u.scoreFor(q(call)), "a third of all requests throttled, and its own latency")
	require.Equal(t, int64(6), u.scoreFor(q(balance)))

	latencyOnly := Multiplier{Methods: pattern(t, "*"), Throttled: new(float64)}
	u.endpoint.Multipliers = []Multiplier{latencyOnly}
	u.multipliers[call.Index] = u.endpoint.Multipliers
	require.Equal(t, int64(4), u.scoreFor(q(call)))
}
