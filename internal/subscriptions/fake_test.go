package subscriptions

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/telemetry"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

// fakeBlock is a block of a model of a chain.
type fakeBlock struct {
	number uint64
	hash   common.Hash
	parent *fakeBlock
	logs   []fakeLog
}

type fakeLog struct {
	address common.Address
	topics  []common.Hash
}

func newFakeBlock(parent *fakeBlock, salt int, logs ...fakeLog) *fakeBlock {
	b := &fakeBlock{parent: parent, logs: logs}
	seed := fmt.Sprint(salt)
	if parent != nil {
		b.number = parent.number + 1
		seed += parent.hash.Hex()
	}
	b.hash = crypto.Keccak256Hash([]byte(seed))
	return b
}

func (b *fakeBlock) at(number uint64) *fakeBlock {
	for ; b != nil && b.number > number; b = b.parent {
	}
	if b == nil || b.number != number {
		return nil
	}
	return b
}

func (b *fakeBlock) json() []byte {
	var filter bloom
	for _, l := range b.logs {
		filter.add(l.address[:])
		for _, t := range l.topics {
			filter.add(t[:])
		}
	}
	parent := common.Hash{}
	if b.parent != nil {
		parent = b.parent.hash
	}
	return fmt.Appendf(nil, `{"number":"0x%x","hash":%q,"parentHash":%q,"logsBloom":"0x%s","transactions":["0x01"],"uncles":[]}`,
		b.number, b.hash, parent, hex.EncodeToString(filter[:]))
}

func (b *fakeBlock) logsJSON() []byte {
	parts := make([]string, len(b.logs))
	for i, l := range b.logs {
		topics := make([]string, len(l.topics))
		for j, t := range l.topics {
			topics[j] = `"` + t.Hex() + `"`
		}
		parts[i] = fmt.Sprintf(`{"address":"%s","topics":[%s],"data":"0x","blockNumber":"0x%x","blockHash":"%s","logIndex":"0x%x","removed":false}`,
			strings.ToLower(l.address.Hex()), strings.Join(topics, ","), b.number, b.hash.Hex(), i)
	}
	return []byte("[" + strings.Join(parts, ",") + "]")
}

// fakeNetwork is a network of nodes that a hub can ask, each with a view of its
// own of the chain.
type fakeNetwork struct {
	mu        sync.Mutex
	heads     []*fakeBlock // by node
	pick      func() int   // which node answers; below zero: none does
	latest    uint64       // as pollers know it
	finality  chain.Mode
	canFollow bool
	calls     map[string]int
	answers   map[string]func(params string) string
	stream    *fakeStream
	opened    int
}

type fakeStream struct {
	feed  upstreams.Feed
	ended chan error
	event func([]byte)
}

func newFakeNetwork(genesis *fakeBlock, nodes int) *fakeNetwork {
	n := &fakeNetwork{finality: chain.ByDepth, calls: map[string]int{}, answers: map[string]func(string) string{}, pick: func() int { return 0 }}
	for range nodes {
		n.heads = append(n.heads, genesis)
	}
	n.latest = genesis.number
	return n
}

func (n *fakeNetwork) set(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
}

func (n *fakeNetwork) show(b *fakeBlock) {
	n.set(func() {
		for i := range n.heads {
			n.heads[i] = b
		}
		n.latest = max(n.latest, b.number)
	})
}

func (n *fakeNetwork) count(method string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.calls[method]
}

func (n *fakeNetwork) Head() chain.Head {
	n.mu.Lock()
	defer n.mu.Unlock()
	return chain.Head{Latest: n.latest, IsKnown: true}
}

func (n *fakeNetwork) Finality() chain.Finality { return chain.Finality{Mode: n.finality, Depth: 64} }

func (n *fakeNetwork) CanFollow() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.canFollow
}

func (n *fakeNetwork) Do(_ context.Context, req upstreams.Request) (upstreams.Reply, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calls[req.Method]++
	if answer, is := n.answers[req.Method]; is {
		return upstreams.Reply{Result: []byte(answer(string(req.Params)))}, nil
	}
	node := n.pick()
	if node < 0 {
		return upstreams.Reply{}, upstreams.ErrNoUpstream
	}
	head := n.heads[node]
	null := upstreams.Reply{Result: []byte("null")}
	switch req.Method {
	case "eth_blockNumber":
		return upstreams.Reply{Result: methods.AppendQuantity(nil, max(n.latest, head.number))}, nil
	case "eth_getBlockByNumber":
		b := head
		if string(jsonrpc.Element(req.Params, 0)) != `"latest"` {
			b = head.at(req.Facts.Number)
		}
		if b == nil {
			return null, nil
		}
		return upstreams.Reply{Result: b.json()}, nil
	case "eth_getLogs":
		b := head.at(req.Facts.Number)
		if b == nil {
			return upstreams.Reply{Result: []byte("[]")}, nil // as nodes do that are behind
		}
		return upstreams.Reply{Result: b.logsJSON()}, nil
	}
	return upstreams.Reply{}, errors.New("unexpected " + req.Method)
}

func (n *fakeNetwork) Follow(ctx context.Context, feed upstreams.Feed, opened func(upstreams.ID), event func([]byte)) error {
	n.mu.Lock()
	if n.stream != nil || !n.canFollow {
		n.mu.Unlock()
		return upstreams.ErrNoFeed
	}
	s := &fakeStream{feed: feed, ended: make(chan error, 1), event: event}
	n.stream = s
	n.opened++
	n.mu.Unlock()
	opened("fake")
	var err error
	select {
	case <-ctx.Done():
		err = context.Cause(ctx)
	case err = <-s.ended:
	}
	n.set(func() { n.stream = nil })
	return err
}

// push sends an event over the open stream, if there is one.
func (n *fakeNetwork) push(result []byte) {
	n.mu.Lock()
	s := n.stream
	n.mu.Unlock()
	if s != nil {
		s.event(result)
	}
}

func (n *fakeNetwork) breakStream() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.stream != nil {
		select {
		case n.stream.ended <- errors.New("broken"):
		default:
		}
	}
}

func newTestHub(tb testing.TB, n Network, change func(*Config)) *Hub {
	tb.Helper()
	cfg := Default()
	if change != nil {
		change(&cfg)
	}
	h, err := New(cfg, Deps{
		Network: n, Catalogue: methods.New(), Metrics: NewMetrics(telemetry.NewFactory()), Log: slog.New(slog.DiscardHandler), NetworkName: "evm:1",
	})
	require.NoError(tb, err)
	return h
}

// run runs a hub until the returned function is called.
func run(ctx context.Context, h *Hub) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = h.Run(ctx, func() {})
	}()
	return func() {
		cancel()
		<-done
	}
}

// collected is what a client was told, in order.
type collected struct {
	mu     sync.Mutex
	events []Notification
	err    error
}

func collect(ctx context.Context, c *Client) (*collected, func()) {
	out := &collected{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			n, err := c.Next(ctx)
			out.mu.Lock()
			if err != nil {
				out.err = err
				out.mu.Unlock()
				return
			}
			out.events = append(out.events, n)
			out.mu.Unlock()
		}
	}()
	return out, func() { <-done }
}

func (c *collected) ended() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

func (c *collected) of(id string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for _, e := range c.events {
		if e.Subscription == id {
			out = append(out, string(e.Result))
		}
	}
	return out
}

func subscribe(t *testing.T, c *Client, params string) string {
	t.Helper()
	id, err := c.Subscribe(t.Context(), []byte(params))
	require.NoError(t, err)
	c.Announced()
	return id
}

func member(text, name string) string {
	return strings.Trim(string(jsonrpc.Member([]byte(text), name)), `"`)
}

func hashesOf(events []string) []string {
	out := make([]string, len(events))
	for i, e := range events {
		out[i] = member(e, "hash")
	}
	return out
}

const settle = 10 * time.Second // of a bubble's time: more than any pause of a hub
