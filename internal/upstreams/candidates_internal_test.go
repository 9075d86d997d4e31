package upstreams

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/methods"
)

func TestEndpoint_MayServe(t *testing.T) {
	t.Parallel()

	call, trace := []methods.Pattern{pattern(t, "eth_call")}, []methods.Pattern{pattern(t, "trace_*")}
	eth := []methods.Pattern{pattern(t, "eth_*")}
	cases := map[string]struct {
		allow, ignore []methods.Pattern
		call, trace   bool
	}{
		"nothing said":         {nil, nil, true, true},
		"ignored":              {nil, trace, true, false},
		"allow alone":          {call, nil, true, false},
		"allow overrides":      {call, eth, true, true},
		"ignored, not allowed": {trace, eth, false, true},
	}
	for name, c := range cases {
		e := Endpoint{Allow: c.allow, Ignore: c.ignore}
		require.Equal(t, c.call, e.mayServe("eth_call"), name)
		require.Equal(t, c.trace, e.mayServe("trace_block"), name)
	}
}

func TestSpread_GoesByWeightAndScore(t *testing.T) {
	t.Parallel()

	a, b, c := &Upstream{endpoint: Endpoint{Weight: 3}}, &Upstream{}, &Upstream{endpoint: Endpoint{Weight: 100}}
	random := rand.New(rand.NewPCG(1, 2))
	const rounds = 10_000
	count := func(ranks ...int64) (first map[*Upstream]int) {
		first = map[*Upstream]int{}
		for range rounds {
			list := []*Upstream{a, b, c}
			spread(list, ranks, question{}, random.Float64())
			require.ElementsMatch(t, []*Upstream{a, b, c}, list)
			first[list[0]]++
		}
		return first
	}
	alike := count(0, 0, rankFallback)
	require.InDelta(t, 0.75*rounds, alike[a], 200)
	require.InDelta(t, 0.25*rounds, alike[b], 200)
	require.Zero(t, alike[c], "another class has no share")
	slower := count(0, 2, rankDown)
	require.InDelta(t, 0.9*rounds, slower[a], 200, "3 against 1/3")
}

func TestAvailability(t *testing.T) {
	t.Parallel()

	catalogue := methods.New()
	at := func(method string, number uint64) methods.Facts {
		return methods.Facts{Method: catalogue.Find(method), Ref: methods.RefNumber, Number: number}
	}
	full := Availability{Lower: Bound{BehindLatest, 128}, StateOnly: true}
	pruned := Availability{Lower: Bound{AtBlock, 500}}
	delayed := Availability{Upper: Bound{BehindLatest, 10}}
	cases := map[string]struct {
		a      Availability
		method string
		number uint64
		want   bool
	}{
		"everything":                    {Availability{}, "eth_call", 0, true},
		"recent state":                  {full, "eth_call", 872, true},
		"old state":                     {full, "eth_call", 871, false},
		"an old trace needs the state":  {full, "trace_block", 871, false},
		"old blocks are there":          {full, "eth_getBlockByNumber", 1, true},
		"from a block on":               {pruned, "eth_getLogs", 500, true},
		"before it":                     {pruned, "eth_getLogs", 499, false},
		"up to some blocks behind":      {delayed, "eth_call", 990, true},
		"not the newest":                {delayed, "eth_call", 991, false},
		"a chain shorter than distance": {Availability{Lower: Bound{BehindLatest, 5000}}, "eth_call", 0, true},
	}
	for name, c := range cases {
		require.Equal(t, c.want, c.a.has(at(c.method, c.number), 1000), name)
	}
}

func TestSelector(t *testing.T) {
	t.Parallel()

	names := []string{"besu-0", "region:eu", "tier:fallback"}
	for text, want := range map[string]bool{
		"besu-0": true, "besu-1": false, "besu-*": true, "*eu": true, "r*:*": true, "b*u*9": false, "*": true,
		"!besu-0": false, "!besu-1": true, "besu-1|region:eu": true, "besu-0 & region:us": false,
		"besu-0&!region:us": true, "besu-1 | besu-0 & region:eu": true, "(besu-1 | besu-0) & region:us": false,
		"!(besu-1|region:us)": true, "!!besu-0": true, "tier:*": true, "region": false,
	} {
		s, err := parseSelector(text)
		require.NoError(t, err, text)
		require.Equal(t, want, s.matches(names), text)
	}
	for _, text := range []string{"!", "a|", "&a", "(a", "a)", "()", "a&&b", "a!b", string(make([]byte, 300)), "((((((((((((((((((a))))))))))))))))))"} {
		_, err := parseSelector(text)
		var bad *SelectorError
		require.ErrorAs(t, err, &bad, text)
	}
}

func FuzzParseSelector(f *testing.F) {
	for _, text := range []string{"a", "!a&(b|c*)", "((", "*|*", " a "} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseSelector(text)
		if err != nil {
			return
		}
		require.NotEqual(t, s.matches([]string{"a", "b"}), selectNot{s}.matches([]string{"a", "b"}))
	})
}

func TestSelectorCache_IsBounded(t *testing.T) {
	t.Parallel()

	var c selectorCache
	list := []*Upstream{{id: "a"}, {id: "b"}}
	for i := range 3 * maxSelectors {
		chosen, err := c.of("b|x"+string(rune('a'+i%26))+string(rune('A'+i/26)), list)
		require.NoError(t, err)
		require.Equal(t, []bool{false, true}, chosen)
	}
	require.LessOrEqual(t, len(c.chosen), maxSelectors)
}

func TestRefusals_UnknownMethodsAreBounded(t *testing.T) {
	t.Parallel()

	unknown := methods.New().Find("foo_bar")
	r := refusals{}
	for i := range 3 * maxRefusals {
		q := question{method: "foo_" + string(rune('a'+i)), facts: methods.Facts{Method: unknown}}
		r.note(q, []byte(`{"code":-32601,"message":"no"}`))
		require.True(t, r.holds(q))
		q.now += refusalHolds
		require.False(t, r.holds(q), "it is tried again some day")
	}
	require.LessOrEqual(t, len(r.others), maxRefusals)
}

func TestIsMethodRefusal(t *testing.T) {
	t.Parallel()

	for text, want := range map[string]bool{
		"": false, `{"code":-32601,"message":"x"}`: true, `{"code":-32604,"message":"Method not enabled"}`: true,
		`{"code":-32000,"message":"Method not found"}`:                                 true,
		`{"code":-32005,"message":"Number of requests exceeds max batch size"}`:        false,
		`{"code":-32005,"message":"Requested range exceeds maximum RPC range limit"}`:  false,
		`{"code":-32002,"message":"Transaction pool not enabled because out of sync"}`: false,
		`{"code":-32000,"message":"state is not available"}`:                           false,
	} {
		require.Equal(t, want, isMethodRefusal([]byte(text)), text)
	}
}
