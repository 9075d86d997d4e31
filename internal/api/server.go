package api

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/labstack/echo/v4"

	"github.com/slipwayhq/slipway/internal/audit"
	"github.com/slipwayhq/slipway/internal/madekeys"
	"github.com/slipwayhq/slipway/internal/nodeclient"
	"github.com/slipwayhq/slipway/internal/queue"
	"github.com/slipwayhq/slipway/internal/signing"
	"github.com/slipwayhq/slipway/internal/telemetry"
	"github.com/slipwayhq/slipway/internal/wallets"
)

// Queue is what the API needs of the transaction queue.
type Queue interface {
	Enqueue(ctx context.Context, r queue.Request) (queue.Accepted, error)
	EnqueueWatched(ctx context.Context, r queue.Request) (queue.Accepted, queue.Watch, error)
	Accounts() []common.Address
	Transactions
	Senders
}

// Node is where calls go that need no key.
type Node interface {
	Forward(ctx context.Context, body []byte) (answer []byte, status int, err error)
}

// Keys finds the signer of an account, or signing.ErrUnknownSigner.
type Keys interface {
	Signer(address common.Address) (signing.Signer, error)
	Signers() []signing.Signer
}

// Sources open WebSockets to the gateway, for subscriptions.
type Sources interface {
	Dial(ctx context.Context) (*nodeclient.Socket, error)
}

// Deps are what the API works with.
type Deps struct {
	Queue Queue
	Node  Node
	// Keys sign messages.
	Keys Keys
	// Wallets are the accounts of end users; nil for none.
	Wallets *wallets.Service
	// MadeKeys are those that key services have made; nil for none.
	MadeKeys *madekeys.Service
	// Sources are where eth_subscribe goes; with nil it goes to Node.
	Sources Sources
	ChainID uint64
	// KeySwitch turns keys off and on; nil where they are those of the configuration.
	KeySwitch KeySwitch
	// Access says who makes a request; nil lets everybody who gets here do
	// everything.
	Access Access
	// Gate knows the policy, and which sender is whose; nil for none.
	Gate Gate
	// APIKeys are the keys of callers; nil where they are not used.
	APIKeys CallerKeys
	// Approvals is where people agree to transactions.
	Approvals Approvals
	// Audit is where is written down what callers do; nil for nowhere.
	Audit *audit.Log
	// Events and Webhooks tell what becomes of transactions; nil for none.
	Events   EventFeed
	Webhooks Webhooks
	// LocalOnly refuses web pages from elsewhere; for a signer without
	// authentication.
	LocalOnly bool
	Metrics   telemetry.Factory
	Log       *slog.Logger
}

// server holds what the handlers share.
type server struct {
	cfg      Config
	queue    Queue
	node     Node
	keys     Keys
	wallets  *wallets.Service
	madekeys *madekeys.Service
	sources  Sources
	sockets  *sockets
	methods  map[string]method
	// stopping is closed when nobody shall wait any longer.
	stopping chan struct{}
	chainID  uint64
	access   accessDeps
	// localOnly says that guardLocal has looked at the origin of every request.
	localOnly bool
	metrics   *metrics
	log       *slog.Logger
	keySwitch KeySwitch

	events   EventFeed
	webhooks Webhooks
}

// Handler is the HTTP handler of the signer's port. It must be run as well: see Run.
type Handler struct {
	http.Handler
	sockets *sockets
	stop    func()
}

// StopWaiting ends the waits of POST /v1/transactions, now and from now on: they
// answer that their transactions go on. It may be called more than once.
func (h *Handler) StopWaiting() { h.stop() }

// Run keeps the WebSocket connections: it ends them, once their calls are
// answered, when ctx ends. It implements lifecycle.Run.
func (h *Handler) Run(ctx context.Context, ready func()) error { return h.sockets.run(ctx, ready) }

// NewHandler makes the HTTP handler of the signer's port.
func NewHandler(cfg Config, deps Deps) (*Handler, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &server{
		cfg: cfg, queue: deps.Queue, node: deps.Node, keys: deps.Keys, wallets: deps.Wallets, madekeys: deps.MadeKeys,
		sources: deps.Sources, sockets: &sockets{most: cfg.MaxSockets, ping: socketPing, open: map[*socket]struct{}{}}, localOnly: deps.LocalOnly,
		chainID: deps.ChainID, metrics: newMetrics(deps.Metrics), log: deps.Log, keySwitch: deps.KeySwitch,
		events: deps.Events, webhooks: deps.Webhooks,
	}
	s.stopping = make(chan struct{})
	s.methods = s.methodTable()
	s.access = accessDeps{deps.Access, deps.Gate, deps.APIKeys, deps.Approvals, deps.Audit}

	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = s.writeError
	e.Use(s.measure, s.recovered, s.limitBody, s.readableTexts)
	if deps.LocalOnly {
		e.Use(guardLocal)
	}
	e.Use(s.authenticate)
	e.POST("/", s.handleRPC)
	e.GET("/", s.handleSocket)
	e.GET("/health", s.handleHealth)
	s.restRoutes(e)
	s.accessRoutes(e)
	s.eventRoutes(e)
	return &Handler{Handler: e, sockets: s.sockets, stop: sync.OnceFunc(func() { close(s.stopping) })}, nil
}

// handleHealth says that the process answers; /readyz on the admin port says
// whether its dependencies do.
func (s *server) handleHealth(c echo.Context) error {
	return c.JSON(http.StatusOK, map[string]string{"status": "ok"})
}

// measure counts and times requests by route, never by path.
func (s *server) measure(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := time.Now()
		if err := next(c); err != nil {
			c.Error(err)
		}
		route := c.Path()
		if route == "" {
			route = "none"
		}
		s.metrics.requests.WithLabelValues(route, strconv.Itoa(c.Response().Status)).Inc()
		if isUpgrade(c.Request()) || route == eventsRoute {
			return nil // it lasted as long as its client wished
		}
		s.metrics.seconds.WithLabelValues(route).Observe(time.Since(start).Seconds())
		return nil
	}
}

func (s *server) limitBody(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		r.Body = http.MaxBytesReader(c.Response(), r.Body, s.cfg.MaxBody)
		return next(c)
	}
}

// errBodyTooLarge says that a body is over Config.MaxBody.
var errBodyTooLarge = errors.New("the request body is too large")

// readBody reads the whole body.
func readBody(c echo.Context) ([]byte, error) {
	body, err := io.ReadAll(c.Request().Body)
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, errBodyTooLarge
	}
	if err != nil {
		return nil, invalid("the request body could not be read")
	}
	return body, nil
}
