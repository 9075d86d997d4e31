package api

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/labstack/echo/v4"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
)

// sockets are the open WebSocket connections.
type sockets struct {
	most int
	ping time.Duration // between two signs of life

	mu        sync.Mutex // guards the fields below
	open      map[*socket]struct{}
	isClosing bool
	done      sync.WaitGroup // of open
}

// run closes the connections when ctx ends, each once its calls in flight are
// answered. It implements lifecycle.Run.
func (s *sockets) run(ctx context.Context, ready func()) error {
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
func (s *sockets) add(c *socket) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosing || len(s.open) >= s.most {
		return false
	}
	s.open[c] = struct{}{}
	s.done.Add(1)
	return true
}

func (s *sockets) remove(c *socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
	s.done.Done()
}

// hasRoom is asked before the handshake, so that a refusal has an HTTP status.
func (s *sockets) hasRoom() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.isClosing && len(s.open) < s.most
}

// isUpgrade says whether a request asks for a WebSocket.
func isUpgrade(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// handleSocket serves JSON-RPC over a WebSocket until the connection ends.
func (s *server) handleSocket(c echo.Context) error {
	r := c.Request()
	if !isUpgrade(r) {
		return echo.ErrMethodNotAllowed
	}
	if !s.sockets.hasRoom() {
		return s.writeRPC(c, http.StatusServiceUnavailable, jsonrpc.AppendError(nil, nil, jsonrpc.NewError(jsonrpc.CodeUnavailable, "too many WebSocket connections")))
	}
	// Pages of other origins are refused by the library, or by guardLocal.
	conn, err := websocket.Accept(c.Response(), r, &websocket.AcceptOptions{InsecureSkipVerify: s.localOnly})
	if err != nil {
		return nil // the library has answered
	}
	conn.SetReadLimit(-1) // read has its own
	// The connection outlives its request, whose context net/http ends.
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	defer cancel()
	k := &socket{server: s, conn: conn, who: callerOf(r.Header), cancel: cancel, slots: make(chan struct{}, socketInFlight)}
	if !s.sockets.add(k) {
		k.close(websocket.StatusTryAgainLater, "too many connections")
		return nil
	}
	defer s.sockets.remove(k)
	s.metrics.sockets.WithLabelValues().Inc()
	defer s.metrics.sockets.WithLabelValues().Dec()
	k.serve(ctx)
	return nil
}

const (
	// socketInFlight is how many messages of one connection are answered at a
	// time; the next ones are not read until one of them is.
	socketInFlight = 64
	// socketWrite bounds the sending of one message: who does not read is cut off.
	socketWrite = 10 * time.Second
	// socketPing is the time between two signs of life that a client is asked for.
	socketPing = 30 * time.Second
	// socketDrain is how long calls in flight may take at the stop.
	socketDrain = 5 * time.Second
	// socketClose is how long a client may take to answer to the end.
	socketClose = 2 * time.Second
)
