package api

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What operates a node is not there, whichever way it is asked for; everything
// else that is unknown here goes on.
func TestRPC_ClosedNamespaces(t *testing.T) {
	t.Parallel()
	f, _ := withGateway(t, func(c *Config) { c.ForwardMethods = []string{"debug_traceTransaction", "perm_get*"} })
	conn := f.dial(t)
	for method, isOpen := range map[string]bool{
		"admin_peers": false, "debug_traceBlock": false, "debug_traceTransactions": false, "engine_newPayloadV4": false, "miner_start": false, "perm_addNodesToAllowlist": false,
		"personal_unlockAccount": false, "personal_sendTransaction": false, `\u0061dmin_peers`: false, "admin_": false,
		"debug_traceTransaction": true, "perm_getNodesAllowlist": true, "anvil_setBalance": true, "eth_chainId": true, "net_version": true, "adminx_peers": true, "whatever": true,
	} {
		call := `{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":[]}`
		write(t, conn, call)
		_, _, single := f.do(t, "POST", "/", call)
		_, _, batch := f.do(t, "POST", "/", "["+call+"]")
		for way, answer := range map[string]string{"single": single, "batch": batch, "socket": read(t, conn)} {
			if isOpen {
				require.Contains(t, answer, "from the gateway: "+method, way)
				continue
			}
			require.Contains(t, answer, `"code":-32601`, "%s by %s", method, way)
			require.Contains(t, answer, "does not exist/is not available", way)
		}
	}
	for _, name := range []string{"Method", `m\u0065thod`, `m\u0065thod\u0000`} {
		_, _, answer := f.do(t, "POST", "/", `{"jsonrpc":"2.0","id":1,"method":"eth_chainId","`+name+`":"admin_peers"}`)
		require.Contains(t, answer, `"code":-32600`, name)
	}
	status, _, answer := f.do(t, "POST", "/", `{"jsonrpc":"2.0","method":"admin_peers"}`)
	require.Equal(t, 204, status, answer)
}

func TestConfig_ForwardMethods(t *testing.T) {
	t.Parallel()
	cfg := Default()
	for name, isRight := range map[string]bool{
		"debug_traceTransaction": true, "debug_*": true, "perm_get*": true, "eth_call": false, "debug": false, "debug_": false, "*": false, "debug_*x": false, "": false,
	} {
		cfg.ForwardMethods = []string{name}
		if err := cfg.Validate(); isRight {
			require.NoError(t, err, name)
		} else {
			require.ErrorContains(t, err, "forwardMethods: ", name)
		}
	}
}
