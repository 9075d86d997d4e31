package methods_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/methods"
)

func TestPinLatest(t *testing.T) {
	t.Parallel()

	const number = 0x64
	cases := map[string]struct{ method, params, want string }{
		"state":                       {"eth_getBalance", `["0xab", "latest"]`, `["0xab", "0x64"]`},
		"storage":                     {"eth_getStorageAt", `["0xab","0x0","latest"]`, `["0xab","0x0","0x64"]`},
		"count":                       {"eth_getTransactionCount", `["0xab","latest"]`, `["0xab","0x64"]`},
		"pending count":               {"eth_getTransactionCount", `["0xab","pending"]`, ``},
		"block":                       {"eth_getBlockByNumber", `["latest",false]`, `["0x64",false]`},
		"call":                        {"eth_call", `[{"to":"0xcd"},"latest"]`, `[{"to":"0xcd"},"0x64"]`},
		"call with overrides":         {"eth_call", `[{},"latest",{}]`, `[{},"0x64",{}]`},
		"call without block":          {"eth_call", `[{"to":"0xcd"}]`, `[{"to":"0xcd"},"0x64"]`},
		"call without block, spaced":  {"eth_call", `[ {"to":"0xcd"} ] `, `[ {"to":"0xcd"} ,"0x64"]`},
		"call with null":              {"eth_call", `[{},null]`, `[{},"0x64"]`},
		"call without anything":       {"eth_call", `[]`, ``},
		"call by EIP-1898":            {"eth_call", `[{},{"blockNumber":"latest"}]`, `[{},{"blockNumber":"0x64"}]`},
		"call at a hash":              {"eth_call", `[{},{"blockHash":"0xab"}]`, ``},
		"call at a number":            {"eth_call", `[{},"0x1"]`, ``},
		"balance without block":       {"eth_getBalance", `["0xab"]`, ``}, // an error, which the caller shall see
		"estimate":                    {"eth_estimateGas", `[{},"latest"]`, ``},
		"logs from number":            {"eth_getLogs", `[{"fromBlock":"0x1","toBlock":"latest"}]`, `[{"fromBlock":"0x1","toBlock":"0x64"}]`},
		"logs, open end":              {"eth_getLogs", `[{"fromBlock":"0x1"}]`, `[{"toBlock":"0x64","fromBlock":"0x1"}]`},
		"logs of the newest block":    {"eth_getLogs", `[{"address":"0xab"}]`, `[{"toBlock":"0x64","fromBlock":"0x64","address":"0xab"}]`},
		"logs without filter members": {"eth_getLogs", `[{ }]`, `[{"toBlock":"0x64","fromBlock":"0x64" }]`},
		"logs, both latest":           {"eth_getLogs", `[{"fromBlock":"latest","toBlock":"latest"}]`, `[{"fromBlock":"0x64","toBlock":"0x64"}]`},
		"logs, null":                  {"eth_getLogs", `[{"fromBlock":null,"toBlock":"latest"}]`, `[{"fromBlock":"0x64","toBlock":"0x64"}]`},
		"logs from the future":        {"eth_getLogs", `[{"fromBlock":"0x65","toBlock":"latest"}]`, ``},
		"logs from pending":           {"eth_getLogs", `[{"fromBlock":"pending","toBlock":"latest"}]`, ``},
		"logs to pending":             {"eth_getLogs", `[{"fromBlock":"latest","toBlock":"pending"}]`, ``},
		"logs of a block":             {"eth_getLogs", `[{"blockHash":"0xab"}]`, ``},
		"logs from nonsense":          {"eth_getLogs", `[{"fromBlock":7,"toBlock":"latest"}]`, ``},
		"receipt":                     {"eth_getTransactionReceipt", `["0xab"]`, ``},
		"parameters by name":          {"eth_call", `{"block":"latest"}`, ``},
		"not known":                   {"foo_bar", `["latest"]`, ``},
	}
	catalogue := methods.New()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			facts := catalogue.Describe(c.method, []byte(c.params))
			before := c.params
			got, ok := facts.PinLatest([]byte(c.params), number)
			require.Equal(t, before, c.params)
			require.Equal(t, c.want != "", ok)
			if ok {
				require.Equal(t, c.want, string(got))
				require.True(t, json.Valid(got))
				again := catalogue.Describe(c.method, got)
				require.Equal(t, methods.RefNumber, again.Ref)
				require.EqualValues(t, number, again.Number)
			}
		})
	}
}

// FuzzPinLatest: what is pinned is JSON again, and names the block by number.
func FuzzPinLatest(f *testing.F) {
	for _, params := range []string{`[{},"latest"]`, `[{"fromBlock":"0x1"}]`, `[ { } ]`, `[{},null]`, `[{}]`} {
		f.Add("eth_call", params)
		f.Add("eth_getLogs", params)
	}
	catalogue := methods.New()
	f.Fuzz(func(t *testing.T, method, params string) {
		if !json.Valid([]byte(params)) {
			return
		}
		facts := catalogue.Describe(method, []byte(params))
		got, ok := facts.PinLatest([]byte(params), 100)
		if !ok {
			return
		}
		require.True(t, json.Valid(got), "%s", got)
		require.Equal(t, methods.RefNumber, catalogue.Describe(method, got).Ref, "%s", got)
	})
}
