package gateway_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/gateway"
	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/upstreams/upstreamtest"
)

func TestStatic_FixedAnswersNeedNoNode(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, func(c *worldConfig) {
		c.network.Static = []gateway.StaticResponse{
			{Method: "eth_gasPrice", Result: []byte(`"0x0"`)},
			{Method: "eth_getBalance", Params: []byte(`["0xAB", "latest"]`), Result: []byte(`"0x7"`)},
			{Method: "eth_call", Params: []byte(`[{"to":"0x1"},"latest"]`), Error: &jsonrpc.Error{Code: 3, Message: "no", Data: []byte(`"0x08"`)}},
		}
	})
	w.nodes[0].Answer("eth_getBalance", upstreamtest.Result(`"0x1"`))
	for body, want := range map[string]string{
		`{"id":1,"method":"eth_gasPrice"}`:                                `{"jsonrpc":"2.0","id":1,"result":"0x0"}`,
		`{"id":1,"method":"eth_gasPrice","params":[]}`:                    `{"jsonrpc":"2.0","id":1,"result":"0x0"}`,
		`{"id":1,"method":"eth_getBalance","params":[ "0xab","latest"]}`:  `{"jsonrpc":"2.0","id":1,"result":"0x7"}`,
		`{"id":1,"method":"eth_getBalance","params":["0xac","latest"]}`:   `{"jsonrpc":"2.0","id":1,"result":"0x1"}`,
		`[{"id":1,"method":"eth_call","params":[{"to":"0x1"},"latest"]}]`: `[{"jsonrpc":"2.0","id":1,"error":{"code":3,"message":"no","data":"0x08"}}]`,
	} {
		require.Equal(t, want, w.send(t.Context(), http.MethodPost, "/", body).Body.String(), body)
	}
	require.Equal(t, 1, w.nodes[0].Calls("eth_getBalance"))
}

func TestStatic_Validate(t *testing.T) {
	t.Parallel()
	for text, r := range map[string]gateway.StaticResponse{
		"a method is needed":         {Result: []byte(`1`)},
		"a result or an error":       {Method: "m"},
		"the result is no JSON":      {Method: "m", Result: []byte(`{`)},
		"the parameters are no JSON": {Method: "m", Params: []byte(`[`), Result: []byte(`1`)},
	} {
		cfg := gateway.NetworkConfig{}
		cfg.Static = []gateway.StaticResponse{r}
		require.ErrorContains(t, cfg.Validate(), text)
	}
}
