package gatewayapp_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// socketProxy stands in front of a node's WebSocket port and breaks connections
// that are open, which a proxy of HTTP requests cannot.
type socketProxy struct {
	listener net.Listener
	target   string

	mu       sync.Mutex
	conns    map[net.Conn]bool
	isHung   bool
	isClosed bool
	accepted int
	done     sync.WaitGroup
}

func newSocketProxy(t *testing.T, wsURL string) *socketProxy {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &socketProxy{listener: listener, target: strings.TrimPrefix(wsURL, "ws://"), conns: map[net.Conn]bool{}}
	p.done.Go(func() { p.accept(context.WithoutCancel(t.Context())) })
	t.Cleanup(func() {
		listener.Close()
		p.cut(false)
		p.done.Wait()
	})
	return p
}

func (p *socketProxy) url() string { return "ws://" + p.listener.Addr().String() }

func (p *socketProxy) accept(ctx context.Context) {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		isClosed := p.isClosed
		p.accepted++
		p.mu.Unlock()
		node, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.target)
		if err != nil || isClosed {
			client.Close()
			if err == nil {
				node.Close()
			}
			continue
		}
		p.mu.Lock()
		p.conns[client], p.conns[node] = true, true
		p.mu.Unlock()
		p.done.Go(func() { p.copy(node, client) })
		p.done.Go(func() { p.copy(client, node) })
	}
}

// copy swallows what comes while the proxy hangs.
func (p *socketProxy) copy(to, from net.Conn) {
	defer to.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		p.mu.Lock()
		isHung := p.isHung
		p.mu.Unlock()
		if !isHung {
			if _, writeErr := to.Write(buffer[:n]); writeErr != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// cut ends what is open, with a reset or in order, in the middle of whatever it is.
func (p *socketProxy) cut(withReset bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		if tcp, ok := c.(*net.TCPConn); ok && withReset {
			_ = tcp.SetLinger(0)
		}
		c.Close()
	}
	clear(p.conns)
}

func (p *socketProxy) hang(is bool) { p.set(func() { p.isHung = is }) }

// refuse cuts what is open and takes nothing new.
func (p *socketProxy) refuse(is bool) {
	p.set(func() { p.isClosed = is })
	if is {
		p.cut(true)
	}
}

func (p *socketProxy) connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}

func (p *socketProxy) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}
