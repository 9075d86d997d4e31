package gatewayapp

import (
	"context"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/slipwayhq/slipway/internal/cache"
	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/sharedstate"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

// publishEvery is how often it is looked whether a network's head has moved.
const publishEvery = 250 * time.Millisecond

// newShared makes what gateways tell each other: how far the networks have come,
// and which nodes operators have taken out of use.
func (a *App) newShared() (*sharedstate.State, error) {
	cfg := a.start.SharedState
	cfg.Redis.Log = a.log
	for _, p := range a.start.Projects {
		for _, n := range p.Networks {
			if !slices.Contains(cfg.Networks, n.name()) {
				cfg.Networks = append(slices.Clone(cfg.Networks), n.name())
			}
		}
	}
	cfg.OnHead = func(name string, latest, finalized uint64) {
		for _, n := range a.site.Load().networks {
			if n.cfg.name() == name {
				n.pool.ObserveShared(latest, finalized)
			}
		}
	}
	cfg.OnPurge = func(p sharedstate.Purge) { a.site.Load().purgeMemory(p) }
	cfg.OnCordons = func(list []sharedstate.Cordon) { a.site.Load().cordon(list) }
	return sharedstate.New(cfg, sharedstate.NewMetrics(a.factory)) //nolint:wrapcheck // says what it is
}

// runShared runs the shared state and tells it how far the networks have come.
func (a *App) runShared(ctx context.Context, ready func()) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return a.shared.Run(ctx, ready) })
	group.Go(func() error {
		ticker := time.NewTicker(publishEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-ticker.C:
				for _, n := range a.site.Load().networks {
					if head := n.tracker.Head(); head.IsKnown {
						a.shared.Publish(n.cfg.name(), head.Latest, head.Finalized)
					}
				}
			}
		}
	})
	return group.Wait() //nolint:wrapcheck // the only error is the state's
}

// memoryPurger is a store with a memory of this process.
type memoryPurger interface {
	PurgeMemory(s cache.Selector) int
}

// purgeMemory removes what another gateway has removed from its memory, and from
// what they share. What cannot be read as a pattern of methods means all.
func (s *site) purgeMemory(p sharedstate.Purge) {
	store, hasMemory := s.stores.store.(memoryPurger)
	if !hasMemory {
		return
	}
	selector := cache.Selector{Project: p.Project, Network: p.Network, Method: methods.AnyMethod()}
	if pattern, err := methods.ParsePattern(p.Method); p.Method != "" && err == nil {
		selector.Method = pattern
	}
	store.PurgeMemory(selector)
}

// place is how a node is called among all that a gateway knows.
func (n *network) place(id upstreams.ID) string {
	return n.project + "/" + n.cfg.name() + "/" + string(id)
}

// cordon takes the nodes out of use that operators have taken out, and no others.
func (s *site) cordon(list []sharedstate.Cordon) {
	for _, n := range s.networks {
		var own []upstreams.Cordon
		for _, c := range list {
			if id, ok := strings.CutPrefix(c.Upstream, n.place("")); ok {
				own = append(own, upstreams.Cordon{Upstream: upstreams.ID(id), Methods: c.Method, Reason: c.Reason, Since: c.Since})
			}
		}
		n.pool.SetCordons(own)
	}
}
