package gateway_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/upstreams/upstreamtest"
)

// logSet is a set of logs and the limits with which a node searches it.
type logSet struct {
	logs                 []testLog
	maxRange, maxResults int // 0: none
	maxAddresses         int
}

type testLog struct {
	Address string   `json:"address"`
	Topics  []string `json:"topics"`
	Block   string   `json:"blockNumber"`
	Index   string   `json:"logIndex"`

	block uint64
}

type logFilter struct {
	FromText string `json:"fromBlock"`
	ToText   string `json:"toBlock"`
	Address  any    `json:"address"`
	Topics   []any  `json:"topics"`
}

// search does what a node does.
func (s logSet) search(params string) upstreamtest.Answer {
	var filters []logFilter
	if err := json.Unmarshal([]byte(params), &filters); err != nil {
		return upstreamtest.Error(-32602, err.Error())
	}
	f := filters[0]
	var from, to uint64
	_, _ = fmt.Sscanf(f.FromText, "0x%x", &from)
	_, _ = fmt.Sscanf(f.ToText, "0x%x", &to)
	if s.maxRange > 0 && to-from >= uint64(s.maxRange) {
		return upstreamtest.Error(-32005, "Requested range exceeds maximum RPC range limit")
	}
	if list, ok := f.Address.([]any); ok && s.maxAddresses > 0 && len(list) > s.maxAddresses {
		return upstreamtest.Error(-32000, "exceed max addresses or topics per search position")
	}
	found := []testLog{}
	for _, l := range s.logs {
		if l.block >= from && l.block <= to && isIn(f.Address, l.Address) && (len(f.Topics) == 0 || isIn(f.Topics[0], l.Topics[0])) {
			found = append(found, l)
		}
	}
	if s.maxResults > 0 && len(found) > s.maxResults {
		return upstreamtest.Error(-32005, fmt.Sprintf("query returned more than %d results", s.maxResults))
	}
	text, _ := json.Marshal(found)
	return upstreamtest.Result(string(text))
}

func isIn(wanted any, value string) bool {
	switch w := wanted.(type) {
	case nil:
		return true
	case string:
		return w == value
	case []any:
		for _, one := range w {
			if one == value {
				return true
			}
		}
	}
	return false
}

func randomLogs(random *rand.Rand, blocks uint64) []testLog {
	var logs []testLog
	for block := range blocks {
		for index := range random.IntN(6) {
			logs = append(logs, testLog{
				Address: fmt.Sprintf("0x%040x", random.IntN(4)), Topics: []string{fmt.Sprintf("0x%064x", random.IntN(4))},
				Block: fmt.Sprintf("0x%x", block), Index: fmt.Sprintf("0x%x", index), block: block,
			})
		}
	}
	return logs
}

func randomFilter(random *rand.Rand, blocks uint64) string {
	from := random.Uint64N(blocks)
	filter := map[string]any{"fromBlock": fmt.Sprintf("0x%x", from), "toBlock": fmt.Sprintf("0x%x", from+random.Uint64N(blocks-from))}
	var some []string
	for i := range random.IntN(5) {
		some = append(some, fmt.Sprintf("0x%040x", i))
	}
	if len(some) > 0 {
		filter["address"] = some
	}
	if random.IntN(2) == 0 {
		filter["topics"] = []any{[]string{fmt.Sprintf("0x%064x", 0), fmt.Sprintf("0x%064x", 1), fmt.Sprintf("0x%064x", 1)}}
	}
	text, _ := json.Marshal([]any{filter})
	return string(text)
}

// TestSplit_EqualsTheWhole: whatever the limits of a node are, a search that is
// asked for in pieces gives what a node without limits gives.
func TestSplit_EqualsTheWhole(t *testing.T) {
	t.Parallel()

	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 7))
			const blocks = upstreamtest.Head + 1
			unlimited := logSet{logs: randomLogs(random, blocks)}
			w := newWorld(t, 1, func(c *worldConfig) {
				c.network.Search.Logs.Chunk = random.Uint64N(20)
				c.RequestTimeout = time.Minute
			})
			for range 8 {
				limited := unlimited
				limited.maxRange, limited.maxResults, limited.maxAddresses = random.IntN(12), 6+random.IntN(20), random.IntN(3)
				w.nodes[0].AnswerFunc("eth_getLogs", limited.search)
				params := randomFilter(random, blocks)

				answer := w.send(t.Context(), http.MethodPost, "/", `{"id":1,"method":"eth_getLogs","params":`+params+`}`)

				isEqual := `{"jsonrpc":"2.0","id":1,"result":`+unlimited.search(params).Result+`}` == answer.Body.String()
				require.True(t, isEqual, "%s: %.200s", params, answer.Body.String())
			}
		})
	}
}

func TestSplit_PiecesAreSharedThroughTheCache(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, func(c *worldConfig) { c.network.Search.Logs.Chunk = 10 })
	w.nodes[0].Answer("eth_getLogs", upstreamtest.Result(`[]`))

	w.send(t.Context(), http.MethodPost, "/", `{"id":1,"method":"eth_getLogs","params":[{"fromBlock":"0x0","toBlock":"0x1d"}]}`)
	require.Equal(t, 3, w.nodes[0].Calls("eth_getLogs"))
	answer := w.send(t.Context(), http.MethodPost, "/", `{"id":1,"method":"eth_getLogs","params":[{"toBlock":"0x1d","fromBlock":"0x5"}]}`)

	require.Equal(t, `{"jsonrpc":"2.0","id":1,"result":[]}`, answer.Body.String())
	require.Equal(t, 4, w.nodes[0].Calls("eth_getLogs"), "only the piece that begins elsewhere is new")
	require.Contains(t, w.metrics(t), `gateway_splits_total{cause="range",method="eth_getLogs",network="evm:31337",project="main"} 2`)
}

func TestSplit_OneFailingPieceFailsAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, func(c *worldConfig) { c.network.Search.Logs.Chunk = 10 })
	w.nodes[0].AnswerFunc("eth_getLogs", func(params string) upstreamtest.Answer {
		if strings.Contains(params, `"fromBlock":"0xa"`) {
			return upstreamtest.Error(-32602, "Invalid topics")
		}
		return upstreamtest.Result(`[]`)
	})

	answer := w.send(t.Context(), http.MethodPost, "/", `{"id":1,"method":"eth_getLogs","params":[{"fromBlock":"0x0","toBlock":"0x1d"}]}`)

	require.Equal(t, `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"Invalid topics"}}`, answer.Body.String())
}

func TestSplit_ANodeThatFindsEverythingTooLargeIsNotAskedForEver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, func(c *worldConfig) { c.network.Search.Logs.Chunk = 0 })
	w.nodes[0].SetHead(1 << 20)
	w.nodes[0].Answer("eth_getLogs", upstreamtest.Error(-32005, "query returned more than 10000 results"))

	answer := w.send(t.Context(), http.MethodPost, "/", `{"id":1,"method":"eth_getLogs","params":[{"fromBlock":"0x0","toBlock":"0x7500"}]}`)

	require.Contains(t, answer.Body.String(), "query returned more than 10000 results")
	require.Less(t, w.nodes[0].Calls("eth_getLogs"), 1200)
}

func TestSplit_TheMergedAnswerIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, func(c *worldConfig) {
		c.network.Search.Logs.Chunk = 10
		c.network.Search.MaxBytes = 1000
	})
	w.nodes[0].Answer("eth_getLogs", upstreamtest.Result(`["`+strings.Repeat("x", 400)+`"]`))

	answer := w.send(t.Context(), http.MethodPost, "/", `{"id":1,"method":"eth_getLogs","params":[{"fromBlock":"0x0","toBlock":"0x1d"}]}`)

	require.Equal(t, `{"jsonrpc":"2.0","id":1,"error":{"code":-32012,"message":"the answer is larger than 1000 bytes: ask for less at a time"}}`, answer.Body.String())
	require.Equal(t, http.StatusOK, answer.Code)
}

func TestSplit_LongSearchesInABatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, func(c *worldConfig) { c.network.Search.Logs.Chunk = 50 })
	set := logSet{logs: randomLogs(rand.New(rand.NewPCG(1, 1)), 100), maxRange: 50}
	w.nodes[0].AnswerFunc("eth_getLogs", set.search)
	w.nodes[0].Answer("eth_gasPrice", upstreamtest.Result(`"0x1"`))

	answer := w.send(t.Context(), http.MethodPost, "/", `[{"id":1,"method":"eth_getLogs","params":[{"fromBlock":"0x0","toBlock":"0x63"}]},`+
		`{"id":2,"method":"eth_gasPrice"},{"id":3,"method":"eth_getLogs","params":[{"fromBlock":"0x0","toBlock":"0xffffff"}]}]`)

	elements := jsonrpc.Elements(answer.Body.Bytes())
	require.Len(t, elements, 3)
	want, err := json.Marshal(set.logs)
	require.NoError(t, err)
	require.Equal(t, `{"jsonrpc":"2.0","id":1,"result":`+string(want)+`}`, string(elements[0]))
	require.Contains(t, string(elements[2]), "at most 30000 are allowed")
}

func TestSplit_AnOpenRangeIsCutWhenANodeFindsItTooLarge(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, nil)
	set := logSet{logs: randomLogs(rand.New(rand.NewPCG(2, 1)), upstreamtest.Head+1), maxRange: 30}
	w.nodes[0].AnswerFunc("eth_getLogs", func(params string) upstreamtest.Answer {
		if strings.Contains(params, "latest") {
			return upstreamtest.Error(-32005, "Requested range exceeds maximum RPC range limit")
		}
		return set.search(params)
	})

	answer := w.send(t.Context(), http.MethodPost, "/", `{"id":1,"method":"eth_getLogs","params":[{"fromBlock":"earliest","toBlock":"latest"}]}`)

	want, err := json.Marshal(set.logs)
	require.NoError(t, err)
	require.Equal(t, `{"jsonrpc":"2.0","id":1,"result":`+string(want)+`}`, answer.Body.String())
}

func TestSplit_TheNextBlockIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, func(c *worldConfig) { c.RequestTimeout = 10 * time.Second })
	w.nodes[0].AnswerFunc("eth_getLogs", func(string) upstreamtest.Answer { return upstreamtest.Result("[]") })
	done := make(chan string)
	go func() {
		done <- w.send(t.Context(), http.MethodPost, "/", `{"id":1,"method":"eth_getLogs","params":[{"fromBlock":"0x65","toBlock":"0x65"}]}`).Body.String()
	}()
	require.Never(t, func() bool { return w.nodes[0].Calls("eth_getLogs") > 0 }, 100*time.Millisecond, 10*time.Millisecond)
	w.nodes[0].SetHead(101)
	require.Equal(t, `{"jsonrpc":"2.0","id":1,"result":[]}`, <-done)
}

func TestSplit_TracesHaveTheirOwnChunk(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, func(c *worldConfig) { c.network.Search.Traces.Chunk = 50 })
	w.nodes[0].Answer("trace_filter", upstreamtest.Result(`[1]`))

	answer := w.send(t.Context(), http.MethodPost, "/", `{"id":1,"method":"trace_filter","params":[{"fromBlock":"0x0","toBlock":"0x63"}]}`)
	paged := w.send(t.Context(), http.MethodPost, "/", `{"id":1,"method":"trace_filter","params":[{"fromBlock":"0x0","toBlock":"0x63","after":1,"count":1}]}`)

	require.Equal(t, `{"jsonrpc":"2.0","id":1,"result":[1,1]}`, answer.Body.String())
	require.Equal(t, `{"jsonrpc":"2.0","id":1,"result":[1]}`, paged.Body.String())
}
