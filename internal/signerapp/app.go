package signerapp

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/slipwayhq/slipway/internal/access"
	"github.com/slipwayhq/slipway/internal/admission"
	"github.com/slipwayhq/slipway/internal/api"
	"github.com/slipwayhq/slipway/internal/events"
	"github.com/slipwayhq/slipway/internal/keyswitch"
	"github.com/slipwayhq/slipway/internal/lifecycle"
	"github.com/slipwayhq/slipway/internal/madekeys"
	"github.com/slipwayhq/slipway/internal/nodeclient"
	"github.com/slipwayhq/slipway/internal/pglogin"
	"github.com/slipwayhq/slipway/internal/queue"
	"github.com/slipwayhq/slipway/internal/signing"
	"github.com/slipwayhq/slipway/internal/signing/keys"
	"github.com/slipwayhq/slipway/internal/telemetry"
	"github.com/slipwayhq/slipway/internal/wallets"
	"github.com/slipwayhq/slipway/internal/webhooks"
)

// Deps are what the signer is given.
type Deps struct {
	Log *slog.Logger
}

// App is one signer.
type App struct {
	cfg     Config
	log     *slog.Logger
	metrics telemetry.Factory
	keys    *keys.Sources
	wallets func(*wallets.Store, signing.Keys) (*wallets.Service, error)
	node    *nodeclient.Client
	login   *pglogin.Login // nil without files
	// webhookKey seals the secrets of webhooks; nil for none.
	webhookKey []byte

	mu          sync.Mutex // guards the fields below
	addr, admin string
}

// New checks the configuration and derives the keys that lie in this process; it
// calls nobody.
func New(cfg Config, deps Deps) (*App, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	sources, err := keys.Open(cfg.Keys.sources(), deps.Log)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	users, err := loadWallets(cfg)
	if err != nil {
		return nil, err
	}
	webhookKey, err := loadWebhookKey(cfg)
	if err != nil {
		return nil, err
	}
	login, err := cfg.login(deps.Log)
	if err != nil {
		return nil, err
	}
	node, err := nodeclient.New(nodeclient.Config{URL: cfg.GatewayURL})
	if err != nil {
		return nil, fmt.Errorf("gatewayUrl: %w", err)
	}
	return &App{cfg: cfg, log: deps.Log, metrics: telemetry.NewFactory(), keys: sources, wallets: users, node: node, login: login, webhookKey: webhookKey}, nil
}

// Metrics lists the signer's own metrics, for the documentation.
func Metrics() ([]telemetry.Metric, error) {
	factory := telemetry.NewFactory()
	cfg := Default()
	cfg.Queue.ChainID = 1
	q, err := queue.New(cfg.Queue, queue.Deps{Metrics: factory})
	if err != nil {
		return nil, err
	}
	if _, err = newGate(cfg, nil, nil, factory, nil); err != nil {
		return nil, err
	}
	if _, err = access.New(cfg.Access, nil, factory, nil); err != nil {
		return nil, err
	}
	if _, err := events.NewFeed(cfg.Events, nil, factory, nil); err != nil {
		return nil, err
	}
	if _, err := webhooks.New(cfg.Webhooks, webhooks.Deps{Metrics: factory}); err != nil {
		return nil, err
	}
	_, err = api.NewHandler(cfg.API, api.Deps{Queue: q, Metrics: factory})
	return factory.Metrics(), err
}

// Addr is the address of the REST and JSON-RPC port, once Run called ready.
func (a *App) Addr() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.addr
}

// AdminAddr is the address of the admin port, once Run called ready.
func (a *App) AdminAddr() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.admin
}

// Run opens the database, brings it up to date, and serves until ctx ends. It
// implements lifecycle.Run.
func (a *App) Run(ctx context.Context, ready func()) error {
	defer a.node.Close()
	pool, err := a.openDatabase(ctx)
	if err != nil {
		return err
	}
	defer pool.Close()
	if a.cfg.Queue.ChainID == 0 {
		if a.cfg.Queue.ChainID, err = a.learnChain(ctx, pool); err != nil {
			return err
		}
	}

	users, err := a.wallets(wallets.NewStore(pool, a.cfg.Queue.ChainID), a.keys.Keyring())
	if err != nil {
		return err
	}
	all := signing.Chain{a.keys.Keyring()}
	if users != nil {
		all = append(all, users)
	}
	made := madekeys.New(madekeys.NewStore(pool, a.cfg.Queue.ChainID), a.keys, a.keys.Keyring(), a.log)
	all = append(all, made)
	keys := keyswitch.New(all, keyswitch.NewStore(pool), a.log)
	group := lifecycle.Group{StopTimeout: a.cfg.DrainTimeout + 10*time.Second}
	guards, err := a.guards(ctx, pool, owners{users, made}, &group)
	if err != nil {
		return err
	}
	q, err := queue.New(a.cfg.Queue, queue.Deps{
		Store: queue.NewStore(pool, a.cfg.Queue.ChainID), Node: a.node, Keys: keys, Admit: guards.gate, Audit: guards.audit, Metrics: a.metrics, Log: a.log,
	})
	if err != nil {
		return err
	}
	tell, err := a.newTelling(pool)
	if err != nil {
		return err
	}
	deps := api.Deps{
		Events: tell.feed, Webhooks: tell.webhooks,
		Queue: q, Node: a.node, Keys: keys, KeySwitch: keys, Wallets: users, MadeKeys: made, Sources: a.node, ChainID: a.cfg.Queue.ChainID, LocalOnly: a.cfg.Dev, Metrics: a.metrics, Log: a.log,
		Gate: admission.Front{Gate: guards.gate, Meter: q}, Approvals: q, Audit: guards.audit,
	}
	guards.guard(&deps)
	handler, err := api.NewHandler(a.cfg.API, deps)
	if err != nil {
		return err
	}
	admin := telemetry.NewAdminHandler(a.metrics.Gatherer(),
		telemetry.Check{Name: "database", Fn: q.Ping},
		telemetry.Check{Name: "gateway", Fn: a.checkGateway})

	group.Add("admin port", a.serve(a.cfg.AdminListen, admin, func(addr string) { a.admin = addr }).Run)
	a.keys.OnAdded(q.Register)
	group.Add("keys that are turned off", keys.Run)
	group.Add("keys", a.keys.Run)
	group.Add("queue", func(ctx context.Context, ready func()) error {
		if err := q.Register(ctx); err != nil {
			return err
		}
		ready()
		return q.Run(ctx)
	})
	group.Add("WebSockets", handler.Run)
	group.Add("webhooks", tell.webhooks.Run)
	port := a.serve(a.cfg.Listen, handler, func(addr string) { a.addr = addr })
	port.IsFast = true
	port.OnStop = handler.StopWaiting
	port.TLS = guards.tls
	group.Add("api port", port.Run)
	group.Add("event streams", tell.feed.Run) // stopped before the port, which would wait for them
	return group.Run(ctx, ready)
}

func (a *App) serve(addr string, handler http.Handler, remember func(string)) *lifecycle.HTTPServer {
	return &lifecycle.HTTPServer{Addr: addr, Handler: handler, Log: a.log, DrainTimeout: a.cfg.DrainTimeout, OnListen: func(addr net.Addr) {
		a.mu.Lock()
		defer a.mu.Unlock()
		remember(addr.String())
	}}
}

// checkGateway asks for the chain id, so that another chain is not ready either.
func (a *App) checkGateway(ctx context.Context) error {
	id, err := a.node.ChainID(ctx)
	if err != nil {
		return err
	}
	if id != a.cfg.Queue.ChainID {
		return fmt.Errorf("chain id %d, want %d", id, a.cfg.Queue.ChainID)
	}
	return nil
}
