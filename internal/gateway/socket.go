package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/subscriptions"
)

// socket is one WebSocket connection of a client.
type socket struct {
	sockets *Sockets
	conn    *websocket.Conn
	// request is the handshake's: what it says of the client holds for all messages.
	request *http.Request
	hub     *subscriptions.Hub
	client  *subscriptions.Client
	cancel  context.CancelFunc // ends everything
	ended   sync.Once
	// slots has a place for each message in flight.
	slots chan struct{}

	mu    sync.Mutex // guards stand
	stand standing
}

// standing is what a connection may do, as one gateway sees it.
type standing struct {
	gateway *Gateway
	network *Network
	caller  caller
	checked time.Time
}

// Why connections end: metric labels and, where the gateway ends one, what the
// client is told.
const (
	endByClient  = "client"
	endSlow      = "slow consumer"
	endLostTrack = "lost track of the chain"
	endRestart   = "service restart"
	endGone      = "network no longer served"
	endUnknown   = "credentials no longer valid"
	endTooLarge  = "message too large"
	endDead      = "no sign of life"
)

// serve serves a connection until it ends.
func (s *Sockets) serve(ctx context.Context, x *exchange, g *Gateway, conn *websocket.Conn) {
	// The connection outlives its request, whose context net/http ends.
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	c := &socket{
		sockets: s, conn: conn, request: x.r, hub: x.network.hub, client: x.network.hub.NewClient(), cancel: cancel,
		slots: make(chan struct{}, s.cfg.MaxInFlight),
		stand: standing{gateway: g, network: x.network, caller: x.caller, checked: time.Now()},
	}
	defer c.client.Close()
	if !s.add(c) {
		c.close(websocket.StatusServiceRestart, endRestart)
		return
	}
	defer s.remove(c)
	open := s.metrics.open(x.network.project, x.network.name)
	open.Inc()
	defer open.Dec()

	var others sync.WaitGroup
	others.Go(func() { c.notify(ctx) })
	others.Go(func() { c.ping(ctx) })
	c.read(ctx, &others)
	c.end(endByClient)
	others.Wait()
	_ = conn.CloseNow()
}

// end ends everything about the connection. The first reason is the one that counts.
func (c *socket) end(reason string) {
	c.ended.Do(func() { c.sockets.metrics.closed(reason) })
	c.cancel()
}

// close ends the connection and tells the client why. It takes a few seconds at most:
// the library gives the client 5 seconds to take the message and 5 to answer it.
func (c *socket) close(code websocket.StatusCode, reason string) {
	c.ended.Do(func() { c.sockets.metrics.closed(reason) })
	_ = c.conn.Close(code, reason)
	c.cancel()
}

// read takes message after message until the connection ends. Each is answered
// by a goroutine of its own, which others waits for.
func (c *socket) read(ctx context.Context, others *sync.WaitGroup) {
	for {
		_, message, err := c.conn.Reader(ctx)
		if err != nil {
			return
		}
		g := c.sockets.gateway.Load()
		buffer := g.take() // not before: idle connections hold none
		*buffer, err = readAll(message, (*buffer)[:0], g.cfg.MaxBodyBytes)
		if err != nil {
			g.give(buffer)
			if errors.Is(err, errBodyTooLarge) {
				c.close(websocket.StatusMessageTooBig, endTooLarge)
			}
			return
		}
		select {
		case c.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		stand, reason := c.check(ctx, time.Now())
		if reason != "" {
			<-c.slots
			c.close(websocket.StatusPolicyViolation, reason)
			return
		}
		others.Go(func() {
			defer func() {
				g.give(buffer)
				<-c.slots
			}()
			c.answer(ctx, stand, *buffer)
		})
	}
}

// recheckAfter is how long credentials are taken for good: tokens expire while
// a connection lasts.
const recheckAfter = time.Minute

// check says what the connection may do now, after a new configuration and from
// time to time anew; or why it must end.
func (c *socket) check(ctx context.Context, now time.Time) (stand standing, reason string) {
	g := c.sockets.gateway.Load()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stand.gateway == g && now.Sub(c.stand.checked) < recheckAfter {
		return c.stand, ""
	}
	p, n, problem := g.routes.find(c.request.Host, c.request.URL.Path)
	if problem != nil || n == nil || n.hub != c.hub {
		return standing{}, endGone
	}
	from, err := g.callerOf(ctx, p, n, c.request)
	if err != nil {
		return standing{}, endUnknown
	}
	from.trace = c.stand.caller.trace
	c.stand = standing{gateway: g, network: n, caller: from, checked: now}
	return c.stand, ""
}

// answer answers one message.
func (c *socket) answer(ctx context.Context, stand standing, body []byte) {
	g := stand.gateway
	bounded, cancel := context.WithTimeoutCause(ctx, g.cfg.RequestTimeout, errRequestTimeout)
	defer cancel()
	defer g.recoveredMessage(ctx)
	stand.caller.subscriber = &subscriber{client: c.client}
	defer stand.caller.subscriber.announced()
	buffer := g.take()
	defer g.give(buffer)
	*buffer = g.appendAnswer(bounded, (*buffer)[:0], stand.network, body, &stand.caller)
	if len(*buffer) > 0 {
		c.write(ctx, *buffer)
	}
}

// appendAnswer appends the answer to a request body; nothing to notifications.
func (h *Gateway) appendAnswer(ctx context.Context, dst []byte, n *Network, body []byte, from *caller) []byte {
	if jsonrpc.IsBatch(body) {
		texts, problem := jsonrpc.ScanBatch(body, h.cfg.MaxBatch)
		if problem != nil {
			return jsonrpc.AppendError(dst, nil, problem)
		}
		elements, _ := h.answerBatch(ctx, n, texts, from)
		return appendBatch(dst, elements, nil)
	}
	request, invalid := jsonrpc.ScanRequest(body)
	if invalid != nil {
		return jsonrpc.AppendError(dst, request.ID, invalid)
	}
	call := from.newCall(request)
	result, err := n.pipeline.whole(ctx, &call)
	switch {
	case request.IsNotification():
		return dst
	case err != nil:
		wire, _, _ := toWire(err)
		return jsonrpc.AppendError(dst, request.ID, wire)
	default:
		return appendResult(dst, request.ID, result)
	}
}

// notify tells the client what it has subscribed to.
func (c *socket) notify(ctx context.Context) {
	var message []byte
	for {
		event, err := c.client.Next(ctx)
		switch {
		case err == nil:
			message = appendNotification(message[:0], event)
			c.write(ctx, message)
			continue
		case ctx.Err() != nil:
		case errors.Is(err, subscriptions.ErrSlow):
			c.close(websocket.StatusPolicyViolation, endSlow)
		case errors.Is(err, subscriptions.ErrLostTrack):
			c.close(websocket.StatusTryAgainLater, endLostTrack)
		default:
			c.close(websocket.StatusServiceRestart, endRestart)
		}
		return
	}
}

func appendNotification(dst []byte, event subscriptions.Notification) []byte {
	dst = append(dst, `{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"`...)
	dst = append(dst, event.Subscription...)
	dst = append(dst, `","result":`...)
	dst = append(dst, event.Result...)
	return append(dst, `}}`...)
}

// write sends one message. A client that does not take it in time is cut off.
func (c *socket) write(ctx context.Context, message []byte) {
	bounded, cancel := context.WithTimeout(ctx, c.sockets.cfg.WriteTimeout)
	defer cancel()
	if err := c.conn.Write(bounded, websocket.MessageText, message); err == nil {
		return
	}
	if ctx.Err() == nil && bounded.Err() != nil {
		c.sockets.log.InfoContext(ctx, "a WebSocket client does not read", slog.String("request_id", c.stand.caller.trace.RequestID))
		c.end(endSlow)
		return
	}
	c.end(endByClient)
}

// ping finds out whether the client is still there, and may be. While all slots are taken
// nothing is read, an answer to a ping neither.
func (c *socket) ping(ctx context.Context) {
	ticker := time.NewTicker(c.sockets.cfg.PingEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if _, reason := c.check(ctx, time.Now()); reason != "" {
			c.close(websocket.StatusPolicyViolation, reason)
			return
		}
		if len(c.slots) == cap(c.slots) {
			continue
		}
		bounded, cancel := context.WithTimeout(ctx, c.sockets.cfg.WriteTimeout)
		err := c.conn.Ping(bounded)
		cancel()
		if err != nil {
			c.end(endDead)
			return
		}
	}
}

// closeTimeout is how long a client may take to answer to the end at a stop.
const closeTimeout = 2 * time.Second

// drain lets the calls in flight be answered, takes no more, and closes.
func (c *socket) drain(ctx context.Context) {
	answering, cancel := context.WithTimeout(ctx, c.sockets.cfg.DrainTimeout)
	defer cancel()
	for range cap(c.slots) {
		select {
		case c.slots <- struct{}{}:
		case <-answering.Done():
		}
	}
	defer time.AfterFunc(closeTimeout, c.cancel).Stop()
	c.close(websocket.StatusServiceRestart, endRestart)
}
