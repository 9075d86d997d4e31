package gatewayapp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/slipwayhq/slipway/internal/cache"
	"github.com/slipwayhq/slipway/internal/gateway"
	"github.com/slipwayhq/slipway/internal/lifecycle"
	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/sharedstate"
	"github.com/slipwayhq/slipway/internal/telemetry"
	"github.com/slipwayhq/slipway/internal/tlsfiles"
)

// Deps is what the program around the gateway gives it.
type Deps struct {
	Log *slog.Logger
}

// App is a gateway. New makes it, Run runs it once.
type App struct {
	start     Config // the one it was made with: its addresses and times hold for ever
	log       *slog.Logger
	factory   telemetry.Factory
	tracer    *telemetry.Tracer // nil records nothing
	catalogue *methods.Catalogue
	site      atomic.Pointer[site]
	changes   chan change
	shared    *sharedstate.State
	sockets   *gateway.Sockets

	isStopping atomic.Bool
	addr       atomic.Pointer[string]
	adminAddr  atomic.Pointer[string]
}

// New checks the configuration and puts the gateway together. It opens nothing
// and talks to nobody.
func New(cfg Config, deps Deps) (*App, error) {
	a := &App{start: cfg, log: deps.Log, factory: telemetry.NewFactory(), catalogue: methods.New(), changes: make(chan change)}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	var err error
	if a.sockets, err = gateway.NewSockets(cfg.Sockets, a.factory, a.log); err != nil {
		return nil, err
	}
	if a.shared, err = a.newShared(); err != nil {
		return nil, err
	}
	if cfg.Tracing != nil {
		a.tracer = telemetry.NewTracer(*cfg.Tracing, deps.Log)
	}
	first, err := a.newSite(cfg, nil)
	if err != nil {
		return nil, err
	}
	a.site.Store(first)
	first.takeOver(a.sockets)
	return a, nil
}

// Run serves until ctx ends. It calls ready when it listens and has tried each
// upstream once; whether one of them can be asked, /readyz says. It implements
// lifecycle.Run.
func (a *App) Run(ctx context.Context, ready func()) error {
	group := lifecycle.Group{StopTimeout: a.start.DrainTimeout + 5*time.Second}
	if a.tracer != nil {
		group.Add("tracing", a.tracer.Run) // first to start and last to stop
	}
	group.Add("upstreams", a.runSites)
	group.Add("shared state", a.runShared)
	adminTLS, frontTLS := a.addTLS(&group, "admin certificate", a.start.AdminTLS), a.addTLS(&group, "certificate", a.start.TLS)

	admin := a.server(a.start.AdminListen, a.adminHandler(), &a.adminAddr)
	admin.TLS = adminTLS
	group.Add("admin", admin.Run)
	front := a.server(a.start.Listen, http.HandlerFunc(a.serve), &a.addr)
	front.TLS = frontTLS
	front.IsFast = true
	front.UnencryptedHTTP2 = true // behind a load balancer, one connection carries many clients
	front.ReadTimeout = a.start.ReadTimeout
	// An answer may take as long as a call, and then has to be written. One that is
	// ready has AnswerTimeout for that, whenever it was (see gateway.Config).
	front.WriteTimeout = a.start.ReadTimeout + a.start.Front.RequestTimeout + a.start.Front.AnswerTimeout
	group.Add("gateway", front.Run)
	// The last to start is the first to stop: clients on WebSockets are told at
	// once to go elsewhere.
	group.Add("WebSockets", a.sockets.Run)

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
			slog.String("networks", a.site.Load().names()))
		ready()
	})
}

// addTLS adds what keeps certificate files up to date, if there are any.
func (a *App) addTLS(group *lifecycle.Group, name string, cfg *tlsfiles.Config) *tls.Config {
	if cfg == nil {
		return nil
	}
	files := tlsfiles.New(*cfg, a.log)
	group.Add(name, files.Run)
	return files.Server()
}

// serve hands a request to the present site. While load balancers are given time, every
// answer asks its client to leave: what is left at the shutdown has been quiet for that
// long, and no request is on its way when it is closed.
func (a *App) serve(w http.ResponseWriter, r *http.Request) {
	if a.isStopping.Load() {
		w.Header().Set("Connection", "close")
	}
	a.site.Load().front.ServeHTTP(w, r)
}

// Reload puts a new configuration in the place of the present one, without an
// interruption for clients. It returns when the new one is in force, or the
// reason why the old one stays. What only a new start can change is listed by
// NeedsRestart.
func (a *App) Reload(ctx context.Context, cfg Config) error {
	c := change{cfg: cfg, done: make(chan error, 1)}
	select {
	case a.changes <- c:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-c.done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// NeedsRestart lists the settings in which cfg differs from the running
// gateway and which a reload does not change.
func (a *App) NeedsRestart(cfg Config) []string {
	var out []string
	for _, setting := range []struct {
		name string
		same bool
	}{
		{"listen address", cfg.Listen == a.start.Listen},
		{"admin listen address", cfg.AdminListen == a.start.AdminListen},
		{"TLS", reflect.DeepEqual([]*tlsfiles.Config{cfg.TLS, cfg.AdminTLS}, []*tlsfiles.Config{a.start.TLS, a.start.AdminTLS})},
		{"shared state", reflect.DeepEqual(cfg.SharedState, a.start.SharedState)},
		{"tracing", reflect.DeepEqual(cfg.Tracing, a.start.Tracing)},
		{"times of the shutdown", cfg.WaitBeforeShutdown == a.start.WaitBeforeShutdown && cfg.DrainTimeout == a.start.DrainTimeout},
		{"limits of WebSockets and subscriptions", cfg.Sockets == a.start.Sockets && cfg.Subscriptions == a.start.Subscriptions},
		{"the time to read requests", cfg.ReadTimeout == a.start.ReadTimeout},
		{"a longer request timeout", cfg.Front.RequestTimeout+cfg.Front.AnswerTimeout <= a.start.Front.RequestTimeout+a.start.Front.AnswerTimeout},
	} {
		if !setting.same {
			out = append(out, setting.name)
		}
	}
	return out
}

// waitBeforeShutdown gives load balancers the time to see that /readyz fails.
func (a *App) waitBeforeShutdown(ctx context.Context) {
	timer := time.NewTimer(a.start.WaitBeforeShutdown)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done(): // the group has failed on its own
	}
}

func (a *App) server(address string, handler http.Handler, at *atomic.Pointer[string]) *lifecycle.HTTPServer {
	return &lifecycle.HTTPServer{
		Addr: address, Handler: handler, Log: a.log, DrainTimeout: a.start.DrainTimeout,
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
			if !a.site.Load().isReady() {
				return errNoUpstream
			}
			return nil
		}},
	}
}

// stores are the caches in use; store and run are nil where there is nothing.
type stores struct {
	store cache.Store
	run   lifecycle.Run
	part  *part // nil where run is
}

func newStores(cfg CacheConfig, m *cache.Metrics, log *slog.Logger) (*stores, error) {
	s := &stores{}
	var memory *cache.Memory
	var err error
	if cfg.MemoryBytes > 0 {
		if memory, err = cache.NewMemory(cfg.MemoryBytes, m); err != nil {
			return nil, fmt.Errorf("cache: %w", err)
		}
		s.store = memory
	}
	if !cfg.Redis.Conn.IsSet() {
		return s, nil
	}
	cfg.Redis.Conn.Log = log
	redis, err := cache.NewRedis(cfg.Redis, m)
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	work := lifecycle.Idle
	if memory == nil {
		s.store = redis
	} else {
		tiered := cache.NewTiered(memory, redis, m)
		s.store, work = tiered, tiered.Run
	}
	s.run = func(ctx context.Context, ready func()) error {
		return errors.Join(work(ctx, ready), redis.Close())
	}
	return s, nil
}
