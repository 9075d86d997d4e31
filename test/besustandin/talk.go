package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
)

// Nodes talk HTTP at the port and under the names of Besu's peer-to-peer protocol.

// Paths of the talk between nodes.
const (
	pathStatus       = "/status"
	pathVote         = "/vote"
	pathBlock        = "/block"
	pathTransactions = "/transactions"
)

// Limits of one exchange.
const (
	talkWithin = 2 * time.Second
	maxTalk    = 64 << 20
)

// status is what nodes tell each other of themselves.
type status struct {
	ID      string      `json:"id"`
	URL     string      `json:"url"`
	ChainID uint64      `json:"chainId"`
	Genesis common.Hash `json:"genesis"`
	Height  uint64      `json:"height"`
}

func (n *node) status() (status, error) {
	head, _, err := n.chain.Head()
	return status{ID: n.net.own.id, URL: n.net.own.url, ChainID: n.net.chainID, Genesis: n.chain.Genesis(), Height: head}, err
}

// isOurs says whether a node is one of this network, as Besu's handshake does.
func (n *node) isOurs(other status) bool {
	return other.ChainID == n.net.chainID && other.Genesis == n.chain.Genesis()
}

// wanted asks for a block.
type wanted struct {
	Height uint64 `json:"height"`
}

// post asks a peer.
func (n *node) post(ctx context.Context, other peer, path string, asked, reply any) error {
	body, err := json.Marshal(asked)
	if err != nil {
		return fmt.Errorf("write a question: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, other.url+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("ask %s: %w", other.url, err)
	}
	response, err := n.client.Do(request)
	if err != nil {
		return fmt.Errorf("ask %s: %w", other.url, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("ask %s: %s", other.url, response.Status)
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, maxTalk)).Decode(reply); err != nil {
		return fmt.Errorf("ask %s: %w", other.url, err)
	}
	return nil
}

// peerHandler answers other nodes.
func (n *node) peerHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle(pathStatus, talk(func(caller status) (status, error) {
		if n.isOurs(caller) {
			select {
			case n.callers <- caller:
			default: // it calls again
			}
		}
		return n.status()
	}))
	mux.Handle(pathVote, talk(n.answer))
	mux.Handle(pathBlock, talk(func(asked wanted) (hexutil.Bytes, error) {
		block, err := n.chain.Block(asked.Height)
		return block, err
	}))
	mux.Handle(pathTransactions, talk(func(told []hexutil.Bytes) (struct{}, error) {
		list := make([][]byte, len(told))
		for i := range told {
			list[i] = told[i]
		}
		return struct{}{}, n.chain.Hear(list)
	}))
	return mux
}

// talk serves a function that takes and returns JSON.
func talk[Q, A any](reply func(Q) (A, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var asked Q
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxTalk)).Decode(&asked); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		said, err := reply(asked)
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(said) // the peer sees a cut answer
	})
}
