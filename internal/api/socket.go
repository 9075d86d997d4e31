package api

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/nodeclient"
)

// socket is one WebSocket connection of a client.
type socket struct {
	server *server
	conn   *websocket.Conn
	who    caller // of the handshake, for all calls
	cancel context.CancelFunc
	slots  chan struct{} // a place for each message in flight
	others sync.WaitGroup

	// feed is the gateway's side of the client's subscriptions; nil before the
	// first one. The reader alone sets it.
	feed atomic.Pointer[nodeclient.Socket]
}

// serve reads until the connection ends, and waits for everything it began.
func (c *socket) serve(ctx context.Context) {
	c.others.Go(func() { c.ping(ctx) })
	c.read(ctx)
	c.cancel()
	c.others.Wait()
	if feed := c.feed.Load(); feed != nil {
		feed.Close()
	}
	_ = c.conn.CloseNow()
}

func (c *socket) read(ctx context.Context) {
	for {
		_, message, err := c.conn.Reader(ctx)
		if err != nil {
			return
		}
		body, err := io.ReadAll(io.LimitReader(message, c.server.cfg.MaxBody+1))
		if err != nil {
			return
		}
		if int64(len(body)) > c.server.cfg.MaxBody {
			// Unlike the library's own limit, this one reads on until the client has
			// heard why: a connection closed over unread bytes is reset.
			c.close(websocket.StatusMessageTooBig, "the message is too large")
			return
		}
		select {
		case c.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		work := c.begin(ctx, body)
		c.others.Go(func() {
			defer func() { <-c.slots }()
			defer c.recovered(ctx)
			if out := work(ctx); out != nil {
				c.write(ctx, out)
			}
		})
	}
}

// recovered keeps a fault in one call from ending the program.
func (c *socket) recovered(ctx context.Context) {
	if reason := recover(); reason != nil {
		c.server.log.ErrorContext(ctx, "call panicked", slog.Any("reason", reason))
		c.cancel()
	}
}

// begin starts a message. As over HTTP, transactions are accepted in the order
// in which they come, and waited for by the answer, which is nil where none is due.
func (c *socket) begin(ctx context.Context, body []byte) answer {
	s := c.server
	if jsonrpc.IsBatch(body) {
		elements, rpcErr := jsonrpc.ScanBatch(body, s.cfg.MaxBatch)
		if rpcErr != nil {
			return done(jsonrpc.AppendError(nil, nil, rpcErr))
		}
		b := s.splitBatch(ctx, elements, c.who)
		return func(ctx context.Context) []byte {
			b.finish(ctx)
			return b.join()
		}
	}
	req, rpcErr := jsonrpc.ScanRequest(body)
	switch {
	case rpcErr != nil:
		return done(jsonrpc.AppendError(nil, req.ID, rpcErr))
	case s.sources != nil && isSubscription(req.Method):
		return done(c.subscribe(ctx, req.ID, body))
	case s.isOurs(req.Method):
		call := s.begin(ctx, req, c.who)
		return silentIf(req.IsNotification(), call)
	default:
		return silentIf(req.IsNotification(), func(ctx context.Context) []byte {
			out, _ := s.forwarded(ctx, req.ID, body)
			return out
		})
	}
}

// silentIf makes a call whose answer nobody wants.
func silentIf(silent bool, call answer) answer {
	if !silent {
		return call
	}
	return func(ctx context.Context) []byte {
		call(ctx)
		return nil
	}
}

func isSubscription(method string) bool {
	return method == "eth_subscribe" || method == "eth_unsubscribe"
}

// subscribe passes a call to the gateway's WebSocket. The answer, and what
// follows, comes through pump; only a failure is answered here.
func (c *socket) subscribe(ctx context.Context, id jsonrpc.ID, body []byte) []byte {
	feed := c.feed.Load()
	if feed == nil {
		var err error
		if feed, err = c.server.sources.Dial(ctx); err != nil {
			c.server.count("forwarded", false)
			c.server.log.DebugContext(ctx, "no WebSocket to the gateway", slog.Any("err", err))
			return jsonrpc.AppendError(nil, id, errGatewayAway())
		}
		c.feed.Store(feed)
		c.others.Go(func() { c.pump(ctx, feed) })
	}
	err := feed.Write(ctx, body)
	c.server.count("forwarded", err == nil)
	if err != nil {
		return jsonrpc.AppendError(nil, id, errGatewayAway())
	}
	return nil
}

// pump hands on what the gateway says, as it is. When the gateway's side ends,
// so do the client's subscriptions: the client is told by the end of its
// connection, and can begin anew.
func (c *socket) pump(ctx context.Context, feed *nodeclient.Socket) {
	for {
		message, err := feed.Read(ctx)
		if err != nil {
			if ctx.Err() == nil {
				c.close(websocket.StatusTryAgainLater, "the gateway ended the subscriptions")
			}
			return
		}
		c.write(ctx, message)
	}
}

// write sends one message. A client that does not take it in time is cut off.
func (c *socket) write(ctx context.Context, message []byte) {
	bounded, cancel := context.WithTimeout(ctx, socketWrite)
	defer cancel()
	if err := c.conn.Write(bounded, websocket.MessageText, message); err != nil {
		c.cancel()
	}
}

// ping finds out whether client and gateway are still there, and whether the client
// still may be. While all slots are taken nothing is read, an answer to a ping neither.
func (c *socket) ping(ctx context.Context) {
	ticker := time.NewTicker(c.server.sockets.ping)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if c.server.hasEnded(ctx) {
			c.close(websocket.StatusPolicyViolation, "the credentials of this connection have expired or were revoked")
			return
		}
		if feed := c.feed.Load(); feed != nil && feed.Ping(ctx) != nil {
			feed.Close() // pump notices
		}
		if len(c.slots) == cap(c.slots) {
			continue
		}
		bounded, cancel := context.WithTimeout(ctx, socketWrite)
		err := c.conn.Ping(bounded)
		cancel()
		if err != nil {
			c.cancel()
			return
		}
	}
}

// drain lets the calls in flight be answered, takes no more, and closes.
func (c *socket) drain(ctx context.Context) {
	answering, cancel := context.WithTimeout(ctx, socketDrain)
	defer cancel()
	for range cap(c.slots) {
		select {
		case c.slots <- struct{}{}:
		case <-answering.Done():
		}
	}
	defer time.AfterFunc(socketClose, c.cancel).Stop()
	c.close(websocket.StatusServiceRestart, "service restart")
}

// close ends the connection and tells the client why.
func (c *socket) close(code websocket.StatusCode, reason string) {
	_ = c.conn.Close(code, reason)
	c.cancel()
}
