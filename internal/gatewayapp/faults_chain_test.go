package gatewayapp_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/upstreams"
	"github.com/slipwayhq/slipway/internal/upstreams/upstreamtest"
)

// chainRounds is how many calls each case makes, ten of them for each new block.
const chainRounds = 300

// With two nodes, of which the preferred one shows an old or another chain, no
// client sees an old block, a foreign answer or an error. The cases run one
// after the other: they are about time.
func TestFaults_AnotherChainIsInvisible(t *testing.T) { //nolint:paralleltest // see above
	other := "0x" + strings.Repeat("ab", 32)
	cases := map[string]struct {
		spoil func(*upstreamtest.Node) // before the start
		lag   uint64
		// never: not one call may reach the broken node.
		never bool
	}{
		"50 blocks behind": {func(*upstreamtest.Node) {}, 50, false},
		"another chain id": {func(n *upstreamtest.Node) { n.SetChain(1, upstreamtest.Genesis) }, 0, true},
		"another block 0":  {func(n *upstreamtest.Node) { n.SetChain(upstreamtest.ChainID, other) }, 0, true},
	}
	for name, c := range cases { //nolint:paralleltest // see above
		t.Run(name, func(t *testing.T) {
			primary, second := upstreamtest.New(t), upstreamtest.New(t)
			head := uint64(1000)
			var asked atomic.Int64
			answer := func(n *upstreamtest.Node, result string) {
				n.AnswerFunc("eth_getBalance", func(string) upstreamtest.Answer {
					if n == primary {
						asked.Add(1)
					}
					return upstreamtest.Result(result)
				})
			}
			answer(primary, `"0xbad"`)
			answer(second, `"0x900d"`)
			second.SetHead(head)
			primary.SetHead(head - c.lag)
			c.spoil(primary)
			cfg := config(primary, second)
			cfg.Projects[0].Networks[0].Pool.Genesis = upstreamtest.Genesis
			app := start(t, cfg)

			highest := head
			for i := range chainRounds {
				if i%10 == 0 {
					head++
					second.SetHead(head)
					primary.SetHead(head - c.lag)
				}
				_, text := post(t, app, "/", balance)
				require.Contains(t, text, `"0x900d"`)
				_, text = post(t, app, "/", `{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber"}`)
				_, number, _ := strings.Cut(strings.TrimSuffix(text, `"}`), `"result":"0x`)
				seen, err := strconv.ParseUint(number, 16, 64)
				require.NoError(t, err, text)
				require.GreaterOrEqual(t, seen, highest, "the head goes back")
				highest = seen
				_, text = post(t, app, "/", fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"eth_getBlockByNumber","params":["0x%x",false]}`, seen))
				require.Contains(t, text, fmt.Sprintf(`"number":"0x%x"`, seen), "a block that was spoken of")
			}
			if c.never {
				require.Zero(t, asked.Load())
			}
		})
	}
}

// A node whose chain is swapped while it serves is found by the next look at
// its head, or at its chain id at the latest; from then on nothing of it is seen.
func TestFaults_ChainSwappedWhileServing(t *testing.T) { //nolint:paralleltest // it is about time
	other := "0x" + strings.Repeat("ab", 32)
	for name, swap := range map[string]func(*upstreamtest.Node){ //nolint:paralleltest // see above
		"another chain id":              func(n *upstreamtest.Node) { n.SetChain(1, upstreamtest.Genesis) },
		"another block 0, shorter":      func(n *upstreamtest.Node) { n.SetChain(upstreamtest.ChainID, other); n.SetHead(7) },
		"another chain id, much longer": func(n *upstreamtest.Node) { n.SetChain(1, other); n.SetHead(9_000_000) },
	} {
		t.Run(name, func(t *testing.T) {
			primary, second := upstreamtest.New(t), upstreamtest.New(t)
			primary.Answer("eth_getBalance", upstreamtest.Result(`"0x900d"`))
			second.Answer("eth_getBalance", upstreamtest.Result(`"0x900d"`))
			cfg := config(primary, second)
			app := start(t, cfg)
			_, text := post(t, app, "/", balance)
			require.Contains(t, text, `"0x900d"`)

			swap(primary)
			primary.Answer("eth_getBalance", upstreamtest.Result(`"0xbad"`))

			looks := 7 * cfg.Projects[0].Networks[0].Pool.PollInterval // five, and time to talk
			require.Eventually(t, func() bool {
				_, text := get(t, "http://"+app.AdminAddr()+"/upstreams")
				return strings.Contains(text, `"`+upstreams.Quarantined.String()+`"`)
			}, 10*looks, time.Millisecond)
			before := primary.Calls("eth_getBalance")
			for range 100 {
				status, text := post(t, app, "/", balance)
				require.Equal(t, http.StatusOK, status)
				require.Contains(t, text, `"0x900d"`)
			}
			require.Equal(t, before, primary.Calls("eth_getBalance"))
			_, text = post(t, app, "/", `{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber"}`)
			require.Contains(t, text, `"0x64"`, "its head counts for nothing")
		})
	}
}
