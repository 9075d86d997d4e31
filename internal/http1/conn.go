package http1

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// conn is one connection. Its fields belong to the goroutine that serves it,
// but for the atomic ones.
type conn struct {
	server *Server
	net    net.Conn
	ctx    context.Context //nolint:containedctx // of all its requests
	cancel context.CancelFunc

	in       []byte // read and not yet used
	head     head
	request  request
	response response
	parts    [2][]byte
	vector   net.Buffers

	// The deadlines that net has. They are later than they must be, so that not
	// every request has to set them.
	readBy, writeBy time.Time

	state atomic.Int32
	// since is when the request being answered began, in nanoseconds of the
	// server's clock; 0 while there is none.
	since atomic.Int64
	// opened is when the connection was taken, on the same clock.
	opened time.Duration
}

// The states of a connection.
const (
	stateNew    int32 = iota // nothing has come yet
	stateIdle                // between two requests
	stateActive              // from a request's first byte to its answer's last
	stateClosed              // taken out while it was idle
)

// leastBuffer is a connection's buffer until a request needs more.
const leastBuffer = 4 << 10

func (s *Server) newConn(ctx context.Context, from net.Conn) *conn {
	c := &conn{server: s, net: from, in: make([]byte, 0, leastBuffer), opened: s.now()}
	c.ctx, c.cancel = context.WithCancel(ctx)
	empty := http.Request{Method: http.MethodPost, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, RemoteAddr: from.RemoteAddr().String()}
	c.request.empty = *empty.WithContext(c.ctx) //nolint:contextcheck // all requests have the connection's
	c.response = response{conn: c, header: http.Header{}}
	return c
}

// serve answers requests until the connection ends or is handed over.
func (c *conn) serve() {
	defer c.server.forget(c)
	defer c.cancel()
	for {
		switch v, broken := c.read(); {
		case v == incomplete:
			_ = c.net.Close() // there is nobody to tell
			return
		case v == other || c.request.set(&c.head, c.bodyRead(), broken) != nil:
			c.server.handOver(c.net, c.in)
			return
		case !c.answer() || broken != io.EOF: //nolint:errorlint // never wrapped
			c.close()
			return
		}
		c.drop(c.head.size + c.head.length)
		if !c.move(stateActive, stateIdle) {
			_ = c.net.Close()
			return
		}
	}
}

func (c *conn) move(from, to int32) bool { return c.state.CompareAndSwap(from, to) }

// read reads until a request is there, or it is clear that there will be none:
// incomplete then. Where the body does not come whole, the error says why;
// otherwise it is io.EOF, the body's end.
func (c *conn) read() (verdict, error) {
	if v := c.readHead(); v != plain {
		return v, nil
	}
	if end := c.head.size + c.head.length; len(c.in) < end {
		if err := c.readBody(end); err != nil {
			return plain, err
		}
		c.head.parse(c.in) // its parts may lie elsewhere now
	}
	return plain, io.EOF
}

func (c *conn) readHead() verdict {
	if len(c.in) == 0 {
		if c.state.Load() == stateNew {
			c.setReadDeadline(c.server.ReadHeaderTimeout)
		} else {
			c.extendRead(c.server.IdleTimeout)
		}
		if c.fill(leastBuffer) != nil {
			return incomplete
		}
	}
	if !c.move(stateIdle, stateActive) && !c.move(stateNew, stateActive) {
		return incomplete // closed at the same moment
	}
	v := c.head.parse(c.in)
	if v != incomplete {
		return v
	}
	c.setReadDeadline(c.server.ReadHeaderTimeout)
	for v == incomplete && c.fill(maxHead) == nil {
		v = c.head.parse(c.in)
	}
	return v
}

// readBody reads until the buffer holds all up to end.
func (c *conn) readBody(end int) error {
	c.setReadDeadline(c.server.ReadTimeout)
	for len(c.in) < end {
		err := c.fill(end)
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *conn) bodyRead() []byte {
	return c.in[c.head.size:min(len(c.in), c.head.size+c.head.length)]
}

// fill reads once. The buffer grows up to want when it is full, and by no more
// than has come.
func (c *conn) fill(want int) error {
	if len(c.in) == cap(c.in) {
		grown := make([]byte, len(c.in), max(min(2*cap(c.in), want), len(c.in)+1))
		copy(grown, c.in)
		c.in = grown
	}
	n, err := c.net.Read(c.in[len(c.in):cap(c.in)])
	c.in = c.in[:len(c.in)+n]
	if n > 0 {
		return nil
	}
	return err //nolint:wrapcheck // it ends here or becomes the body's
}

// drop takes used bytes out of the buffer, and a large buffer back.
func (c *conn) drop(n int) {
	rest := c.in[n:]
	if cap(c.in) > leastBuffer && len(rest) <= leastBuffer {
		c.in = make([]byte, 0, leastBuffer)
	}
	c.in = c.in[:copy(c.in[:cap(c.in)], rest)]
}

// answer lets the handler answer, and says whether the connection can be used
// again.
func (c *conn) answer() (isUsable bool) {
	defer func() {
		c.since.Store(0)
		if problem := recover(); problem != nil {
			isUsable = false
			if problem != http.ErrAbortHandler { //nolint:errorlint // as net/http compares
				c.server.Log.ErrorContext(c.ctx, "handler panicked", slog.Any("panic", problem), slog.String("stack", string(debug.Stack())))
			}
		}
	}()
	c.extendWrite(c.server.WriteTimeout)
	c.response.begin()
	c.since.Store(int64(c.server.now()))
	c.server.Handler.ServeHTTP(&c.response, &c.request.http)
	return c.response.end()
}

// close ends the connection after an answer. What the client still sends is
// read for a moment, because a reset could take the answer away from it.
func (c *conn) close() {
	const linger = 500 * time.Millisecond
	if half, ok := c.net.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_ = c.net.SetReadDeadline(time.Now().Add(linger))
		_, _ = io.CopyN(io.Discard, c.net, 256<<10)
	}
	_ = c.net.Close()
}

// slack is the part of a timeout by which a deadline may be late.
const slack = 8

// extendRead makes sure that reads may take timeout from now.
func (c *conn) extendRead(timeout time.Duration) {
	if !isWithin(c.readBy, time.Now().Add(timeout), timeout/slack) {
		c.setReadDeadline(timeout + timeout/slack)
	}
}

func (c *conn) setReadDeadline(timeout time.Duration) {
	c.readBy = time.Now().Add(timeout)
	_ = c.net.SetReadDeadline(c.readBy) // a connection that is gone says so when it is read
}

// extendWrite makes sure that writes may take timeout from now.
func (c *conn) extendWrite(timeout time.Duration) {
	if by := time.Now().Add(timeout); !isWithin(c.writeBy, by, timeout/slack) {
		_ = c.setWriteDeadline(by.Add(timeout / slack)) // as above
	}
}

// isWithin says whether a deadline lies between first and slack later.
func isWithin(deadline, first time.Time, slack time.Duration) bool {
	late := deadline.Sub(first)
	return late >= 0 && late <= slack
}

func (c *conn) setWriteDeadline(t time.Time) error {
	c.writeBy = t
	return c.net.SetWriteDeadline(t) //nolint:wrapcheck // the caller's caller is net/http's controller
}
