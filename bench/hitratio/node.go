package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// node answers about the chain and counts what it is asked.
type node struct {
	clock   clock
	latency time.Duration
	url     string
	server  *http.Server
	done    chan error

	mu      sync.Mutex
	asked   map[string]int // by method
	popular int            // calls of the contract that every client calls
}

func startNode(ctx context.Context, c clock, latency time.Duration) (*node, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the node: %w", err)
	}
	n := &node{clock: c, latency: latency, url: "http://" + listener.Addr().String(), done: make(chan error, 1), asked: map[string]int{}}
	n.server = &http.Server{Handler: n, ReadHeaderTimeout: time.Minute}
	go func() { n.done <- n.server.Serve(listener) }() // stop waits for it
	return n, nil
}

func (n *node) stop() error {
	err := n.server.Close()
	if served := <-n.done; !errors.Is(served, http.ErrServerClosed) {
		return served
	}
	return err
}

// counts is what was asked so far.
func (n *node) counts() (byMethod map[string]int, popular int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return maps.Clone(n.asked), n.popular
}

type request struct {
	ID     json.RawMessage   `json:"id"`
	Method string            `json:"method"`
	Params []json.RawMessage `json:"params"`
}

// ServeHTTP implements http.Handler.
func (n *node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body json.RawMessage
	if json.NewDecoder(r.Body).Decode(&body) != nil {
		http.Error(w, "no JSON", http.StatusBadRequest)
		return
	}
	timer := time.NewTimer(n.latency)
	defer timer.Stop()
	select {
	case <-r.Context().Done():
	case <-timer.C:
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(n.answer(body))) // a gateway that went away is nobody's error
}

func (n *node) answer(body []byte) string {
	var calls []request
	if json.Unmarshal(body, &calls) == nil {
		parts := make([]string, len(calls))
		for i, c := range calls {
			parts[i] = n.answerCall(c)
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	var call request
	if json.Unmarshal(body, &call) != nil {
		return `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error"}}`
	}
	return n.answerCall(call)
}

func (n *node) answerCall(c request) string {
	n.count(c)
	if result := resultOf(c, n.clock.head(time.Now())); result != "" {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":%s}`, c.ID, result)
	}
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"Method not found"}}`, c.ID)
}

func (n *node) count(c request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked[c.Method]++
	if c.Method == "eth_call" && len(c.Params) > 0 && strings.Contains(string(c.Params[0]), contract(popularContract)) {
		n.popular++
	}
}

// resultOf is the right answer; empty for unknown methods.
func resultOf(c request, head uint64) string {
	text := func(i int) (s string) {
		if i < len(c.Params) {
			_ = json.Unmarshal(c.Params[i], &s) // an object is no text
		}
		return s
	}
	switch c.Method {
	case "eth_chainId":
		return quantity(chainID)
	case "net_version":
		return fmt.Sprintf(`"%d"`, chainID)
	case "web3_clientVersion":
		return `"hitratio/1"`
	case "eth_syncing":
		return "false"
	case "eth_blockNumber", "eth_gasPrice":
		return quantity(head)
	case "eth_getBlockByNumber":
		if text(0) == "safe" || text(0) == "finalized" {
			return "null"
		}
		return ifThere(blockOf(text(0), head), head, block)
	case "eth_getBalance":
		return ifThere(blockOf(text(1), head), head, quantity)
	case "eth_call":
		return ifThere(blockOf(text(1), head), head, word)
	case "eth_getTransactionReceipt":
		return ifThere(minedIn(text(0)), head, func(uint64) string { return receipt(text(0)) })
	case "eth_getLogs":
		var filter struct{ FromBlock, ToBlock string }
		if len(c.Params) > 0 {
			_ = json.Unmarshal(c.Params[0], &filter) // the clients' filters are well formed
		}
		return logs(blockOf(filter.FromBlock, head), min(blockOf(filter.ToBlock, head), head))
	default:
		return ""
	}
}

func ifThere(n, head uint64, answer func(uint64) string) string {
	if n > head {
		return "null"
	}
	return answer(n)
}
