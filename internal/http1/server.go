package http1

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Server serves plain requests itself and leaves all others to Other. Serve
// may be called once.
type Server struct {
	Handler http.Handler
	// Other serves the connections that are handed over. It needs a handler and
	// timeouts of its own.
	Other *http.Server
	Log   *slog.Logger

	// The timeouts mean what those of http.Server do; all are needed. Idle
	// connections and answers may get an eighth more.
	ReadHeaderTimeout, ReadTimeout, WriteTimeout, IdleTimeout time.Duration

	began      time.Time
	date       atomic.Pointer[string]
	isDraining atomic.Bool
	handed     handed

	mu       sync.Mutex
	listener net.Listener       // nil until Serve
	end      context.CancelFunc // ends the contexts of all connections
	conns    map[*conn]struct{}
	group    sync.WaitGroup // of the connections' goroutines
}

// now is the server's clock: the time since it began, which no change of the
// machine's clock disturbs.
func (s *Server) now() time.Duration { return time.Since(s.began) }

// Serve serves the connections of a listener until Shutdown or Close. It
// returns when all its goroutines have ended: http.ErrServerClosed, or what was
// wrong with the listener.
func (s *Server) Serve(listener net.Listener) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s.began = time.Now()
	s.tellTime(s.began)
	s.handed = newHanded(listener.Addr())
	s.mu.Lock()
	s.listener, s.end, s.conns = listener, cancel, map[*conn]struct{}{}
	s.mu.Unlock()
	if s.isDraining.Load() { // it was ended before it began
		_ = listener.Close()
	}

	var helpers sync.WaitGroup
	helpers.Go(func() { _ = s.Other.Serve(s.handed) }) // it ends when it is shut down, or handed is closed
	watching, stop := context.WithCancel(ctx)
	helpers.Go(func() { s.watch(watching) })

	err := s.accept(ctx, listener)
	s.group.Wait()
	stop()
	_ = s.handed.Close()
	helpers.Wait()
	return err
}

func (s *Server) accept(ctx context.Context, listener net.Listener) error {
	const rest = 50 * time.Millisecond
	for {
		from, err := listener.Accept()
		switch {
		case err == nil:
			s.start(ctx, from)
		case s.isDraining.Load():
			return http.ErrServerClosed
		case isPassing(err):
			s.Log.WarnContext(ctx, "no connection can be taken for now", slog.Any("err", err))
			pause(ctx, rest)
		default:
			return err //nolint:wrapcheck // as http.Server
		}
	}
}

// isPassing says whether there will be connections again: too many open files,
// or a client that left while it was taken.
func isPassing(err error) bool {
	var passing interface{ Temporary() bool }
	return errors.As(err, &passing) && passing.Temporary()
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (s *Server) start(ctx context.Context, from net.Conn) {
	c := s.newConn(ctx, from)
	s.mu.Lock()
	s.conns[c] = struct{}{}
	s.mu.Unlock()
	s.group.Go(c.serve)
}

func (s *Server) forget(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
}

// freshFor is how long a connection without a request is spared by Shutdown,
// because its first request may be on its way.
const freshFor = time.Second

// Shutdown takes no more connections, closes the idle ones and waits for
// answers that are on their way, at most until ctx ends. Then it returns the
// reason of that.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stopListening()
	other := make(chan error, 1)
	go func() { other <- s.Other.Shutdown(ctx) }()
	const between = 10 * time.Millisecond
	ticker := time.NewTicker(between)
	defer ticker.Stop()
	for !s.closeIdle() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), <-other)
		}
	}
	return <-other
}

// Close cuts all connections.
func (s *Server) Close() error {
	s.stopListening()
	s.mu.Lock()
	for c := range s.conns {
		_ = c.net.Close() // gone either way
	}
	if s.end != nil {
		s.end()
	}
	s.mu.Unlock()
	return s.Other.Close() //nolint:wrapcheck // as http.Server
}

func (s *Server) stopListening() {
	s.isDraining.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		_ = s.listener.Close() // a second time at worst
	}
}

// closeIdle says whether no connection is left.
func (s *Server) closeIdle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if c.move(stateIdle, stateClosed) || s.now()-c.opened > freshFor && c.move(stateNew, stateClosed) {
			_ = c.net.Close() // its goroutine ends by that
		}
	}
	return len(s.conns) == 0
}
