package gateway_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/upstreams/upstreamtest"
)

// A piece whose block no node has is not answered with the whole search, which
// is what the client had asked for at "latest": its logs would be there twice.
func TestSplit_APieceIsNeverTheWholeSearch(t *testing.T) {
	t.Parallel()

	w := newWorld(t, 1, func(c *worldConfig) {
		c.network.LatestMaxAge = time.Minute
		c.network.Search.Logs.Chunk = 10
	})
	var whole, pieces atomic.Int32
	w.nodes[0].AnswerFunc("eth_getLogs", func(params string) upstreamtest.Answer {
		if strings.Contains(params, "latest") {
			whole.Add(1)
			return upstreamtest.Result("[]")
		}
		pieces.Add(1)
		return upstreamtest.Error(-32602, "block range extends beyond current head block")
	})

	got := w.post(t, `{"id":1,"method":"eth_getLogs","params":[{"fromBlock":"0x1","toBlock":"latest"}]}`)

	require.Contains(t, got.Body.String(), "extends beyond")
	require.Positive(t, pieces.Load())
	require.Zero(t, whole.Load())
}
