package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"

	"github.com/slipwayhq/slipway/internal/devnet"
)

// Nodes talk HTTP at the port and under the names of Besu's peer-to-peer protocol.

// peer is another node.
type peer struct {
	id      string
	address common.Address
	url     string
}

// Paths of the talk between nodes.
const (
	pathStatus       = "/status"
	pathVote         = "/vote"
	pathBlock        = "/block"
	pathTransactions = "/transactions"
)

// Limits of the talk between nodes.
const (
	talkEvery  = 100 * time.Millisecond
	talkWithin = 2 * time.Second
	maxTalk    = 64 << 20
	maxFetch   = 64 // blocks in a row from one peer
)

// node is one node of the network.
type node struct {
	net     network
	chain   *devnet.Chain
	ballots *ballots
	log     *slog.Logger
	client  *http.Client
	seen    uint64 // the highest number of a proposal; the proposer's alone

	mu sync.Mutex
	up map[string]uint64 // height by id of the peers that answer
}

func newNode(net network, chain *devnet.Chain, dir string, log *slog.Logger) (*node, error) {
	votes, err := openBallots(dir)
	if err != nil {
		return nil, err
	}
	return &node{
		net: net, chain: chain, ballots: votes, log: log, seen: votes.vote.Promised, up: make(map[string]uint64),
		client: &http.Client{Timeout: talkWithin},
	}, nil
}

func isIP(host string) bool { return net.ParseIP(host) != nil }

func (n *node) validatorPeers() []peer {
	var out []peer
	for _, one := range n.net.peers {
		for _, validator := range n.net.validators {
			if one.address == validator {
				out = append(out, one)
			}
		}
	}
	return out
}

// peers says how many nodes answer, and the height of the highest.
func (n *node) peers() (count int, best uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, height := range n.up {
		best = max(best, height)
	}
	return len(n.up), best
}

func (n *node) setUp(id string, height uint64, isUp bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if isUp {
		n.up[id] = height
	} else {
		delete(n.up, id)
	}
}

// status is what nodes tell each other.
type status struct {
	ID     string `json:"id"`
	Height uint64 `json:"height"`
}

// wanted asks for a block.
type wanted struct {
	Height uint64 `json:"height"`
}

// watchPeers follows all peers. It implements lifecycle.Run.
func (n *node) watchPeers(ctx context.Context, ready func()) error {
	ready()
	var watching sync.WaitGroup
	for _, other := range n.net.peers {
		watching.Go(func() { n.watch(ctx, other) })
	}
	watching.Wait()
	return nil
}

// watch keeps up with one peer: takes its blocks, and tells it the transactions
// that it has not been told since it was last seen to come up.
func (n *node) watch(ctx context.Context, other peer) {
	var told map[common.Hash]bool
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(talkEvery):
		}
		var is status
		if err := n.post(ctx, other, pathStatus, struct{}{}, &is); err != nil || is.ID != other.id {
			n.setUp(other.id, 0, false)
			told = nil
			continue
		}
		n.setUp(other.id, is.Height, true)
		n.follow(ctx, other, is.Height)
		told = n.tell(ctx, other, told)
	}
}

// follow appends the blocks that a peer has beyond ours. Several peers may be
// followed at once: who comes second is refused by the chain.
func (n *node) follow(ctx context.Context, other peer, to uint64) {
	for range maxFetch {
		head, _, err := n.chain.Head()
		if err != nil || head >= to {
			return
		}
		var block hexutil.Bytes
		if err := n.post(ctx, other, pathBlock, wanted{head + 1}, &block); err != nil || len(block) == 0 {
			return
		}
		if err := n.chain.Append(ctx, block); err != nil {
			if now, _, _ := n.chain.Head(); now == head { // nobody was faster
				n.log.ErrorContext(ctx, "a block cannot be appended", slog.String("error", err.Error()))
			}
			return
		}
	}
}

// tell sends what waits and was not told, and returns what waits now.
func (n *node) tell(ctx context.Context, other peer, told map[common.Hash]bool) map[common.Hash]bool {
	waiting, err := n.chain.Waiting()
	if err != nil {
		return told
	}
	now := make(map[common.Hash]bool, len(waiting))
	var news []hexutil.Bytes
	for hash, text := range waiting {
		now[hash] = true
		if !told[hash] {
			news = append(news, text)
		}
	}
	if len(news) == 0 {
		return now
	}
	if err := n.post(ctx, other, pathTransactions, news, new(any)); err != nil {
		return told
	}
	return now
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
	mux.Handle(pathStatus, talk(func(struct{}) (status, error) {
		head, _, err := n.chain.Head()
		return status{ID: n.net.key.ID(), Height: head}, err
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
