package main

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"

	"github.com/slipwayhq/slipway/internal/devnet"
	"github.com/slipwayhq/slipway/internal/genesis"
)

// peer is another node.
type peer struct {
	id      string
	address common.Address
	url     string
}

// Limits of following a peer.
const (
	talkEvery = 100 * time.Millisecond
	maxFetch  = 64 // blocks in a row from one peer
)

// node is one node of the network.
type node struct {
	net        network
	chain      *devnet.Chain
	electorate *electorate
	ballots    *ballots
	log        *slog.Logger
	client     *http.Client
	seen       uint64      // the highest number of a proposal; the proposer's alone
	callers    chan status // who reached this node, for watchPeers

	mu sync.Mutex
	up map[string]connection // by id: the peers that answer
}

// connection is a peer that answers, and the height that it told last.
type connection struct {
	peer

	height uint64
}

func newNode(net network, chain *devnet.Chain, dir string, log *slog.Logger) (*node, error) {
	votes, err := openBallots(dir)
	if err != nil {
		return nil, err
	}
	return &node{
		net: net, chain: chain, electorate: newElectorate(net.validators, net.epoch, chain.Block), ballots: votes, log: log, seen: votes.vote.Promised,
		callers: make(chan status), up: make(map[string]connection), client: &http.Client{Timeout: talkWithin},
	}, nil
}

// peersAmong are the validators of a set that answer, without this node.
func (n *node) peersAmong(set []common.Address) []peer {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []peer
	for _, one := range n.up {
		if slices.Contains(set, one.address) {
			out = append(out, one.peer)
		}
	}
	return out
}

// peers says how many nodes answer, and the height of the highest.
func (n *node) peers() (count int, best uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, one := range n.up {
		best = max(best, one.height)
	}
	return len(n.up), best
}

func (n *node) setUp(other peer, height uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.up[other.id] = connection{other, height}
}

func (n *node) setDown(other peer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.up[other.id].url == other.url { // it may have come back at another address
		delete(n.up, other.id)
	}
}

// watchPeers follows the static nodes always, and other nodes from when they reach
// this one until they are gone. It implements lifecycle.Run.
func (n *node) watchPeers(ctx context.Context, ready func()) error {
	ready()
	var watching sync.WaitGroup
	defer watching.Wait()
	for _, other := range n.net.peers {
		watching.Go(func() { n.watch(ctx, other, true) })
	}
	watched := make(map[string]bool) // URLs of those that came by themselves
	gone := make(chan string)
	for {
		select {
		case <-ctx.Done():
			return nil
		case url := <-gone:
			delete(watched, url)
		case caller := <-n.callers:
			isStatic := slices.ContainsFunc(n.net.peers, func(one peer) bool { return one.id == caller.ID })
			address, err := genesis.AddressOfID(caller.ID)
			if isStatic || watched[caller.URL] || err != nil {
				continue
			}
			watched[caller.URL] = true
			watching.Go(func() {
				n.watch(ctx, peer{id: caller.ID, address: address, url: caller.URL}, false)
				select {
				case gone <- caller.URL:
				case <-ctx.Done():
				}
			})
		}
	}
}

// watch keeps up with one peer: takes its blocks, and tells it the transactions
// that it has not been told since it was last seen to come up. It ends when the
// peer does not answer, unless the peer is one for always.
func (n *node) watch(ctx context.Context, other peer, always bool) {
	defer n.setDown(other)
	var told map[common.Hash]bool
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(talkEvery):
		}
		own, err := n.status()
		if err != nil {
			continue // the chain is being stopped
		}
		var is status
		if err := n.post(ctx, other, pathStatus, own, &is); err != nil || is.ID != other.id || !n.isOurs(is) {
			if !always {
				return
			}
			n.setDown(other)
			told = nil
			continue
		}
		n.setUp(other, is.Height)
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
