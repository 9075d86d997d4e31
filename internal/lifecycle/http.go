package lifecycle

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/slipwayhq/slipway/internal/http1"
)

// HTTPServer serves a handler on one address.
type HTTPServer struct {
	Addr    string // host:port; port 0 takes a free one
	Handler http.Handler
	Log     *slog.Logger

	// DrainTimeout is how long requests in flight may take after the stop;
	// zero means 10 seconds. Connections still busy then are cut.
	DrainTimeout time.Duration
	// ReadTimeout bounds the reading of one request with its body; zero means
	// 30 seconds.
	ReadTimeout time.Duration
	// WriteTimeout bounds one request from its header to the last byte of its
	// answer; zero means 2 minutes. It ends clients that do not read.
	WriteTimeout time.Duration
	// UnencryptedHTTP2 takes HTTP/2 without TLS as well as HTTP/1.1, from clients
	// that know of it beforehand (RFC 9113, section 3.3).
	UnencryptedHTTP2 bool
	// TLS, when it is not nil, is how clients are served: HTTP/1.1 or HTTP/2, as
	// they negotiate it. Nothing is served without encryption then.
	TLS *tls.Config
	// IsFast lets package http1 serve plain requests where nothing is encrypted.
	// The handler must then keep nothing of a request, and its context ends with
	// the connection.
	IsFast bool
	// OnListen, which may be nil, is told the address in use.
	OnListen func(addr net.Addr)
	// OnStop, which may be nil, is called when the stop begins: requests that
	// would wait longer than DrainTimeout should then answer.
	OnStop func()
}

// Timeouts of every server: a client that sends its header slowly, or keeps an
// idle connection, must not hold a goroutine for ever.
const (
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 5 * time.Minute
	maxHeaderBytes    = 64 << 10
	// maxStreams bounds the requests at a time on one HTTP/2 connection.
	maxStreams = 250
)

// Run implements Run: it listens, serves until ctx ends, and drains.
func (s *HTTPServer) Run(ctx context.Context, ready func()) error {
	listener, err := Listen(ctx, s.Addr)
	if err != nil {
		return err
	}
	if s.OnListen != nil {
		s.OnListen(listener.Addr())
	}
	readTimeout := orDefault(s.ReadTimeout, 30*time.Second)
	server := &http.Server{
		Handler:           s.Handler,
		ReadHeaderTimeout: min(readHeaderTimeout, readTimeout),
		ReadTimeout:       readTimeout,
		WriteTimeout:      orDefault(s.WriteTimeout, 2*time.Minute),
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		Protocols:         s.protocols(),
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		TLSConfig:         s.TLS,
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}

	front := s.front(server)
	served := make(chan error, 1)
	go func() { served <- front.Serve(listener) }()
	ready()

	select {
	case err := <-served:
		return fmt.Errorf("serve %s: %w", s.Addr, err)
	case <-ctx.Done():
	}
	if s.OnStop != nil {
		s.OnStop()
	}

	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), orDefault(s.DrainTimeout, 10*time.Second))
	defer cancel()
	if err := front.Shutdown(drain); err != nil {
		s.Log.WarnContext(ctx, "requests cut at shutdown", slog.String("addr", s.Addr), slog.Any("err", err))
		err = front.Close()
		if err != nil && !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("close %s: %w", s.Addr, err)
		}
	}
	<-served //nolint:errcheck // it says that the server was closed
	return nil
}

// front is what serves the listener.
type front interface {
	Serve(listener net.Listener) error
	Shutdown(ctx context.Context) error
	Close() error
}

func (s *HTTPServer) front(server *http.Server) front {
	switch {
	case s.TLS != nil:
		return encrypted{server}
	case s.IsFast:
		return &http1.Server{
			Handler: s.Handler, Other: server, Log: s.Log,
			ReadHeaderTimeout: server.ReadHeaderTimeout, ReadTimeout: server.ReadTimeout,
			WriteTimeout: server.WriteTimeout, IdleTimeout: server.IdleTimeout,
		}
	default:
		return server
	}
}

// encrypted is a server with TLS.
type encrypted struct{ *http.Server }

func (e encrypted) Serve(listener net.Listener) error { return e.ServeTLS(listener, "", "") }

func (s *HTTPServer) protocols() *http.Protocols {
	p := &http.Protocols{}
	p.SetHTTP1(true)
	p.SetHTTP2(s.TLS != nil)
	p.SetUnencryptedHTTP2(s.UnencryptedHTTP2 && s.TLS == nil)
	return p
}

// Listen opens a TCP listener. A taken port is named in plain words.
func Listen(ctx context.Context, addr string) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listen on %s: the port is in use by another program", addr)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	return listener, nil
}

func orDefault(d, fallback time.Duration) time.Duration {
	if d == 0 {
		return fallback
	}
	return d
}
