package main

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestHear: blocks that are left out, told twice or not the chain's are seen.
func TestHear(t *testing.T) {
	t.Parallel()

	head := func(n int) string {
		return fmt.Sprintf(`{"method":"eth_subscription","params":{"result":{"number":"0x%x","hash":"0x%064x"}}}`, n, n+1)
	}
	log := func(n int) string {
		return fmt.Sprintf(`{"method":"eth_subscription","params":{"result":{"blockNumber":"0x%x","blockHash":"0x%064x"}}}`, n, n+1)
	}
	const subscribed = `{"jsonrpc":"2.0","id":1,"result":"0x1"}`
	for name, c := range map[string]struct {
		told  []string
		wrong []string
	}{
		"heads in order":  {told: []string{subscribed, head(7), head(8), head(9)}},
		"logs in order":   {told: []string{subscribed, log(7), log(8)}},
		"one twice":       {told: []string{head(7), head(7)}, wrong: []string{"x: 7 after 7"}},
		"one left out":    {told: []string{log(7), log(9), log(10)}, wrong: []string{"x: 9 after 7"}},
		"backwards":       {told: []string{head(8), head(7)}, wrong: []string{"x: 7 after 8"}},
		"another block":   {told: []string{`{"method":"eth_subscription","params":{"result":{"number":"0x7","hash":"0x7"}}}`}, wrong: []string{`x: {"method":"eth_subscription","params":{"result":{"number":"0x7","hash":"0x7"}}}`}},
		"no block":        {told: []string{`{"method":"eth_subscription","params":{"result":{}}}`}, wrong: []string{`x: {"method":"eth_subscription","params":{"result":{}}}`}},
		"not even a JSON": {told: []string{"{"}, wrong: []string{"x: {"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var seen tally
			var last sequence
			for _, text := range c.told {
				require.NoError(t, seen.hear("x", []byte(text), &last))
			}
			require.Equal(t, c.wrong, seen.wrong)
		})
	}
	require.EqualError(t, new(tally).hear("logs", []byte(`{"error":{"message":"no"}}`), new(sequence)), "subscribe to logs: no")
}
