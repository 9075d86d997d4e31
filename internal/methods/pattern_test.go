package methods

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPattern(t *testing.T) {
	t.Parallel()

	cases := []struct {
		pattern, method string
		want            bool
	}{
		{"*", "eth_call", true},
		{"eth_call", "eth_call", true},
		{"eth_call", "eth_callMany", false},
		{"eth_getBlock*|eth_getTransaction*", "eth_getBlockByNumber", true},
		{"eth_getBlock* | eth_getTransaction*", "eth_getTransactionReceipt", true},
		{"eth_getBlock*|eth_getTransaction*", "eth_getBalance", false},
		{"*_trace*Tx*", "debug_traceMyTxNow", true},
		{"*_trace*Tx*", "debug_trace", false},
		{"a*b*c", "abcbc", true},
		{"!trace_*|debug_*", "debug_traceCall", false},
		{"!trace_*|debug_*", "eth_call", true},
	}
	for _, c := range cases {
		p, err := ParsePattern(c.pattern)
		require.NoError(t, err)
		require.Equal(t, c.want, p.Match(c.method), "%s %s", c.pattern, c.method)
		again, err := ParsePattern(p.String())
		require.NoError(t, err)
		require.Equal(t, p, again)
	}
	for _, bad := range []string{"", "|", "a|", "a|!b", "a & b", "(a)"} {
		_, err := ParsePattern(bad)
		require.Error(t, err, bad)
	}
	require.False(t, Pattern{}.Match("eth_call"))
}
