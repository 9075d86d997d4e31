package devnet

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"

	"github.com/slipwayhq/slipway/internal/lifecycle"
)

// Mode is what a Proxy does with requests.
type Mode int

// The modes of a Proxy.
const (
	Pass       Mode = iota // forward request and reply
	Refuse                 // cut the connection before anything is forwarded
	Hang                   // take the request and never answer
	Delay                  // wait Proxy.Delay, then forward
	DropReply              // forward, then cut the connection instead of replying
	ServeError             // answer 503 without forwarding
)

// Proxy is a front of an upstream that misbehaves on command. It forwards HTTP
// and WebSocket alike. New ones pass everything.
type Proxy struct {
	target *url.URL

	mu    sync.Mutex
	mode  Mode
	delay time.Duration
	url   string
}

// NewProxy makes a proxy in front of an http:// URL. It starts nothing.
func NewProxy(target string) (*Proxy, error) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, fmt.Errorf("proxy: target: %w", err)
	}
	return &Proxy{target: u}, nil
}

// Run serves on a free port of 127.0.0.1. It implements lifecycle.Run.
func (p *Proxy) Run(ctx context.Context, ready func()) error {
	stopping, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer context.AfterFunc(ctx, stop)()
	server := lifecycle.HTTPServer{
		Addr: "127.0.0.1:0", Handler: p.handler(stopping), Log: slog.New(slog.DiscardHandler),
		OnListen: func(addr net.Addr) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.url = "http://" + addr.String()
		},
	}
	return server.Run(ctx, ready)
}

// URL is where the proxy listens. It is valid once Run has called ready.
func (p *Proxy) URL() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.url
}

// Set changes what happens to requests that arrive from now on.
func (p *Proxy) Set(mode Mode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode = mode
}

// SetDelay sets the mode Delay and its time.
func (p *Proxy) SetDelay(delay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode, p.delay = Delay, delay
}

func (p *Proxy) state() (Mode, time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mode, p.delay
}

func (p *Proxy) handler(stopping context.Context) http.Handler {
	forward := httputil.NewSingleHostReverseProxy(p.target)
	forward.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mode, delay := p.state()
		switch mode {
		case Pass:
			forward.ServeHTTP(w, r)
		case Refuse:
			cut(w)
		case Hang:
			wait(r.Context(), stopping, time.Hour)
		case Delay:
			wait(r.Context(), stopping, delay)
			forward.ServeHTTP(w, r)
		case DropReply:
			forward.ServeHTTP(&discard{header: http.Header{}}, r)
			cut(w)
		case ServeError:
			http.Error(w, "service unavailable", http.StatusServiceUnavailable)
		}
	})
}

func wait(request, stopping context.Context, limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-request.Done():
	case <-stopping.Done():
	case <-timer.C:
	}
}

// cut ends the connection in the way of a killed process: with a reset.
func cut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return // no connection left to cut
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // without it the client sees an orderly end
	}
	_ = conn.Close()
}

// discard takes a reply that nobody shall see.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header            { return d.header }
func (d *discard) Write(body []byte) (int, error) { return len(body), nil }
func (d *discard) WriteHeader(int)                {}
