package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/telemetry"
)

// SocketConfig bounds the WebSocket connections.
type SocketConfig struct {
	// MaxConnections is how many there may be at a time.
	MaxConnections int
	// MaxInFlight is how many messages of one connection are answered at a time;
	// the next ones are not read until one of them is.
	MaxInFlight int
	// PingEvery is the time between two signs of life that a client is asked for.
	PingEvery time.Duration
	// WriteTimeout is how long a client may take to receive one message.
	WriteTimeout time.Duration
	// DrainTimeout is how long calls in flight may take at the stop.
	DrainTimeout time.Duration
}

// DefaultSockets is the configuration that needs no change.
func DefaultSockets() SocketConfig {
	return SocketConfig{
		MaxConnections: 10_000,
		MaxInFlight:    16,
		PingEvery:      30 * time.Second,
		WriteTimeout:   10 * time.Second,
		DrainTimeout:   5 * time.Second,
	}
}

// Validate reports everything that is wrong.
func (c SocketConfig) Validate() error {
	var errs []error
	if c.MaxConnections < 1 {
		errs = append(errs, errors.New("WebSocket connections: must be at least 1"))
	}
	if c.MaxInFlight < 1 {
		errs = append(errs, errors.New("messages in flight on a WebSocket: must be at least 1"))
	}
	if c.PingEvery <= 0 || c.WriteTimeout <= 0 || c.DrainTimeout <= 0 {
		errs = append(errs, errors.New("times of a WebSocket: must be more than zero"))
	}
	return errors.Join(errs...)
}

// Sockets keeps the WebSocket connections of a program. They outlive the
// Gateway that took them: a new configuration does not cut them, their messages
// go to the new one.
type Sockets struct {
	cfg     SocketConfig
	metrics *socketMetrics
	log     *slog.Logger
	gateway atomic.Pointer[Gateway]

	mu        sync.Mutex
	open      map[*socket]struct{}
	isClosing bool
	done      sync.WaitGroup // of open
}

// NewSockets checks the configuration. It starts nothing.
func NewSockets(cfg SocketConfig, factory telemetry.Factory, log *slog.Logger) (*Sockets, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Sockets{cfg: cfg, metrics: newSocketMetrics(factory), log: log, open: map[*socket]struct{}{}}, nil
}

// Use sends the messages of all connections to a gateway from now on.
func (s *Sockets) Use(g *Gateway) { s.gateway.Store(g) }

// Run closes the connections when ctx ends: each once its calls in flight are
// answered. It implements lifecycle.Run.
func (s *Sockets) Run(ctx context.Context, ready func()) error {
	ready()
	<-ctx.Done()
	s.mu.Lock()
	s.isClosing = true
	for c := range s.open {
		s.done.Add(1)
		go func() {
			defer s.done.Done()
			c.drain(context.WithoutCancel(ctx))
		}()
	}
	s.mu.Unlock()
	s.done.Wait() // each is bounded by its drain
	return nil
}

// add takes a connection in, if there is room.
func (s *Sockets) add(c *socket) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosing {
		return false
	}
	s.open[c] = struct{}{}
	s.done.Add(1)
	return true
}

func (s *Sockets) remove(c *socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
	s.done.Done()
}

// hasRoom is asked before the handshake. Some connections more than allowed may
// slip through when many come at the same moment.
func (s *Sockets) hasRoom() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.isClosing && len(s.open) < s.cfg.MaxConnections
}

// isUpgrade says whether a request asks for a WebSocket.
func isUpgrade(r *http.Request) bool {
	return hasToken(r.Header["Upgrade"], "websocket") && hasToken(r.Header["Connection"], "upgrade")
}

func hasToken(lines []string, token string) bool {
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
	}
	return false
}

// serveSocket takes a WebSocket and serves it until it ends.
func (h *Gateway) serveSocket(ctx context.Context, x *exchange, p *project, problem *jsonrpc.Error) {
	x.begin(nil) // a connection lives too long for a trace
	if problem == nil && x.network == nil {
		problem = p.unknownNetwork()
	}
	if problem != nil {
		h.writeError(x, http.StatusNotFound, nil, problem)
		return
	}
	if x.network.hub == nil {
		h.writeError(x, http.StatusNotImplemented, nil, jsonrpc.NewError(jsonrpc.CodeInvalidRequest, "this network is served over HTTP only"))
		return
	}
	// A page of a foreign origin must not use a browser's way into this network.
	if origin := x.r.Header["Origin"]; len(origin) > 0 && !p.cors.allows(origin[0]) {
		h.sockets.metrics.refused("origin")
		h.writeError(x, http.StatusForbidden, nil, jsonrpc.NewError(jsonrpc.CodeInvalidRequest, "pages of this origin are not let in"))
		return
	}
	var err error
	trace := x.trace
	if x.caller, err = h.callerOf(ctx, p, x.network, x.r); err != nil {
		h.sockets.metrics.refused("unauthorized")
		h.writeRefusal(x, err)
		return
	}
	x.trace = trace
	if !h.sockets.hasRoom() {
		h.sockets.metrics.refused("full")
		h.writeError(x, http.StatusServiceUnavailable, nil, jsonrpc.NewError(jsonrpc.CodeUnavailable, "too many WebSocket connections"))
		return
	}
	conn, err := websocket.Accept(x.w, x.r, &websocket.AcceptOptions{InsecureSkipVerify: true}) // the origin is checked above
	if err != nil {
		h.sockets.metrics.refused("handshake")
		return // it has answered
	}
	conn.SetReadLimit(h.cfg.MaxBodyBytes)
	h.sockets.serve(ctx, x, h, conn)
}

// callerOf says who sends a request to a network, and how it wants its answers.
func (h *Gateway) callerOf(ctx context.Context, p *project, n *Network, r *http.Request) (caller, error) {
	who, err := h.authenticate(ctx, p, r)
	if err != nil {
		return caller{}, err
	}
	from := caller{client: who, directives: n.cfg.Directives}
	p.directives.read(&from.directives, r)
	from.takeForwarded(p, r)
	return from, nil
}
