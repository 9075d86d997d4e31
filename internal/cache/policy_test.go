package cache

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/telemetry"
)

const hash = `"0x00000000000000000000000000000000000000000000000000000000000000ab"`

func TestPolicies_ByDefaultOnlyWhatCannotChange(t *testing.T) {
	t.Parallel()

	head := chain.Head{Latest: 120, Finalized: 100, IsKnown: true, HasFinalized: true}
	cases := map[string]struct {
		method, params, value string
		nodeHead              uint64
		lookedUp, kept        bool
	}{
		"final block":                    {"eth_getBlockByNumber", `["0x64",false]`, `{"number":"0x64"}`, 120, true, true},
		"block that may change":          {"eth_getBlockByNumber", `["0x65",false]`, `{"number":"0x65"}`, 120, false, false},
		"no such block":                  {"eth_getBlockByNumber", `["0x64",false]`, `null`, 120, true, false},
		"latest":                         {"eth_getBlockByNumber", `["latest",false]`, `{"number":"0x1"}`, 120, false, false},
		"final block by hash":            {"eth_getBlockByHash", `[` + hash + `,false]`, `{"number":"0x64"}`, 120, true, true},
		"young block by hash":            {"eth_getBlockByHash", `[` + hash + `,false]`, `{"number":"0x65"}`, 120, true, false},
		"final receipt":                  {"eth_getTransactionReceipt", `[` + hash + `]`, `{"blockNumber":"0x64"}`, 120, true, true},
		"young receipt":                  {"eth_getTransactionReceipt", `[` + hash + `]`, `{"blockNumber":"0x65"}`, 120, true, false},
		"no receipt":                     {"eth_getTransactionReceipt", `[` + hash + `]`, `null`, 120, true, false},
		"pending transaction":            {"eth_getTransactionByHash", `[` + hash + `]`, `{"blockNumber":null}`, 120, true, false},
		"final transaction":              {"eth_getTransactionByHash", `[` + hash + `]`, `{"blockNumber":"0x1"}`, 120, true, true},
		"state at a final block":         {"eth_getBalance", `["0xab","0x1"]`, `"0x0"`, 120, true, true},
		"state by a node without block":  {"eth_getBalance", `["0xab","0x64"]`, `"0x0"`, 99, true, false},
		"state at latest":                {"eth_getBalance", `["0xab","latest"]`, `"0x0"`, 120, false, false},
		"state without block":            {"eth_getBalance", `["0xab"]`, `"0x0"`, 120, false, false},
		"call at a final block":          {"eth_call", `[{},"0x1"]`, `"0x"`, 120, true, true},
		"call at a block hash":           {"eth_call", `[{},{"blockHash":` + hash + `}]`, `"0x"`, 120, false, false},
		"estimate":                       {"eth_estimateGas", `[{},"0x1"]`, `"0x5208"`, 120, false, false},
		"final range of logs":            {"eth_getLogs", `[{"fromBlock":"0x1","toBlock":"0x64"}]`, `[]`, 120, true, true},
		"young range of logs":            {"eth_getLogs", `[{"fromBlock":"0x1","toBlock":"0x65"}]`, `[]`, 120, false, false},
		"open range of logs":             {"eth_getLogs", `[{"fromBlock":"0x1"}]`, `[]`, 120, false, false},
		"logs of a final block":          {"eth_getLogs", `[{"blockHash":` + hash + `}]`, `[{"blockNumber":"0x64"}]`, 120, true, true},
		"no logs of a block":             {"eth_getLogs", `[{"blockHash":` + hash + `}]`, `[]`, 120, true, false},
		"gas price":                      {"eth_gasPrice", `[]`, `"0x1"`, 120, false, false},
		"a transaction sent":             {"eth_sendRawTransaction", `["0x01"]`, hash, 120, false, false},
		"a method nobody knows":          {"foo_bar", `["0x1"]`, `"0x1"`, 120, false, false},
		"uncles by number":               {"eth_getUncleCountByBlockNumber", `["0x1"]`, `"0x0"`, 120, true, true},
		"an answer that says no block":   {"eth_getBlockByHash", `[` + hash + `,false]`, `{}`, 120, true, false},
		"transaction by block and index": {"eth_getTransactionByBlockHashAndIndex", `[` + hash + `,"0x0"]`, `{"blockNumber":"0x64"}`, 120, true, true},
	}
	catalogue := methods.New()
	policies := NewPolicies(DefaultPolicies(), "main", "evm:1", catalogue)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			facts := catalogue.Describe(c.method, []byte(c.params))

			ask := Ask{Facts: facts, Params: []byte(c.params), Head: head, Newest: head.Latest}
			answer := Answer{Value: []byte(c.value), NodeHead: c.nodeHead}
			plan, lookedUp := policies.LookUp(ask)
			require.Equal(t, c.lookedUp, lookedUp)
			require.Equal(t, c.lookedUp, plan.Uses(InMemory) && plan.Uses(InRedis))
			plan, entry, kept := policies.Keep(ask, answer)
			require.Equal(t, c.kept, kept)
			if kept {
				require.Equal(t, Entry{Value: []byte(c.value), Number: entry.Number}, entry)
				require.Equal(t, NewPlan(0).ttl, plan.ttl, "for ever")
				require.Equal(t, NewPlan(0).uses, plan.uses, "everywhere")
			}
			ask.Head = chain.Head{}
			_, _, kept = policies.Keep(ask, answer)
			require.False(t, kept, "nothing is kept before a head is known")
		})
	}
}

func TestNewKey(t *testing.T) {
	t.Parallel()

	const genesis = "0xaabbccddeeff00112233445566778899"
	key := func(params string) Key { return NewKey("", 1, genesis, "eth_call", []byte(params)) }

	require.Equal(t, Key(`evm:1:0xaabbccddeeff0011:eth_call:["0xab",{"to":"0xcd"}]`), key(" [ \"0xAB\",\n{\"to\" : \"0xCD\"} ]"))
	require.Equal(t, key(`["0xab"]`), key(`["0xAb"]`))
	require.NotEqual(t, key(`["0xab"]`), key(`["0xac"]`))
	require.NotEqual(t, key(`["a b"]`), key(`["ab"]`), "white space inside texts counts")
	require.NotEqual(t, key(`["AB"]`), key(`["ab"]`), "only hex is written in one case")
	require.NotEqual(t, key(`["0xAG"]`), key(`["0xag"]`))
	require.Equal(t, Key(`evm:1:0xaabbccddeeff0011:eth_call:["\" 0xAB"]`), key(`[ "\" 0xAB" ]`))

	long := `["0x` + strings.Repeat("ab", 1000) + `"]`
	require.Less(t, len(key(long)), 150)
	require.Equal(t, key(long), key(" "+strings.Replace(long, "abab", "ABab", 1)))
	require.NotEqual(t, key(long), key(strings.Replace(long, "ab", "ac", 1)))

	require.NotEqual(t, NewKey("", 1, genesis, "m", nil), NewKey("", 2, genesis, "m", nil))
	require.NotEqual(t, NewKey("", 1, genesis, "m", nil), NewKey("", 1, "0x11", "m", nil), "the same chain id on another genesis is another chain")
}

// FuzzKey: texts that differ in white space have the same key, and the
// canonical form is JSON of the same meaning.
func FuzzKey(f *testing.F) {
	f.Add(`[ "0xAB" , {"a b": [1, 2e5]} ]`)
	f.Add(`["\" 0xAB","0x","0xZ"]`)
	f.Fuzz(func(t *testing.T, text string) {
		if !json.Valid([]byte(text)) {
			return
		}
		canonical := appendCanonical(nil, []byte(text))
		var indented bytes.Buffer
		if err := json.Indent(&indented, []byte(text), "  ", "\t"); err != nil {
			t.Fatal(err)
		}
		if NewKey("", 1, "", "m", []byte(text)) != NewKey("", 1, "", "m", indented.Bytes()) {
			t.Fatalf("white space changes the key of %q", text)
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if !strings.EqualFold(compact.String(), string(canonical)) {
			t.Fatalf("%q became %q", compact.String(), canonical)
		}
		if again := appendCanonical(nil, canonical); !bytes.Equal(again, canonical) {
			t.Fatalf("%q became %q", canonical, again)
		}
	})
}

func TestPolicy_AsMetricLabels(t *testing.T) {
	t.Parallel()

	pattern := func(text string) methods.Pattern {
		p, err := methods.ParsePattern(text)
		require.NoError(t, err)
		return p
	}
	all, err := NewMemory(1<<20, NewMetrics(telemetry.NewFactory()))
	require.NoError(t, err)
	require.Equal(t, "*/*/finalized", Policy{}.name())
	require.Equal(t, "evm:1/eth_getLogs|eth_call/realtime", Policy{Network: pattern("evm:1"), Method: pattern("eth_getLogs|eth_call"), Finality: Realtime}.name())
	for want, ttl := range map[string]TTL{"forever": {}, "5s": {Time: 5 * time.Second}, "1.5 blocks": {Time: time.Second, Blocks: 1.5}} {
		require.Equal(t, want, ttl.String())
	}

	// The policy that put a store into the plan is the one that is counted.
	policies := NewPolicies([]Policy{{Layers: []Layer{InRedis}}, {Empty: AllowEmpty, TTL: TTL{Time: time.Minute}}}, "main", "evm:1", methods.New())
	facts := methods.New().Describe("eth_getBlockByHash", []byte(`[`+hash+`,false]`))
	plan, ok := policies.LookUp(Ask{Facts: facts, Head: chain.Head{IsKnown: true}})
	require.True(t, ok)
	require.Equal(t, "forever", plan.series[InRedis].ttl)
	require.Equal(t, "1m0s", plan.series[InMemory].ttl)
	all.Get(t.Context(), "key", plan)
	require.NotNil(t, plan.series[InMemory].stores[InMemory].Load())
}
