package gatewayapp_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/upstreams/upstreamtest"
)

// What the operator knows of a method makes it a read: it is tried at the next
// node, and what cannot change is kept.
func TestApp_DefinedMethodsAreReadsOfTheirNetwork(t *testing.T) {
	t.Parallel()

	first, second := upstreamtest.New(t), upstreamtest.New(t)
	for _, method := range []string{"ours_balance", "ours_unknown"} {
		first.SetFault(method, upstreamtest.ServerDown)
		second.Answer(method, upstreamtest.Result(`"0x1"`))
	}
	cfg := config(first, second)
	cfg.Projects[0].Networks[0].Methods = []methods.Definition{{Name: "ours_balance", Block: &methods.BlockRef{Position: 1}}}
	app := start(t, cfg)

	_, text := post(t, app, "/", `{"jsonrpc":"2.0","id":1,"method":"ours_unknown","params":["a","0x5"]}`)
	require.Contains(t, text, `"error"`, "a method nobody knows is sent once")
	for range 3 {
		status, text := post(t, app, "/", `{"jsonrpc":"2.0","id":1,"method":"ours_balance","params":["a","0x5"]}`)
		require.Equal(t, 200, status, text)
		require.Contains(t, text, `"result":"0x1"`)
	}
	require.Equal(t, 1, second.Calls("ours_balance"), "block 5 is final")
	_, text = post(t, app, "/", `{"jsonrpc":"2.0","id":1,"method":"ours_balance","params":["a","0xffffff"]}`)
	require.Contains(t, text, `"result":"0x1"`)
	_, _ = post(t, app, "/", `{"jsonrpc":"2.0","id":1,"method":"ours_balance","params":["a","0xffffff"]}`)
	require.Equal(t, 3, second.Calls("ours_balance"), "a block that is not there yet is not")
}
