package upstreams

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// http1Conns holds the connections to one node: a bounded number, the one used
// last being used next, so that those not needed grow old and are closed.
type http1Conns struct {
	addr    string
	dialer  net.Dialer
	keepFor time.Duration
	slots   chan struct{} // one taken for each connection in use
	dialled atomic.Uint64 // connections there have been

	mu    sync.Mutex
	idle  []*http1Conn // oldest first
	timer *time.Timer  // closes those that grew old; runs while there are idle ones
}

func newHTTP1Conns(addr string, limit int, keepFor time.Duration) *http1Conns {
	return &http1Conns{
		addr: addr, keepFor: keepFor, slots: make(chan struct{}, limit),
		dialer: net.Dialer{Timeout: dialTimeout, KeepAlive: tcpKeepAlive},
	}
}

// take waits for a free place and returns a kept connection, or a new one. The
// deadline holds for the wait and for what the connection is used for.
func (p *http1Conns) take(ctx context.Context, deadline time.Time) (*http1Conn, error) {
	if err := p.enter(ctx, deadline); err != nil {
		return nil, err
	}
	for conn := p.pop(); conn != nil; conn = p.pop() {
		if conn.conn.SetDeadline(deadline) == nil && isQuiet(conn.conn) {
			return conn, nil
		}
		conn.abort()
	}
	return p.dial(ctx, deadline)
}

// takeNew waits for a free place and returns a new connection.
func (p *http1Conns) takeNew(ctx context.Context, deadline time.Time) (*http1Conn, error) {
	if err := p.enter(ctx, deadline); err != nil {
		return nil, err
	}
	// One more or less kept connection makes no difference: closing the oldest
	// keeps to the limit.
	if conn := p.popOldest(); conn != nil {
		conn.abort()
	}
	return p.dial(ctx, deadline)
}

func (p *http1Conns) enter(ctx context.Context, deadline time.Time) error {
	select {
	case p.slots <- struct{}{}:
		return nil
	default:
	}
	bounded, cancel := until(ctx, deadline)
	defer cancel()
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-bounded.Done():
		return fmt.Errorf("wait for a free connection: %w", context.Cause(bounded))
	}
}

// dial needs a place, and leaves it when it fails.
func (p *http1Conns) dial(ctx context.Context, deadline time.Time) (*http1Conn, error) {
	bounded, cancel := until(ctx, deadline)
	defer cancel()
	conn, err := p.dialer.DialContext(bounded, "tcp", p.addr)
	if err == nil {
		err = conn.SetDeadline(deadline)
	}
	if err != nil {
		<-p.slots
		return nil, fmt.Errorf("%w: %w", errRefused, err)
	}
	p.dialled.Add(1)
	return newHTTP1Conn(conn), nil
}

// give takes a connection back, and closes it unless it can be used again.
func (p *http1Conns) give(conn *http1Conn, isReusable bool) {
	if !isReusable {
		conn.abort()
	} else {
		conn.isKept = true
		p.push(conn)
	}
	<-p.slots
}

// hasQuiet says whether the connection used last is idle and still open.
func (p *http1Conns) hasQuiet() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.idle) - 1
	return last >= 0 && isQuiet(p.idle[last].conn)
}

func (p *http1Conns) pop() *http1Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.idle) - 1
	if last < 0 {
		return nil
	}
	conn := p.idle[last]
	p.idle[last] = nil
	p.idle = p.idle[:last]
	return conn
}

func (p *http1Conns) popOldest() *http1Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) == 0 {
		return nil
	}
	conn := p.idle[0]
	p.idle = slices.Delete(p.idle, 0, 1)
	return conn
}

func (p *http1Conns) push(conn *http1Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	conn.since = time.Now()
	p.idle = append(p.idle, conn)
	if p.timer == nil {
		p.timer = time.AfterFunc(p.keepFor, p.prune)
	}
}

// prune closes what grew old, and comes back while there is something to watch.
func (p *http1Conns) prune() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timer = nil
	now := time.Now()
	old := 0
	for old < len(p.idle) && now.Sub(p.idle[old].since) >= p.keepFor {
		p.idle[old].abort()
		old++
	}
	p.idle = slices.Delete(p.idle, 0, old)
	if len(p.idle) > 0 {
		p.timer = time.AfterFunc(p.idle[0].since.Add(p.keepFor).Sub(now), p.prune)
	}
}

// close drops the kept connections.
func (p *http1Conns) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	for _, conn := range p.idle {
		conn.abort()
	}
	p.idle = nil
}
