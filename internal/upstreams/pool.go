package upstreams

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/telemetry"
)

// Pool holds the nodes of one network. It is made once; Run follows the nodes,
// and Do may be called from anywhere.
type Pool struct {
	cfg       Config
	log       *slog.Logger
	tracker   *chain.Tracker
	catalogue *methods.Catalogue
	upstreams []*Upstream // in the order of the configuration
	failsafes *failsafes
	broadcast *broadcaster
	metrics   *metrics

	misconduct *misconduct

	mu       sync.Mutex // guards identity
	identity Identity
}

// Identity is what makes a chain this chain.
type Identity struct {
	ChainID uint64
	Genesis string // hash of block 0, lower case; empty while no node was reached
}

// NewPool checks the configuration and makes the pool. It talks to nobody.
func NewPool(cfg Config, tracker *chain.Tracker, catalogue *methods.Catalogue, factory telemetry.Factory, log *slog.Logger) (*Pool, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	p := &Pool{
		cfg:       cfg,
		log:       log,
		tracker:   tracker,
		catalogue: catalogue,
		failsafes: newFailsafes(cfg.Failsafe, cfg.Rules, catalogue),
		broadcast: newBroadcaster(cfg.SendTimeout),
		identity:  Identity{ChainID: cfg.ChainID, Genesis: cfg.Genesis},
	}
	p.metrics, p.misconduct = newMetrics(factory), newMisconduct()
	taken := map[ID]bool{}
	for _, endpoint := range cfg.Upstreams {
		target, err := parseURL(endpoint.URL)
		if err != nil {
			return nil, err
		}
		id := freeID(taken, endpoint.ID, target.Host)
		p.upstreams = append(p.upstreams, &Upstream{
			id:        id,
			transport: newTransport(target, cfg.MaxConnections, cfg.MaxResponseBytes),
			probes:    newTransport(target, 1, maxProbeBytes),
			metrics:   p.metrics.of(cfg.Network, id),
			health:    newHealth(),
			lost:      make(chan struct{}, 1),
		})
	}
	return p, nil
}

// freeID names an upstream; two URLs on one host get numbers.
func freeID(taken map[ID]bool, configured, host string) ID {
	id := ID(configured)
	if id == "" {
		id = ID(host)
	}
	for n := 2; taken[id]; n++ {
		id = ID(fmt.Sprintf("%s#%d", host, n))
	}
	taken[id] = true
	return id
}

// Run follows the nodes until ctx ends. It calls ready when each has been
// tried once. It returns a WrongChainError when all of them show another chain
// than the configured one.
func (p *Pool) Run(ctx context.Context, ready func()) error {
	group, ctx := errgroup.WithContext(ctx)
	var tried sync.WaitGroup
	for _, u := range p.upstreams {
		tried.Add(1)
		poller := newPoller(p, u)
		group.Go(func() error {
			poller.run(ctx, tried.Done)
			return nil
		})
	}
	group.Go(func() error {
		p.broadcast.run(ctx)
		return nil
	})
	tried.Wait() // each first look is bounded by the probe timeout
	if err := p.wrongChain(); err != nil {
		group.Go(func() error { return err }) // ends the pollers
	} else {
		ready()
	}
	err := group.Wait()
	for _, u := range p.upstreams {
		u.transport.close()
		u.probes.close()
	}
	return err
}

// Upstreams lists the nodes in the order of the configuration.
func (p *Pool) Upstreams() []*Upstream { return p.upstreams }

// Identity says which chain the pool serves.
func (p *Pool) Identity() Identity {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.identity
}

// IsReady says whether at least one node can be asked.
func (p *Pool) IsReady() bool {
	for _, u := range p.upstreams {
		if u.State() == Serving {
			return true
		}
	}
	return false
}

// candidates lists the nodes that may be asked, the best first.
func (p *Pool) candidates(facts methods.Facts) []*Upstream {
	list := make([]*Upstream, 0, len(p.upstreams))
	latest := p.tracker.Head().Latest
	var ranks [16]int64 // of list; beyond 16 nodes the order of the configuration is kept
	for _, u := range p.upstreams {
		if u.State() != Serving {
			continue
		}
		rank := p.rank(u, facts, latest)
		at := len(list)
		list = append(list, u)
		if at >= len(ranks) {
			continue
		}
		for ; at > 0 && ranks[at-1] > rank; at-- { // insertion keeps ties in order
			list[at], ranks[at] = list[at-1], ranks[at-1]
		}
		list[at], ranks[at] = u, rank
	}
	return list
}

// Steps of a rank: each weighs more than everything after it.
const (
	rankDown   = 1 << 40
	rankBehind = 1 << 32
)

// rank orders a node for a request, the lower the better.
func (p *Pool) rank(u *Upstream, facts methods.Facts, latest uint64) int64 {
	var rank int64
	if u.isDown.Load() {
		rank += rankDown
	}
	if facts.Method.Kind == methods.Filter {
		return rank // always the same node while it is healthy
	}
	if isBehind(u.Head(), facts, latest, p.cfg.MaxLag) {
		rank += rankBehind
	}
	return rank + u.score.Load()
}

// isBehind says whether a node may lack the block a request asks for.
func isBehind(head uint64, facts methods.Facts, latest, maxLag uint64) bool {
	if facts.Ref == methods.RefNumber {
		return head < facts.Number
	}
	return head+maxLag < latest
}
