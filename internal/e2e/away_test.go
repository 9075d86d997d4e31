package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/devnet"
)

// With every node away reads fail clearly, and what is sent waits and is
// executed once a node is back.
func TestEveryNodeAway(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	from, to := senders(t)[0].Hex(), common.HexToAddress("0xdead").Hex()
	setAll := func(mode devnet.Mode) {
		for _, u := range s.upstreams {
			u.Set(mode)
		}
	}
	get := func(path string) string {
		resp, err := s.client.Get(s.signer.url + path) //nolint:noctx // the client has a timeout
		require.NoError(t, err)
		defer resp.Body.Close()
		var body strings.Builder
		require.NoError(t, resp.Write(&body))
		return body.String()
	}

	setAll(devnet.Refuse)
	status, answer, err := post(t.Context(), s.client, s.gateway, `{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":["`+from+`","latest"]}`, "")
	require.NoError(t, err)
	require.Equal(t, http.StatusServiceUnavailable, status, "%s", answer)
	require.Contains(t, string(answer), `"code":-32002`)
	for i := range 3 {
		status, answer, err = post(t.Context(), s.client, s.signer.url+"/v1/transactions",
			fmt.Sprintf(`{"from":"%s","to":"%s","data":"%s"}`, from, to, marker(i)), fmt.Sprintf("away-%d", i))
		require.NoError(t, err)
		require.Equal(t, http.StatusAccepted, status, "%s", answer)
	}
	waitUntil(t, func() bool {
		return strings.Count(get("/v1/transactions"), `"status":"queued","substatus":"node_unreachable"`) > 0
	})

	setAll(devnet.Pass)
	waitUntil(t, func() bool { return strings.Count(get("/v1/transactions"), `"status":"confirmed"`) == 3 })

	onChain := s.readChain(t)
	for i := range 3 {
		require.Len(t, onChain.byMarker[marker(i)], 1)
	}
	var nonce hexutil.Uint64
	s.rpc(t, s.gateway, "eth_getTransactionCount", `["`+from+`","latest"]`, &nonce)
	require.EqualValues(t, 3, nonce)
}
