package http1

import (
	"net"
	"sync"
	"time"
)

// handed is the listener through which connections reach the other server.
type handed struct {
	addr  net.Addr
	conns chan net.Conn
	done  chan struct{}
	close func()
}

func newHanded(addr net.Addr) handed {
	done := make(chan struct{})
	return handed{addr: addr, conns: make(chan net.Conn), done: done, close: sync.OnceFunc(func() { close(done) })}
}

func (h handed) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

func (h handed) Close() error {
	h.close()
	return nil
}

func (h handed) Addr() net.Addr { return h.addr }

// handOver gives a connection away, with what was read of it.
func (s *Server) handOver(c net.Conn, read []byte) {
	_ = c.SetDeadline(time.Time{}) // the other server has its own
	select {
	case s.handed.conns <- &readAgain{Conn: c, read: read}:
	case <-s.handed.done:
		_ = c.Close() // the server has ended
	}
}

// readAgain is a connection of which a part was read before.
type readAgain struct {
	net.Conn
	read []byte
}

func (c *readAgain) Read(p []byte) (int, error) {
	if len(c.read) == 0 {
		return c.Conn.Read(p) //nolint:wrapcheck // it stands for the connection
	}
	n := copy(p, c.read)
	c.read = c.read[n:]
	if len(c.read) == 0 {
		c.read = nil
	}
	return n, nil
}

// CloseWrite is what net/http ends a connection with, so that the client can
// read the last answer.
func (c *readAgain) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite() //nolint:wrapcheck // it stands for the connection
	}
	return nil
}
