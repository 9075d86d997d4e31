package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/crypto"
)

// fault is a way in which a node fails.
type fault int32

// The faults.
const (
	good fault = iota
	hangs
	says503
	resets
	cuts
	lags
	slow
	wrongID
	saysNull

	faultCount
)

// The chain that all nodes show: a block a second, final at once.
const (
	chainID   = 31337
	firstHead = 1_000_000
	lagBlocks = 50
	slowBy    = 1500 * time.Millisecond
)

// node answers about a chain whose every answer follows from the question.
type node struct {
	url    string
	start  time.Time
	fault  atomic.Int32
	server *http.Server
}

func startNode(ctx context.Context, start time.Time) (*node, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for a node: %w", err)
	}
	n := &node{url: "http://" + listener.Addr().String(), start: start}
	n.server = &http.Server{Handler: n, ReadHeaderTimeout: time.Minute}
	go func() { _ = n.server.Serve(listener) }() // it ends with stop
	return n, nil
}

func (n *node) stop() { _ = n.server.Close() }

func (n *node) head() uint64 { return firstHead + uint64(time.Since(n.start)/time.Second) }

type request struct {
	ID     json.RawMessage   `json:"id"`
	Method string            `json:"method"`
	Params []json.RawMessage `json:"params"`
}

// ServeHTTP implements http.Handler.
func (n *node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := fault(n.fault.Load())
	var body json.RawMessage
	if json.NewDecoder(r.Body).Decode(&body) != nil {
		http.Error(w, "no JSON", http.StatusBadRequest)
		return
	}
	switch f {
	case hangs:
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	case resets:
		panic(http.ErrAbortHandler)
	case says503:
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	case slow:
		select {
		case <-r.Context().Done():
		case <-time.After(slowBy):
		}
	case good, cuts, lags, wrongID, saysNull, faultCount: // these answer
	}
	out := n.answer(body, f)
	if f == cuts {
		w.Header().Set("Content-Length", strconv.Itoa(len(out)))
		_, _ = w.Write(out[:len(out)/2]) // the point of it
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(out) // a gateway that went away is nobody's error
}

func (n *node) answer(body []byte, f fault) []byte {
	var calls []request
	if json.Unmarshal(body, &calls) == nil {
		parts := make([]string, len(calls))
		for i, c := range calls {
			parts[i] = n.answerCall(c, f)
		}
		return []byte("[" + strings.Join(parts, ",") + "]")
	}
	var call request
	if err := json.Unmarshal(body, &call); err != nil {
		return []byte(`{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error"}}`)
	}
	return []byte(n.answerCall(call, f))
}

func (n *node) answerCall(c request, f fault) string {
	head := n.head()
	if f == lags {
		head -= lagBlocks
	}
	result := resultOf(c, head)
	id := string(c.ID)
	switch {
	case result == "":
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"Method not found"}}`, id)
	case f == wrongID:
		id = "987654321"
	case f == saysNull && c.Method != "eth_chainId":
		result = "null"
	}
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":%s}`, id, result)
}

// resultOf is the right answer; empty for unknown methods.
func resultOf(c request, head uint64) string {
	first := ""
	if len(c.Params) > 0 {
		_ = json.Unmarshal(c.Params[0], &first) // a filter is no text
	}
	switch c.Method {
	case "eth_chainId":
		return fmt.Sprintf(`"0x%x"`, chainID)
	case "net_version":
		return fmt.Sprintf(`"%d"`, chainID)
	case "web3_clientVersion":
		return `"soak/1"`
	case "eth_syncing":
		return "false"
	case "eth_blockNumber":
		return fmt.Sprintf(`"0x%x"`, head)
	case "eth_getBlockByNumber":
		return block(first, head)
	case "eth_getBalance":
		return balance(first)
	case "eth_getCode":
		return code(first)
	case "eth_getTransactionReceipt":
		return receipt(first)
	case "eth_getLogs":
		var filter struct{ FromBlock, ToBlock, BlockHash string }
		if len(c.Params) > 0 {
			_ = json.Unmarshal(c.Params[0], &filter) // as above
		}
		if filter.BlockHash != "" {
			filter.FromBlock = fmt.Sprintf("0x%x", common.HexToHash(filter.BlockHash).Big().Uint64()-1) // as block makes it
		}
		return logs(filter.FromBlock)
	case "eth_sendRawTransaction":
		return sent(first)
	default:
		return ""
	}
}

func block(ref string, head uint64) string {
	number := head
	if strings.HasPrefix(ref, "0x") {
		number, _ = hexutil.DecodeUint64(ref) // 0 is as good as another
		if number > head {
			return "null"
		}
	} else if ref == "safe" || ref == "finalized" {
		return "null"
	}
	return fmt.Sprintf(`{"number":"0x%x","hash":"0x%064x","parentHash":"0x%064x","transactions":[]}`, number, number+1, number)
}

func balance(address string) string { return `"0x1` + last(address, 8) + `"` }

// codeBytes makes eth_getCode the large answer.
const codeBytes = 100_000

func code(address string) string {
	return `"0x` + strings.Repeat(last(address, 8), codeBytes/4) + `"`
}

func receipt(hash string) string {
	return fmt.Sprintf(`{"transactionHash":%q,"transactionIndex":"0x0","blockNumber":"0x%x","blockHash":"0x%064x","status":"0x1","logs":[]}`,
		hash, firstHead-1, firstHead)
}

func logs(from string) string {
	number, _ := hexutil.DecodeUint64(from) // as above
	return fmt.Sprintf(`[{"address":"0x%040x","topics":[],"data":"0x","blockNumber":"0x%x","blockHash":"0x%064x","transactionHash":"0x%064x","transactionIndex":"0x0","logIndex":"0x0","removed":false}]`,
		number, number, number+1, number)
}

func sent(raw string) string {
	text, _ := hexutil.Decode(raw) // nothing has a hash as well
	return `"` + crypto.Keccak256Hash(text).Hex() + `"`
}

// last is the end of a text, filled up with zeros.
func last(text string, n int) string {
	text = strings.Repeat("0", n) + text
	return text[len(text)-n:]
}
