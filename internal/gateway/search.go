package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/methods"
)

// Search bounds searches over many blocks (eth_getLogs, trace_filter) and says
// how they are asked for in pieces.
type Search struct {
	// MaxRange is how many blocks one eth_getLogs may span; 0 is no bound.
	MaxRange uint64
	// MaxAddresses is how many addresses it may name; 0 is no bound.
	MaxAddresses int
	// MaxTopics is how many topics it may name in all its positions; 0 is no bound.
	MaxTopics int
	// MaxBytes bounds the answer that is put together of the pieces'.
	MaxBytes int64
	// EnforceRange refuses a range that ends before it begins, and waits a moment
	// for an end that is the next block. Otherwise both are the node's to judge.
	EnforceRange bool

	// Logs says how eth_getLogs is split, Traces how trace_filter is.
	Logs, Traces Splitting
}

// Splitting says how one method is asked for in pieces.
type Splitting struct {
	// Chunk is how many blocks a piece has, and a search may have that is not
	// split; 0 splits only on a node's error. Pieces end at multiples of it, so
	// that overlapping searches share them.
	Chunk uint64
	// OnError splits what a node says is too large.
	OnError bool
	// Concurrency is how many pieces of one search are asked for at a time.
	Concurrency int
}

// DefaultSearch is the configuration that needs no change. The chunks are what
// Besu allows: --rpc-max-logs-range is 5000, --rpc-max-trace-filter-range 1000.
func DefaultSearch() Search {
	return Search{
		MaxRange: 30_000, MaxBytes: 128 << 20, EnforceRange: true,
		Logs:   Splitting{Chunk: 5000, OnError: true, Concurrency: 8},
		Traces: Splitting{Chunk: 1000, OnError: true, Concurrency: 4},
	}
}

// Validate reports everything that is wrong.
func (s Search) Validate() error {
	if s == (Search{}) {
		return nil
	}
	var errs []error
	if s.MaxAddresses < 0 || s.MaxTopics < 0 {
		errs = append(errs, errors.New("search: bounds must not be negative"))
	}
	if s.MaxBytes < 1 {
		errs = append(errs, errors.New("search: maximum size: must be at least 1 byte"))
	}
	if s.Logs.Concurrency < 1 || s.Traces.Concurrency < 1 {
		errs = append(errs, errors.New("search: concurrency: must be at least 1"))
	}
	return errors.Join(errs...)
}

// query is a search as it can be asked for in pieces.
type query struct {
	from, to uint64
	// isOpen says that the range ends with the newest block, which the node knows.
	isOpen bool
	// addresses are empty unless the filter has a list of them; the same for the
	// alternatives at the first topic.
	addresses, firstTopic [][]byte
	// filter is the whole filter object, by member.
	filter map[string]json.RawMessage
}

const (
	logsMethod   = "eth_getLogs"
	tracesMethod = "trace_filter"
)

// readQuery reads a search over a range of blocks. It is false for what must go
// to a node as it stands: a search in one block named by its hash, one with
// pages, or one that is not understood.
func readQuery(method string, params []byte) (query, bool) {
	if jsonrpc.Element(params, 1) != nil {
		return query{}, false
	}
	object := jsonrpc.Element(params, 0)
	var q query
	if len(object) == 0 || object[0] != '{' || json.Unmarshal(object, &q.filter) != nil {
		return query{}, false
	}
	for _, name := range []string{"blockHash", "after", "count"} {
		if _, isThere := q.filter[name]; isThere {
			return query{}, false
		}
	}
	var hasFrom, hasTo bool
	q.from, hasFrom = blockNumber(q.filter["fromBlock"])
	q.to, hasTo = blockNumber(q.filter["toBlock"])
	switch string(q.filter["toBlock"]) {
	case "", "null", `"latest"`:
		q.isOpen = true
	}
	if !hasFrom || !hasTo && !q.isOpen {
		return query{}, false
	}
	if method == logsMethod {
		q.addresses = jsonrpc.Elements(q.filter["address"])
		q.firstTopic = jsonrpc.Elements(jsonrpc.Element(q.filter["topics"], 0))
	}
	return q, true
}

func blockNumber(ref []byte) (uint64, bool) {
	if string(ref) == `"earliest"` {
		return 0, true
	}
	return methods.ParseQuantity(ref)
}

// blocks is how many blocks a query spans.
func (q query) blocks() uint64 { return q.to - q.from + 1 }

// params writes the query. The members stand in the order of their names, so
// that equal pieces of differently written searches are equal.
func (q query) params() ([]byte, error) {
	filter := make(map[string]json.RawMessage, len(q.filter)+2)
	for name, value := range q.filter {
		filter[name] = value
	}
	filter["fromBlock"] = methods.AppendQuantity(nil, q.from)
	filter["toBlock"] = methods.AppendQuantity(nil, q.to)
	return json.Marshal([]map[string]json.RawMessage{filter})
}

// check holds a query against the bounds.
func (q query) check(s Search) error {
	switch {
	case q.isOpen:
		return nil
	case q.from > q.to:
		if !s.EnforceRange {
			return nil
		}
		return &RejectedError{jsonrpc.CodeInvalidParams, fmt.Sprintf("invalid block range params: fromBlock %d is after toBlock %d", q.from, q.to)}
	case s.MaxRange > 0 && q.to-q.from >= s.MaxRange:
		return tooLarge("a range of %d blocks: at most %d are allowed", q.blocks(), s.MaxRange)
	case s.MaxAddresses > 0 && len(q.addresses) > s.MaxAddresses:
		return tooLarge("%d addresses: at most %d are allowed", len(q.addresses), s.MaxAddresses)
	}
	if topics := q.topics(); s.MaxTopics > 0 && topics > s.MaxTopics {
		return tooLarge("%d topics: at most %d are allowed", topics, s.MaxTopics)
	}
	return nil
}

func tooLarge(format string, args ...any) error {
	return &RejectedError{jsonrpc.CodeTooLarge, fmt.Sprintf(format, args...)}
}

// topics counts the topics of all positions.
func (q query) topics() int {
	n := 0
	for _, position := range jsonrpc.Elements(q.filter["topics"]) {
		switch position[0] {
		case '[':
			n += len(jsonrpc.Elements(position))
		case '"':
			n++
		}
	}
	return n
}

// chunks cuts a query at multiples of chunk. One that is no longer than chunk,
// or is not to be cut, comes back whole.
func (q query) chunks(chunk uint64) []query {
	if chunk == 0 || q.isOpen || q.from > q.to || q.to-q.from < chunk {
		return []query{q}
	}
	var out []query
	for from := q.from; ; {
		piece := q
		piece.from = from
		if rest := chunk - 1 - from%chunk; rest < q.to-from {
			piece.to = from + rest
		}
		out = append(out, piece)
		if piece.to == q.to {
			return out
		}
		from = piece.to + 1
	}
}

// maxPieces bounds into how many pieces one search is cut for its range.
const maxPieces = 1000

// checkPieces refuses what would be too many pieces.
func (q query) checkPieces(chunk uint64) error {
	if chunk == 0 || q.isOpen || q.from > q.to || (q.to-q.from)/chunk < maxPieces {
		return nil
	}
	return tooLarge("a range of more than %d blocks: ask for less at a time", (maxPieces-1)*chunk)
}

// halves cuts a query in two: its range, or the addresses of one block, or the
// alternatives of its first topic. It is nil when nothing is left to cut.
func (q query) halves() []query {
	a, b := q, q
	switch {
	case q.from < q.to:
		middle := q.from + (q.to-q.from)/2
		a.to, b.from = middle, middle+1
	case len(q.addresses) > 1:
		middle := len(q.addresses) / 2
		a.setAddresses(q.addresses[:middle])
		b.setAddresses(q.addresses[middle:])
	case len(q.firstTopic) > 1:
		middle := len(q.firstTopic) / 2
		a.setFirstTopic(q.firstTopic[:middle])
		b.setFirstTopic(q.firstTopic[middle:])
	default:
		return nil
	}
	return []query{a, b}
}

func (q *query) setAddresses(list [][]byte) {
	q.addresses = list
	q.set("address", array(list))
}

func (q *query) setFirstTopic(list [][]byte) {
	positions := append([][]byte{array(list)}, jsonrpc.Elements(q.filter["topics"])[1:]...)
	q.firstTopic = list
	q.set("topics", array(positions))
}

// set writes a member of a copy of the filter, which other pieces share.
func (q *query) set(name string, value []byte) {
	filter := make(map[string]json.RawMessage, len(q.filter))
	for n, v := range q.filter {
		filter[n] = v
	}
	filter[name] = value
	q.filter = filter
}

// array writes elements as a JSON array.
func array(elements [][]byte) []byte {
	var b strings.Builder
	b.WriteByte('[')
	for i, e := range elements {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(e)
	}
	b.WriteByte(']')
	return []byte(b.String())
}
