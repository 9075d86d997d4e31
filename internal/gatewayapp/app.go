package gatewayapp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/slipwayhq/slipway/internal/cache"
	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/gateway"
	"github.com/slipwayhq/slipway/internal/lifecycle"
	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/telemetry"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

// Deps is what the program around the gateway gives it.
type Deps struct {
	Log *slog.Logger
}

// App is a gateway. New makes it, Run runs it once.
type App struct {
	cfg     Config
	log     *slog.Logger
	factory telemetry.Factory
	tracker *chain.Tracker
	pool    *upstreams.Pool
	stores  *stores
	front   http.Handler

	isStopping atomic.Bool
	addr       atomic.Pointer[string]
	adminAddr  atomic.Pointer[string]
}

// New checks the configuration and puts the gateway together. It opens nothing
// and talks to nobody.
func New(cfg Config, deps Deps) (*App, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	a := &App{cfg: cfg, log: deps.Log, factory: telemetry.NewFactory(), tracker: chain.NewTracker(cfg.Pool.Finality)}
	catalogue := methods.New()
	cfg.Pool.Network = cfg.networkName()

	var err error
	if a.pool, err = upstreams.NewPool(cfg.Pool, a.tracker, catalogue, a.factory, deps.Log); err != nil {
		return nil, err
	}
	if a.stores, err = newStores(cfg.Cache, cache.NewMetrics(a.factory)); err != nil {
		return nil, err
	}
	a.front, err = gateway.New(cfg.Front, gateway.Deps{
		Network:     a.pool,
		Tracker:     a.tracker,
		Catalogue:   catalogue,
		Store:       a.stores.store,
		Health:      a.health,
		Ready:       telemetry.ReadyHandler(a.readiness()...),
		Factory:     a.factory,
		Log:         deps.Log,
		NetworkName: cfg.networkName(),
	})
	if err != nil {
		return nil, err
	}
	return a, nil
}

// Run serves until ctx ends. It calls ready when it listens and has tried each
// upstream once; whether one of them can be asked, /readyz says. It implements
// lifecycle.Run.
func (a *App) Run(ctx context.Context, ready func()) error {
	group := lifecycle.Group{StopTimeout: a.cfg.DrainTimeout + 5*time.Second}
	group.Add("upstreams", a.pool.Run)
	if a.stores.run != nil {
		group.Add("cache", a.stores.run)
	}
	admin := a.server(a.cfg.AdminListen, a.adminHandler(), &a.adminAddr)
	group.Add("admin", admin.Run)
	front := a.server(a.cfg.Listen, a.front, &a.addr)
	front.UnencryptedHTTP2 = true // behind a load balancer, one connection carries many clients
	// An answer may take as long as a call, and then has to be written.
	front.WriteTimeout = a.cfg.Front.RequestTimeout + time.Minute
	group.Add("gateway", front.Run)

	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	cancel := context.AfterFunc(ctx, func() {
		a.isStopping.Store(true)
		a.waitBeforeShutdown(running)
		stop()
	})
	defer cancel()
	return group.Run(running, func() {
		a.log.InfoContext(ctx, "gateway listens", slog.String("addr", a.Addr()), slog.String("admin_addr", a.AdminAddr()),
			slog.Uint64("chain_id", a.pool.Identity().ChainID))
		ready()
	})
}

// waitBeforeShutdown gives load balancers the time to see that /readyz fails.
func (a *App) waitBeforeShutdown(ctx context.Context) {
	timer := time.NewTimer(a.cfg.WaitBeforeShutdown)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done(): // the group has failed on its own
	}
}

func (a *App) server(address string, handler http.Handler, at *atomic.Pointer[string]) *lifecycle.HTTPServer {
	return &lifecycle.HTTPServer{
		Addr: address, Handler: handler, Log: a.log, DrainTimeout: a.cfg.DrainTimeout,
		OnListen: func(addr net.Addr) {
			text := addr.String()
			at.Store(&text)
		},
	}
}

// Addr is the address for clients in use, host:port; empty before ready.
func (a *App) Addr() string { return text(&a.addr) }

// AdminAddr is the address for operators in use, host:port; empty before ready.
func (a *App) AdminAddr() string { return text(&a.adminAddr) }

func text(p *atomic.Pointer[string]) string {
	if s := p.Load(); s != nil {
		return *s
	}
	return ""
}

var (
	errStopping   = errors.New("the gateway is stopping")
	errNoUpstream = errors.New("no upstream is reachable and shows the right chain")
)

func (a *App) readiness() []telemetry.Check {
	return []telemetry.Check{
		{Name: "shutdown", Fn: func(context.Context) error {
			if a.isStopping.Load() {
				return errStopping
			}
			return nil
		}},
		{Name: "upstreams", Fn: func(context.Context) error {
			if !a.pool.IsReady() {
				return errNoUpstream
			}
			return nil
		}},
	}
}

func (a *App) health() gateway.Health {
	head := a.tracker.Head()
	h := gateway.Health{
		Status: "ok", Project: a.cfg.Front.Project, ChainID: a.pool.Identity().ChainID,
		Latest: head.Latest, Finality: a.tracker.Finality().Mode.String(),
	}
	if !a.pool.IsReady() {
		h.Status = "unavailable"
	}
	if head.HasFinalized {
		h.Finalized = &head.Finalized
	}
	for _, u := range a.pool.Upstreams() {
		h.Upstreams = append(h.Upstreams, gateway.UpstreamHealth{
			ID: string(u.ID()), State: u.State().String(), Healthy: u.IsHealthy(), Latest: u.Head(),
		})
	}
	return h
}

// stores are the caches in use; store and run are nil where there is nothing.
type stores struct {
	store cache.Store
	run   lifecycle.Run
}

func newStores(cfg CacheConfig, m *cache.Metrics) (*stores, error) {
	s := &stores{}
	if cfg.MemoryBytes > 0 {
		memory, err := cache.NewMemory(cfg.MemoryBytes, m)
		if err != nil {
			return nil, fmt.Errorf("cache: %w", err)
		}
		s.store = memory
	}
	if cfg.RedisURL.IsEmpty() {
		return s, nil
	}
	redis, err := cache.NewRedis(cfg.RedisURL, cfg.RedisTimeout, m)
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	work := lifecycle.Idle
	if s.store == nil {
		s.store = redis
	} else {
		tiered := cache.NewTiered(s.store, redis, m)
		s.store, work = tiered, tiered.Run
	}
	s.run = func(ctx context.Context, ready func()) error {
		return errors.Join(work(ctx, ready), redis.Close())
	}
	return s, nil
}
