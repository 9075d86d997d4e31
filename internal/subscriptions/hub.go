package subscriptions

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

// Network is what a hub asks: a pool of upstreams.
type Network interface {
	Do(ctx context.Context, req upstreams.Request) (upstreams.Reply, error)
	// Head says where the network stands, as far as is known without asking.
	Head() chain.Head
	// Finality is the network's rule of finality.
	Finality() chain.Finality
	// CanFollow says whether any node can ever be followed.
	CanFollow() bool
	// Follow hands on what a node pushes, as upstreams.Pool does.
	Follow(ctx context.Context, feed upstreams.Feed, opened func(upstreams.ID), event func(result []byte)) error
}

// Deps is what a Hub works with.
type Deps struct {
	Network   Network
	Catalogue *methods.Catalogue
	Metrics   *Metrics
	Log       *slog.Logger
	// Project is the project in metrics.
	Project string
	// NetworkName is the network in metrics, such as "evm:31337".
	NetworkName string
}

// Hub serves the subscriptions of one network. New makes it, Run is its life.
type Hub struct {
	cfg       Config
	catalogue *methods.Catalogue
	metrics   *hubMetrics
	log       *slog.Logger

	chain, pending, syncing *feed

	mu        sync.Mutex
	network   Network
	swapped   chan struct{} // closed and replaced by Use
	clients   map[*Client]struct{}
	isStopped bool
}

// New checks the configuration and makes a hub. It starts nothing.
func New(cfg Config, deps Deps) (*Hub, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Hub{
		cfg: cfg, catalogue: deps.Catalogue, metrics: deps.Metrics.of(deps.Project, deps.NetworkName), log: deps.Log,
		chain: newFeed(), pending: newFeed(), syncing: newFeed(),
		network: deps.Network, swapped: make(chan struct{}), clients: map[*Client]struct{}{},
	}, nil
}

// Run serves until ctx ends, then ends all clients. It implements lifecycle.Run.
func (h *Hub) Run(ctx context.Context, ready func()) error {
	ready()
	var group errgroup.Group
	for _, f := range []struct {
		feed *feed
		work func(context.Context)
	}{{h.chain, h.runChain}, {h.pending, h.runPending}, {h.syncing, h.runSyncing}} {
		group.Go(func() error {
			f.feed.run(ctx, h.cfg.Linger, f.work)
			return nil
		})
	}
	err := group.Wait()
	h.mu.Lock()
	h.isStopped = true
	clients := h.clients
	h.clients = map[*Client]struct{}{}
	h.mu.Unlock()
	for c := range clients {
		c.end(ErrStopped)
	}
	return err
}

// Use makes the hub ask another pool of the same network from now on. Clients
// do not notice.
func (h *Hub) Use(n Network) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.network = n
	close(h.swapped)
	h.swapped = make(chan struct{})
}

// current is the pool to ask, and what is closed when it changes.
func (h *Hub) current() (Network, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.network, h.swapped
}

func (h *Hub) register(c *Client) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.isStopped {
		return false
	}
	h.clients[c] = struct{}{}
	return true
}

func (h *Hub) unregister(c *Client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.clients, c)
}

func (h *Hub) feedOf(k Kind) *feed {
	switch k {
	case PendingTransactions:
		return h.pending
	case Syncing:
		return h.syncing
	default:
		return h.chain
	}
}

func (h *Hub) leave(s *subscription) {
	if h.feedOf(s.topic.kind).leave(s) {
		h.metrics.subscriptions[s.topic.kind].Dec()
	}
}

// tell queues an event for a subscriber.
func (h *Hub) tell(s *subscription, result []byte) {
	s.client.push(s, result)
	h.metrics.events[s.topic.kind].Inc()
}

// ask puts one question to the nodes, within the time of one call. A node's
// error is an error.
func (h *Hub) ask(ctx context.Context, method, params string) ([]byte, error) {
	network, _ := h.current()
	ctx, cancel := context.WithTimeout(ctx, h.cfg.CallTimeout)
	defer cancel()
	reply, err := network.Do(ctx, upstreams.Request{
		Method: method, Params: []byte(params), Facts: h.catalogue.Describe(method, []byte(params)),
	})
	if err != nil {
		return nil, err
	}
	if reply.Error != nil {
		return nil, nodeError(reply.Error)
	}
	return reply.Result, nil
}

// pause waits, and says false when ctx ended before.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
