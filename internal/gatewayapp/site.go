package gatewayapp

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/slipwayhq/slipway/internal/auth"
	"github.com/slipwayhq/slipway/internal/cache"
	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/gateway"
	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/subscriptions"
	"github.com/slipwayhq/slipway/internal/telemetry"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

// site is what one configuration makes: the networks with their nodes, the
// stores, and the HTTP front over them. It never changes; a new configuration
// makes a new one, which takes over what is the same.
type site struct {
	cfg      Config
	networks []*network
	gates    []*gate
	stores   *stores
	limits   *limits
	front    *gateway.Gateway
}

// network is one network of one project.
type network struct {
	project string
	cfg     NetworkConfig
	tracker *chain.Tracker
	// catalogue is the gateway's own, with the methods that are defined for the network.
	catalogue *methods.Catalogue
	pool      *upstreams.Pool
	part      *part
	// hub outlives the pool: who has subscribed does not notice a new configuration.
	hub     *subscriptions.Hub
	hubPart *part
}

// newSite checks a configuration and puts a site together. It opens nothing and
// talks to nobody.
func (a *App) newSite(cfg Config, old *site) (*site, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &site{cfg: cfg}
	var err error
	if s.stores, err = a.takeStores(cfg.Cache, old); err != nil {
		return nil, err
	}
	if s.limits, err = a.takeLimits(cfg.RateLimits, old); err != nil {
		return nil, err
	}
	projects := make([]gateway.Project, len(cfg.Projects))
	for i, p := range cfg.Projects {
		projects[i].ProjectConfig = p.ProjectConfig
		g, err := a.takeGate(p.ID, p.Auth, old)
		if err != nil {
			return nil, err
		}
		s.gates = append(s.gates, g)
		if !g.authenticator.IsOpen() { // an open one would read credentials for nobody
			projects[i].Auth = g.authenticator
		}
		for _, net := range p.Networks {
			n, err := a.takeNetwork(p.ID, net, old)
			if err != nil {
				return nil, err
			}
			s.networks = append(s.networks, n)
			projects[i].Networks = append(projects[i].Networks, a.frontParts(n, s))
		}
	}
	admin, err := a.takeAdmin(cfg.Admin, s, old)
	if err != nil {
		return nil, err
	}
	s.front, err = gateway.New(cfg.Front, projects, gateway.Deps{Ready: telemetry.ReadyHandler(a.readiness()...), Admin: admin, Sockets: a.sockets, Tracer: a.tracer, Factory: a.factory, Log: a.log})
	return s, err
}

func (a *App) frontParts(n *network, s *site) gateway.NetworkParts {
	front := n.cfg.front()
	front.Policies, front.OwnCache = s.cfg.Cache.Policies, s.cfg.Cache.OwnPerProject
	return gateway.NetworkParts{
		NetworkConfig: front,
		NetworkDeps: gateway.NetworkDeps{
			Pool: n.pool, Tracker: n.tracker, Catalogue: n.catalogue, Store: s.stores.store, Limiter: s.limits.front(), Hub: n.hub, Health: n.health,
			Factory: a.factory, Log: a.log, Name: n.cfg.name(),
		},
	}
}

// takeNetwork takes a network over from the old site when its nodes and rules
// are the same, so that what was learnt of the nodes is not lost.
func (a *App) takeNetwork(project string, cfg NetworkConfig, old *site) (*network, error) {
	cfg.Pool.Project, cfg.Pool.Network = project, cfg.name()
	n := &network{project: project, cfg: cfg, tracker: chain.NewTracker(cfg.Pool.Finality), catalogue: a.catalogue.With(cfg.Methods)}
	if before := old.network(project, cfg.name()); before != nil {
		if reflect.DeepEqual(before.cfg.Pool, cfg.Pool) && reflect.DeepEqual(before.cfg.Methods, cfg.Methods) {
			same := *before
			same.cfg = cfg
			return &same, nil
		}
		n.hub, n.hubPart = before.hub, before.hubPart
	}
	var err error
	if n.pool, err = upstreams.NewPool(cfg.Pool, n.tracker, n.catalogue, a.factory, a.log); err != nil {
		return nil, fmt.Errorf("project %q: %w", project, err)
	}
	n.part = &part{name: project + "/" + cfg.name(), run: n.pool.Run}
	if n.hub != nil {
		return n, nil // it is told of the new pool when that is in force
	}
	n.hub, err = subscriptions.New(a.start.Subscriptions, subscriptions.Deps{
		Network: n.pool, Catalogue: a.catalogue, Metrics: subscriptions.NewMetrics(a.factory), Log: a.log, Project: project, NetworkName: cfg.name(),
	})
	if err != nil {
		return nil, fmt.Errorf("project %q: subscriptions: %w", project, err)
	}
	n.hubPart = &part{name: n.part.name + " subscriptions", run: n.hub.Run}
	return n, nil
}

// gate knows the clients of one project.
type gate struct {
	cfg           auth.Config
	authenticator *auth.Authenticator
	part          *part
}

// takeGate takes over what knows the clients of a project when its rules are the
// same, and with it the keys of issuers that were fetched.
func (a *App) takeGate(scope string, cfg auth.Config, old *site) (*gate, error) {
	cfg.Scope = scope
	if old != nil {
		for _, g := range old.gates {
			if reflect.DeepEqual(g.cfg, cfg) {
				return g, nil
			}
		}
	}
	authenticator, err := auth.New(cfg, auth.NewMetrics(a.factory, "gateway"), a.log)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", scope, err)
	}
	return &gate{cfg: cfg, authenticator: authenticator, part: &part{name: "authentication of " + scope, run: authenticator.Run}}, nil
}

// takeAdmin makes the endpoint of operators; nil when it is off.
func (a *App) takeAdmin(cfg AdminConfig, s, old *site) (*gateway.Admin, error) {
	if len(cfg.Auth.Strategies) == 0 {
		return nil, nil //nolint:nilnil // no endpoint is no error
	}
	// No project can have this name.
	g, err := a.takeGate(strings.TrimPrefix(gateway.AdminPath, "/"), cfg.Auth, old)
	if err != nil {
		return nil, err
	}
	s.gates = append(s.gates, g)
	filter, err := auth.NewMethodFilter(cfg.AllowMethods, cfg.DenyMethods)
	return &gateway.Admin{Auth: g.authenticator, CORS: cfg.CORS, Permits: filter.Permits, Methods: a.adminMethods()}, err //nolint:wrapcheck // names the setting
}

// network finds a network by its project and name; nil when there is none, as
// in no site.
func (s *site) network(project, name string) *network {
	if s == nil {
		return nil
	}
	for _, n := range s.networks {
		if n.project == project && n.cfg.name() == name {
			return n
		}
	}
	return nil
}

// takeOver makes what outlives a site work with this one.
func (s *site) takeOver(sockets *gateway.Sockets) {
	sockets.Use(s.front)
	for _, n := range s.networks {
		n.hub.Use(n.pool)
		n.pool.SetBudgets(s.limits.ofNodes(n.cfg.name()))
	}
}

func (a *App) takeStores(cfg CacheConfig, old *site) (*stores, error) {
	if old != nil && old.cfg.Cache.MemoryBytes == cfg.MemoryBytes && reflect.DeepEqual(old.cfg.Cache.Redis, cfg.Redis) {
		return old.stores, nil
	}
	s, err := newStores(cfg, cache.NewMetrics(a.factory), a.log)
	if err != nil {
		return nil, err
	}
	if s.run != nil {
		s.part = &part{name: "cache", run: s.run}
	}
	return s, nil
}

// parts lists what runs.
func (s *site) parts() []*part {
	var out []*part
	if s.stores.part != nil {
		out = append(out, s.stores.part)
	}
	out = append(out, s.limits.part)
	for _, g := range s.gates {
		out = append(out, g.part)
	}
	for _, n := range s.networks {
		out = append(out, n.part, n.hubPart)
	}
	return out
}

// without lists the parts of s that another site does not have.
func (s *site) without(other *site) []*part {
	return slices.DeleteFunc(s.parts(), func(p *part) bool { return slices.Contains(other.parts(), p) })
}

// names lists the networks, for a log line.
func (s *site) names() string {
	var out []string
	for _, n := range s.networks {
		out = append(out, "/"+n.project+"/"+strings.ReplaceAll(n.cfg.name(), ":", "/"))
	}
	return strings.Join(out, " ")
}

// isReady says whether requests to at least one network can be answered.
func (s *site) isReady() bool {
	return slices.ContainsFunc(s.networks, func(n *network) bool { return n.pool.IsReady() })
}

// health tells the state of a network.
func (n *network) health() gateway.NetworkHealth {
	head := n.tracker.Head()
	h := gateway.NetworkHealth{
		Status: "ok", Alias: n.cfg.Alias, ChainID: n.pool.Identity().ChainID,
		Latest: head.Latest, Finality: n.tracker.Finality().Mode.String(),
	}
	if !n.pool.IsReady() {
		h.Status = "unavailable"
	}
	if head.HasFinalized {
		h.Finalized = &head.Finalized
	}
	for _, u := range n.pool.Upstreams() {
		h.Upstreams = append(h.Upstreams, gateway.UpstreamHealth{
			ID: string(u.ID()), State: u.State().String(), Healthy: u.IsHealthy(), Latest: u.Head(),
		})
	}
	return h
}

// change is a new configuration on its way.
type change struct {
	cfg  Config
	done chan error
}

// runSites runs the parts of the present site and takes new configurations,
// until ctx ends.
func (a *App) runSites(ctx context.Context, ready func()) (err error) {
	crew := newCrew(a.start.DrainTimeout)
	defer func() {
		if stopErr := crew.stopAll(); err == nil {
			err = stopErr
		}
	}()
	if err := crew.start(ctx, a.site.Load().parts()...); err != nil {
		return err
	}
	ready()
	for {
		select {
		case <-ctx.Done():
			return nil
		case p := <-crew.failed:
			return fmt.Errorf("%s: %w", p.name, p.failure())
		case c := <-a.changes:
			c.done <- a.replace(ctx, crew, c.cfg)
		}
	}
}

// replace puts a new site in the place of the present one. Requests in flight
// stay with the old one and its nodes: a network that no longer runs is no
// longer looked at, but still answers them.
func (a *App) replace(ctx context.Context, crew *crew, cfg Config) error {
	old := a.site.Load()
	next, err := a.newSite(cfg, old)
	if err != nil {
		return err
	}
	if err := crew.start(ctx, next.without(old)...); err != nil {
		return err
	}
	next.cordon(a.shared.Cordons())
	a.site.Store(next)
	next.takeOver(a.sockets)
	return crew.stop(old.without(next)...)
}
