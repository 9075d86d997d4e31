package upstreams

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/methods"
)

func pattern(t *testing.T, text string) methods.Pattern {
	t.Helper()
	p, err := methods.ParsePattern(text)
	require.NoError(t, err)
	return p
}

func TestFinalityOf(t *testing.T) {
	t.Parallel()

	c := methods.New()
	head := chain.Head{Latest: 100, IsKnown: true, Finalized: 90, HasFinalized: true}
	cases := []struct {
		method, params string
		want           Finality
	}{
		{"eth_getBlockByNumber", `["0x5a",false]`, Finalized},
		{"eth_getBlockByNumber", `["0x5b",false]`, Unfinalized},
		{"eth_getBlockByNumber", `["finalized",false]`, Finalized},
		{"eth_getBlockByNumber", `["latest",false]`, Realtime},
		{"eth_call", `[{}]`, Realtime},
		{"eth_gasPrice", `[]`, Realtime},
		{"eth_getTransactionReceipt", `["0x01"]`, UnknownBlock},
	}
	for _, tc := range cases {
		require.Equal(t, tc.want, finalityOf(c.Describe(tc.method, []byte(tc.params)), head), "%s %s", tc.method, tc.params)
	}
	require.Equal(t, Unfinalized, finalityOf(c.Describe("eth_getBlockByNumber", []byte(`["0x1",false]`)), chain.Head{}))
}

func TestFailsafes_TheFirstRuleThatMeansACallHolds(t *testing.T) {
	t.Parallel()

	c := methods.New()
	second, minute, one, none := time.Second, time.Minute, 1, 0
	f := newFailsafes(DefaultFailsafe(), []Rule{
		{Methods: pattern(t, "eth_getBlock*"), Finalities: []Finality{Finalized}, Timeout: &minute},
		{Methods: pattern(t, "eth_getBlock*|eth_call"), Timeout: &second, Rounds: &one},
		{Methods: pattern(t, "custom_*"), MaxHedges: &none},
	}, c)
	head := chain.Head{Latest: 100, IsKnown: true, Finalized: 90, HasFinalized: true}
	of := func(method, params string) Failsafe {
		return f.of(Request{Method: method, Facts: c.Describe(method, []byte(params))}, head)
	}

	require.Equal(t, minute, of("eth_getBlockByNumber", `["0x1",false]`).Timeout)
	newest := of("eth_getBlockByNumber", `["latest",false]`)
	require.Equal(t, second, newest.Timeout)
	require.Equal(t, second, newest.AttemptTimeout, "an attempt never outlasts its call")
	require.Equal(t, 1, newest.Rounds)
	require.Equal(t, 2, newest.MaxHedges, "what a rule leaves out is inherited")
	require.Equal(t, DefaultFailsafe(), of("eth_getBalance", `["0x1","latest"]`))
	require.Zero(t, of("custom_method", `[]`).MaxHedges, "unknown methods are matched by their own name")
	require.Equal(t, DefaultFailsafe(), of("other_method", `[]`))
}

func TestHeavyRules_GrantTime(t *testing.T) {
	t.Parallel()

	c := methods.New()
	twelve := 12 * time.Second
	of := func(rules []Rule, method string) Failsafe {
		return newFailsafes(DefaultFailsafe(), rules, c).of(Request{Method: method, Facts: c.Describe(method, []byte("[]"))}, chain.Head{})
	}
	require.Equal(t, 60*time.Second, of(nil, "eth_getLogs").Timeout)
	require.Equal(t, 90*time.Second, of(nil, "debug_traceTransaction").AttemptTimeout)
	require.Zero(t, of(nil, "trace_block").MaxHedges)
	require.Equal(t, twelve, of([]Rule{{Methods: pattern(t, "*"), Timeout: &twelve}}, "trace_block").Timeout, "a configured rule comes first")
	require.Zero(t, of([]Rule{{Methods: pattern(t, "*"), Timeout: &twelve}}, "trace_block").MaxHedges, "and inherits from the heavy one")
	for _, r := range HeavyRules() {
		require.NotEmpty(t, r.Methods.String())
	}
}

func TestFailsafe_PauseGrowsUpToItsLimit(t *testing.T) {
	t.Parallel()

	f := Failsafe{Pause: 100 * time.Millisecond, PauseFactor: 2, PauseMax: 300 * time.Millisecond}
	require.Equal(t, []time.Duration{100e6, 200e6, 300e6, 300e6}, []time.Duration{f.pause(2), f.pause(3), f.pause(4), f.pause(5)})
	f.PauseJitter = 50 * time.Millisecond
	for range 100 {
		require.GreaterOrEqual(t, f.pause(2), 100*time.Millisecond)
		require.Less(t, f.pause(2), 150*time.Millisecond)
	}
}

func TestFailsafe_ReportsEverythingAtOnce(t *testing.T) {
	t.Parallel()

	require.NoError(t, DefaultFailsafe().validate("x"))
	err := Failsafe{Pause: -1}.validate("rule 3")
	for _, part := range []string{"rule 3: timeout", "attempt timeout", "hedge minimum", "hedge maximum", "pauses", "pause factor", "rounds"} {
		require.ErrorContains(t, err, part)
	}
}
