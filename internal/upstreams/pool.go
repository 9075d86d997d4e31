package upstreams

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

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

	checker        *checker
	mayCorroborate bool // some check compares answers with blocks
	blocks         summaries
	lookups        chan struct{} // one for each block that is asked for

	misconduct *misconduct
	selectors  selectorCache
	budgets    atomic.Pointer[Budgets]
	born       time.Time // origin of the times that are kept as numbers; monotonic
	isSpread   bool      // some node has a weight for some calls

	finalityWhy atomic.Pointer[string]

	mu       sync.Mutex // guards identity and the changing of cordons
	identity Identity
}

// now is the time since the pool was made. It is monotonic: clocks that are set
// do not move it.
func (p *Pool) now() time.Duration { return time.Since(p.born) }

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
		born:      time.Now(),
		checker:   newChecker(),
		lookups:   make(chan struct{}, cfg.Integrity.MaxLookups),
	}
	p.mayCorroborate = cfg.Integrity.Checks&CorroboratedChecks() != 0
	p.metrics, p.misconduct = newMetrics(factory), newMisconduct()
	taken := map[ID]bool{}
	for _, endpoint := range cfg.Upstreams {
		target, err := parseURL(endpoint.URL)
		if err != nil {
			return nil, err
		}
		push, err := newPushing(endpoint.WebSocketURL)
		if err != nil {
			return nil, err
		}
		id := freeID(taken, endpoint.ID, target.Host)
		u := newUpstream(p, endpoint, target, id, p.metrics.of(cfg.Project, cfg.Network, id))
		u.pushing = push
		p.introduce(u)
		p.upstreams = append(p.upstreams, u)
		p.isSpread = p.isSpread || endpoint.isWeighted()
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

// FinalitySource says who decided which blocks are final: the configuration, or
// the node that was asked and what it said. Empty while no node was asked.
func (p *Pool) FinalitySource() string {
	if p.cfg.Finality.Mode != chain.Auto {
		return "configured"
	}
	if why := p.finalityWhy.Load(); why != nil {
		return *why
	}
	return ""
}

// Head says where the network stands.
func (p *Pool) Head() chain.Head { return p.tracker.Head() }

// Finality is the network's rule of finality.
func (p *Pool) Finality() chain.Finality { return p.tracker.Finality() }

// IsReady says whether at least one node can be asked.
func (p *Pool) IsReady() bool {
	for _, u := range p.upstreams {
		if u.State() == Serving {
			return true
		}
	}
	return false
}
