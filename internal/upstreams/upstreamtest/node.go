package upstreamtest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
)

// Defaults of a new node.
const (
	ChainID = 31337
	Head    = 100
)

// Genesis is the hash of block 0 of a new node.
var Genesis = "0x" + strings.Repeat("9e", 32) //nolint:gochecknoglobals // a constant that cannot be written as one

// Answer is what a node says to one request: a result or an error object, both
// JSON text.
type Answer struct{ Result, Error string }

// Result is an answer with a result.
func Result(json string) Answer { return Answer{Result: json} }

// Error is an answer with an error.
func Error(code int, message string) Answer {
	return Answer{Error: fmt.Sprintf(`{"code":%d,"message":%q}`, code, message)}
}

// Fault is a way to misbehave.
type Fault string

// The faults. They hit whatever the node is asked, probes too, unless the
// fault is set for single methods.
const (
	None       Fault = ""
	Hang       Fault = "hang"      // takes the request and never answers
	TooMany    Fault = "429"       // HTTP 429
	ServerDown Fault = "503"       // HTTP 503 with an HTML page
	HTML       Fault = "html"      // HTTP 200 with an HTML page
	Cut        Fault = "cut"       // the body ends too early
	Reset      Fault = "reset"     // the connection is closed without an answer
	BrokenJSON Fault = "json"      // half an answer, with a fitting length
	WrongID    Fault = "id"        // an answer to somebody else
	Forbidden  Fault = "forbidden" // HTTP 403
	Huge       Fault = "huge"      // an answer that never ends
)

// Node is a node behind an HTTP server.
type Node struct {
	server *httptest.Server
	quit   chan struct{}
	stop   sync.Once

	mu      sync.Mutex
	chainID uint64
	genesis string
	head    uint64
	jumping bool  // its clock
	looks   int64 // at its clock
	answers map[string]func(params string) Answer
	faults  map[string]Fault // by method, "" for all
	calls   map[string]int   // by method; probes count too
	batches int
	bodies  []string
}

// New starts a node that shows the default chain. It stops with the test.
func New(tb testing.TB) *Node {
	tb.Helper()
	n := &Node{
		quit: make(chan struct{}), chainID: ChainID, genesis: Genesis, head: Head,
		answers: map[string]func(string) Answer{}, faults: map[string]Fault{}, calls: map[string]int{},
	}
	n.server = httptest.NewServer(n)
	tb.Cleanup(n.Stop)
	return n
}

// URL is where the node listens.
func (n *Node) URL() string { return n.server.URL }

// Stop ends the node: connections are cut and new ones refused.
func (n *Node) Stop() {
	n.stop.Do(func() { // without the lock: requests in flight need it to end
		close(n.quit)
		n.server.CloseClientConnections()
		n.server.Close()
	})
}

// SetHead moves the node's newest block.
func (n *Node) SetHead(number uint64) { n.set(func() { n.head = number }) }

// LetClockJump makes the node's clock be an hour ahead and an hour behind in
// turn: in the times of its blocks and of its answers.
func (n *Node) LetClockJump() { n.set(func() { n.jumping = true }) }

// now is the node's time. It needs the lock.
func (n *Node) now() time.Time {
	if !n.jumping {
		return time.Now()
	}
	n.looks++
	return time.Now().Add(time.Duration(1-n.looks%2*2) * time.Hour)
}

// Head is the node's newest block.
func (n *Node) Head() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.head
}

// SetChain makes the node show another chain.
func (n *Node) SetChain(id uint64, genesis string) {
	n.set(func() { n.chainID, n.genesis = id, genesis })
}

// SetFault makes the node misbehave for a method, or for all with "".
func (n *Node) SetFault(method string, f Fault) { n.set(func() { n.faults[method] = f }) }

// Answer sets what the node says to a method.
func (n *Node) Answer(method string, a Answer) {
	n.AnswerFunc(method, func(string) Answer { return a })
}

// AnswerFunc sets how the node answers a method; it is given the parameters. Block
// 0 by its number stays what SetChain says: a gateway may ask for it at any time, to
// know the chain.
func (n *Node) AnswerFunc(method string, f func(params string) Answer) {
	n.set(func() { n.answers[method] = f })
}

// Calls is how often a method was asked for.
func (n *Node) Calls(method string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.calls[method]
}

// Batches is how many batches came.
func (n *Node) Batches() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.batches
}

// LastParams returns the parameters of the latest call of a method.
func (n *Node) LastParams(method string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := len(n.bodies) - 1; i >= 0; i-- {
		if r, err := jsonrpc.ScanRequest([]byte(n.bodies[i])); err == nil && r.Method == method {
			return string(r.Params)
		}
	}
	return ""
}

func (n *Node) set(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
}

// ServeHTTP implements http.Handler.
func (n *Node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body json.RawMessage
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	requests := [][]byte{body}
	isBatch := jsonrpc.IsBatch(body)
	if isBatch {
		requests = jsonrpc.Elements(body)
	}
	var out []byte
	fault := None
	for i, text := range requests {
		answer, f := n.answer(text, isBatch && i == 0)
		if f != None {
			fault = f
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, answer...)
	}
	if isBatch {
		out = append(append([]byte{'['}, out...), ']')
	}
	n.reply(w, r, fault, out)
}

func (n *Node) reply(w http.ResponseWriter, r *http.Request, fault Fault, out []byte) {
	w.Header().Set("Content-Type", "application/json")
	n.set(func() { w.Header().Set("Date", n.now().UTC().Format(http.TimeFormat)) })
	switch fault {
	case Hang:
		select {
		case <-r.Context().Done():
		case <-n.quit:
		}
		panic(http.ErrAbortHandler)
	case Reset:
		panic(http.ErrAbortHandler)
	case TooMany:
		http.Error(w, "slow down", http.StatusTooManyRequests)
	case Forbidden:
		http.Error(w, "no", http.StatusForbidden)
	case ServerDown:
		http.Error(w, "<html>503</html>", http.StatusServiceUnavailable)
	case HTML:
		_, _ = w.Write([]byte("<html>welcome</html>"))
	case Cut:
		w.Header().Set("Content-Length", fmt.Sprint(len(out)+10))
		_, _ = w.Write(out)
		panic(http.ErrAbortHandler)
	case BrokenJSON:
		_, _ = w.Write(out[:len(out)-2])
	case Huge:
		filler := []byte(strings.Repeat("0", 64<<10))
		_, _ = w.Write(out[:len(out)-1])
		for r.Context().Err() == nil {
			if _, err := w.Write(filler); err != nil {
				return
			}
		}
	default:
		_, _ = w.Write(out)
	}
}

// answer answers one request.
func (n *Node) answer(text []byte, countBatch bool) ([]byte, Fault) {
	request, invalid := jsonrpc.ScanRequest(text)
	if invalid != nil {
		return jsonrpc.AppendError(nil, request.ID, invalid), None
	}
	n.mu.Lock()
	n.calls[request.Method]++
	n.bodies = append(n.bodies, string(text))
	if countBatch {
		n.batches++
	}
	fault := n.faults[request.Method]
	if fault == None {
		fault = n.faults[""]
	}
	answer, isSet := n.answers[request.Method]
	n.mu.Unlock()

	var a Answer
	if isSet && !isGenesis(request) {
		a = answer(string(request.Params))
	} else {
		a = n.builtIn(request)
	}
	id := request.ID
	if fault == WrongID {
		id = jsonrpc.ID("987654321")
	}
	if a.Error != "" {
		return jsonrpc.AppendRawError(nil, id, []byte(a.Error)), fault
	}
	return jsonrpc.AppendResult(nil, id, []byte(a.Result)), fault
}

func isGenesis(request jsonrpc.Request) bool {
	return request.Method == "eth_getBlockByNumber" && string(jsonrpc.Element(request.Params, 0)) == `"0x0"`
}

// builtIn is the chain a node shows without further words.
func (n *Node) builtIn(request jsonrpc.Request) Answer {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch request.Method {
	case "eth_chainId":
		return Result(fmt.Sprintf(`"0x%x"`, n.chainID))
	case "eth_blockNumber":
		return Result(fmt.Sprintf(`"0x%x"`, n.head))
	case "web3_clientVersion":
		return Result(`"upstreamtest/1"`)
	case "eth_getBlockByNumber":
		return n.block(string(jsonrpc.Element(request.Params, 0)))
	default:
		return Error(-32601, "Method not found")
	}
}

func (n *Node) block(ref string) Answer {
	var number uint64
	switch ref {
	case `"latest"`:
		number = n.head
	case `"finalized"`, `"safe"`:
		return Error(-39001, "Unknown block") // as Besu with QBFT does
	default:
		if _, err := fmt.Sscanf(ref, `"0x%x"`, &number); err != nil {
			return Error(-32602, "Invalid block params")
		}
	}
	if number > n.head {
		return Result("null")
	}
	hash := fmt.Sprintf("0x%064x", number)
	if number == 0 {
		hash = n.genesis
	}
	if n.jumping {
		return Result(fmt.Sprintf(`{"number":"0x%x","hash":%q,"timestamp":"0x%x"}`, number, hash, n.now().Unix()))
	}
	return Result(fmt.Sprintf(`{"number":"0x%x","hash":%q}`, number, hash))
}
