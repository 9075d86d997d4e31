package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/ethereum/go-ethereum/common/hexutil"
)

// maxBody bounds a request, as Besu does by default.
const maxBody = 5 << 20

// front is what clients and Kubernetes see of a node.
type front struct {
	node     *node
	settings settings
	client   *http.Client // of the chain
}

type call struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Method  string          `json:"method"`
	Params  json.RawMessage `json:"params,omitempty"`
}

type reply struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *rpcError       `json:"error,omitempty"`
}

// http serves JSON-RPC and the paths for probes.
func (f *front) http() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /liveness", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "UP"})
	})
	mux.HandleFunc("GET /readiness", f.readiness)
	mux.HandleFunc("POST /", f.answer)
	return f.allowed(mux)
}

// ws serves WebSockets. What passes there is go-ethereum's, its error texts too.
func (f *front) ws() http.Handler {
	return f.allowed(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		to, _ := url.Parse(f.node.chain.WSURL()) // go-ethereum's own
		r.SetURL(&url.URL{Scheme: "http", Host: to.Host})
		r.Out.Header.Del("Origin")
	}})
}

// metrics are the few that rules of alerts stand on.
func (f *front) metrics() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		head, _, _ := f.node.chain.Head() // 0 while it starts and stops
		count, best := f.node.peers()
		fmt.Fprintf(w, "# TYPE ethereum_blockchain_height gauge\nethereum_blockchain_height %d\n", head)
		fmt.Fprintf(w, "# TYPE ethereum_best_known_block_number gauge\nethereum_best_known_block_number %d\n", max(best, head))
		fmt.Fprintf(w, "# TYPE ethereum_peer_count gauge\nethereum_peer_count %d\n", count)
	})
}

// allowed refuses hosts that are not listed, probes included, as Besu does.
func (f *front) allowed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if !slices.Contains(f.settings.hosts, "*") && !slices.Contains(f.settings.hosts, host) {
			writeJSON(w, http.StatusForbidden, map[string]string{"message": "Host not authorized."})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// readiness is Besu's: enough peers, and not too far behind the best of them.
func (f *front) readiness(w http.ResponseWriter, r *http.Request) {
	least, behind := int64(1), int64(2)
	for name, value := range map[string]*int64{"minPeers": &least, "maxBlocksBehind": &behind} {
		if text := r.URL.Query().Get(name); text != "" {
			given, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				writeJSON(w, http.StatusServiceUnavailable, map[string]string{"status": "DOWN"})
				return
			}
			*value = given
		}
	}
	head, _, err := f.node.chain.Head()
	count, best := f.node.peers()
	if err != nil || int64(count) < least || int64(best)-int64(head) > behind {
		writeJSON(w, http.StatusServiceUnavailable, map[string]string{"status": "DOWN"})
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "UP"})
}

func writeJSON(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // the client sees a cut answer
}

// answer serves one request or a batch.
func (f *front) answer(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return // the client is gone or was told
	}
	if trimmed := bytes.TrimSpace(body); len(trimmed) > 0 && trimmed[0] == '[' {
		var calls []call
		if err := json.Unmarshal(trimmed, &calls); err != nil {
			writeJSON(w, http.StatusOK, reply{Version: "2.0", Error: &rpcError{Code: -32700, Message: "Parse error"}})
			return
		}
		out := make([]reply, 0, len(calls))
		for _, one := range calls {
			out = append(out, f.one(r.Context(), one))
		}
		writeJSON(w, http.StatusOK, out)
		return
	}
	var one call
	if err := json.Unmarshal(body, &one); err != nil {
		writeJSON(w, http.StatusOK, reply{Version: "2.0", Error: &rpcError{Code: -32700, Message: "Parse error"}})
		return
	}
	writeJSON(w, http.StatusOK, f.one(r.Context(), one))
}

// one answers one call: here, or by the chain.
func (f *front) one(ctx context.Context, asked call) reply {
	out := reply{Version: "2.0", ID: asked.ID}
	api, _, _ := strings.Cut(asked.Method, "_")
	switch {
	case !slices.Contains(knownAPIs(), strings.ToUpper(api)):
		out.Error = &rpcError{Code: -32601, Message: "Method not found"}
		return out
	case !slices.Contains(f.settings.http.apis, strings.ToUpper(api)) || asked.Method == "eth_sendTransaction":
		out.Error = &rpcError{Code: -32604, Message: "Method not enabled"}
		return out
	}
	if result, ok := f.own(asked.Method); ok {
		out.Result, _ = json.Marshal(result) // texts and lists of texts
		return out
	}
	if strings.HasPrefix(asked.Method, "qbft_") {
		f.qbft(asked, &out)
		return out
	}
	if err := f.forward(ctx, asked, &out); err != nil {
		out.Error = &rpcError{Code: -32603, Message: "Internal error"}
	}
	if out.Error != nil {
		besu := asBesu(*out.Error)
		out.Error, out.Result = &besu, nil
	}
	return out
}

// own answers what the embedded chain knows nothing of.
func (f *front) own(method string) (any, bool) {
	switch method {
	case "web3_clientVersion":
		return "besu/v25.10.0-standin/linux-x86_64/go-ethereum", true
	case "net_peerCount":
		count, _ := f.node.peers()
		return hexutil.EncodeUint64(uint64(count)), true
	case "net_listening":
		return true, true
	case "eth_syncing":
		return false, true
	case "net_enode":
		return "enode://" + f.node.net.own.id + "@0.0.0.0:" + strconv.Itoa(int(f.settings.p2pPort)), true
	case "eth_coinbase":
		return f.node.net.own.address, true
	}
	return nil, false
}

func (f *front) forward(ctx context.Context, asked call, out *reply) error {
	body, err := json.Marshal(asked)
	if err != nil {
		return fmt.Errorf("write a call: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, f.node.chain.HTTPURL(), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("ask the chain: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := f.client.Do(request)
	if err != nil {
		return fmt.Errorf("ask the chain: %w", err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(out); err != nil {
		return fmt.Errorf("ask the chain: %w", err)
	}
	return nil
}
