package gatewayapp_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/upstreams/upstreamtest"
)

// TestApp_ServesWhatGraphNodeAsks sends what Graph Node reads a chain with, to the
// URL that the chart gives it, past a gateway that nobody has configured for it.
func TestApp_ServesWhatGraphNodeAsks(t *testing.T) {
	t.Parallel()
	hash := "0x" + strings.Repeat("ab", 32)
	call := `{"to":"0x0000000000000000000000000000000000000001","data":"0x70a08231"}`
	node := upstreamtest.New(t)
	app := start(t, config(node))
	for _, ask := range []struct{ method, params, result string }{
		{"net_version", `[]`, ""}, // answered by the gateway itself
		{"web3_clientVersion", `[]`, ""},
		{"eth_getBlockByNumber", `["0x0",false]`, ""},
		{"eth_getBlockByNumber", `["latest",false]`, ""},
		{"eth_getBlockByHash", `["` + hash + `",true]`, `{"number":"0x5"}`},
		{"eth_getTransactionReceipt", `["` + hash + `"]`, `{"blockNumber":"0x5"}`},
		{"eth_getBlockReceipts", `["` + hash + `"]`, `[{"blockNumber":"0x5"}]`},
		{"eth_getLogs", `[{"fromBlock":"0x1","toBlock":"0x2","topics":[["` + hash + `"]]}]`, `[]`},
		// Of old blocks, by number and by hash: what an archive is needed for.
		{"eth_call", `[` + call + `,"0x1"]`, `"0x01"`},
		{"eth_call", `[` + call + `,{"blockHash":"` + hash + `"}]`, `"0x02"`},
		{"eth_getBalance", `["0x0000000000000000000000000000000000000001","0x1"]`, `"0x03"`},
		{"eth_getCode", `["0x0000000000000000000000000000000000000001","0x1"]`, `"0x6001"`},
		{"trace_filter", `[{"fromBlock":"0x1","toBlock":"0x2"}]`, `[]`},
	} {
		if ask.result != "" {
			node.Answer(ask.method, upstreamtest.Result(ask.result))
		}
		for _, path := range []string{"/evm/31337", "/main/evm/31337"} {
			status, text := post(t, app, path, fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":%q,"params":%s}`, ask.method, ask.params))
			require.Equal(t, 200, status, ask.method)
			var answer struct{ Result, Error json.RawMessage }
			require.NoError(t, json.Unmarshal([]byte(text), &answer))
			require.Empty(t, answer.Error, "%s %s: %s", ask.method, ask.params, text)
			if ask.result != "" {
				require.JSONEq(t, ask.result, string(answer.Result), ask.method)
			}
		}
	}
	require.Contains(t, node.LastParams("eth_call"), hash, "the block it asked for, not the newest one")
	_, text := post(t, app, "/evm/31337", `[{"jsonrpc":"2.0","id":1,"method":"eth_getTransactionReceipt","params":["`+hash+`"]},{"jsonrpc":"2.0","id":2,"method":"eth_getTransactionReceipt","params":["`+hash+`"]}]`)
	require.Equal(t, 2, strings.Count(text, `"blockNumber":"0x5"`), text)
	status, text := post(t, app, "/evm/7", `{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber"}`)
	require.Equal(t, 404, status, "it cannot index another chain: %s", text)
}
