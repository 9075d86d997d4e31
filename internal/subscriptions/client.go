package subscriptions

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
)

// Reasons why a client's subscriptions end. Its connection should then be
// closed, so that it comes back and asks for what it missed.
var (
	// ErrSlow says that the client does not read what it has subscribed to.
	ErrSlow = errors.New("the client reads its events too slowly")
	// ErrLostTrack says that the chain went on further than can be made up for.
	ErrLostTrack = errors.New("the gap in the chain is too large to be filled")
	// ErrStopped says that the hub has stopped.
	ErrStopped = errors.New("subscriptions are stopped")
)

// ErrUnavailable says that no feed could be had in time for a new subscriber.
var ErrUnavailable = errors.New("no upstream can serve subscriptions now")

// Notification is one event of one subscription.
type Notification struct {
	Subscription string
	// Result is JSON text, shared by all clients and never changed.
	Result []byte
}

// Client holds the subscriptions of one connection and what waits for it. Its
// methods may be called from anywhere, Next from one goroutine at a time.
type Client struct {
	hub  *Hub
	wake chan struct{} // capacity 1

	mu    sync.Mutex
	subs  map[string]*subscription
	queue []queued // from head on
	head  int
	bytes int
	held  int   // answers to eth_subscribe that are not written yet
	err   error // why it ended
}

type queued struct {
	sub    *subscription
	result []byte
}

// subscription is one topic of one client.
type subscription struct {
	client *Client
	id     string
	topic  topic
	// since is the number of the last sending of logs before it joined.
	since   uint64
	isEnded atomic.Bool
}

// NewClient makes a client without subscriptions. It must be closed.
func (h *Hub) NewClient() *Client {
	c := &Client{hub: h, wake: make(chan struct{}, 1), subs: map[string]*subscription{}}
	if !h.register(c) {
		c.end(ErrStopped)
	}
	return c
}

// Subscribe reads the parameters of eth_subscribe and begins the subscription
// they ask for. When it returns, what happens from now on will be told. Next
// waits until the caller has written the answer and calls Announced, so that
// nothing is told of a subscription whose id the client does not know yet. The
// errors are a *jsonrpc.Error for what the client did, ErrUnavailable, and the
// cause of ctx's end.
func (c *Client) Subscribe(ctx context.Context, params []byte) (string, error) {
	t, problem := parseTopic(params)
	if problem != nil {
		return "", problem
	}
	s := &subscription{client: c, id: newID(), topic: t}
	if err := c.add(s); err != nil {
		return "", err
	}
	err := c.hub.feedOf(t.kind).join(ctx, s, c.hub.cfg.JoinTimeout)
	if err != nil {
		c.forget(s)
		return "", err
	}
	c.hub.metrics.subscriptions[t.kind].Inc()
	if s.isEnded.Load() { // closed meanwhile
		c.hub.leave(s)
		return "", ErrStopped
	}
	return s.id, nil
}

// add takes a place for a subscription. It holds the client's events back.
func (c *Client) add(s *subscription) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	if len(c.subs) >= c.hub.cfg.MaxPerClient {
		return jsonrpc.NewError(jsonrpc.CodeLimitExceeded, "too many subscriptions on this connection")
	}
	c.subs[s.id] = s
	return nil
}

func (c *Client) forget(s *subscription) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.isEnded.Store(true)
	delete(c.subs, s.id)
}

// hold keeps events back until Announced is called. The feed calls it with its
// lock held, at the moment from which on the subscription has events.
func (c *Client) hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held++
}

// Announced says that the answer to one successful Subscribe is written.
func (c *Client) Announced() {
	c.mu.Lock()
	c.held--
	c.mu.Unlock()
	c.signal()
}

// Unsubscribe ends a subscription. It is false when there is none with the id.
// Nothing is told of it any more.
func (c *Client) Unsubscribe(id string) bool {
	c.mu.Lock()
	s, ok := c.subs[id]
	if ok {
		delete(c.subs, id)
		s.isEnded.Store(true)
	}
	c.mu.Unlock()
	if ok {
		c.hub.leave(s)
	}
	return ok
}

// Next waits for the next event. Its error is final: the reason why the client
// ended, or the cause of ctx's end.
func (c *Client) Next(ctx context.Context) (Notification, error) {
	for {
		n, ok, err := c.take()
		if ok || err != nil {
			return n, err
		}
		select {
		case <-c.wake:
		case <-ctx.Done():
			return Notification{}, context.Cause(ctx)
		}
	}
}

func (c *Client) take() (Notification, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return Notification{}, false, c.err
	}
	for c.held == 0 && c.head < len(c.queue) {
		q := c.queue[c.head]
		c.queue[c.head] = queued{}
		c.head++
		c.bytes -= len(q.result)
		if c.head == len(c.queue) {
			c.queue, c.head = c.queue[:0], 0
		}
		if !q.sub.isEnded.Load() {
			return Notification{Subscription: q.sub.id, Result: q.result}, true, nil
		}
	}
	return Notification{}, false, nil
}

// push queues an event. A client whose queue is full ends.
func (c *Client) push(s *subscription, result []byte) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	cfg := &c.hub.cfg
	if len(c.queue)-c.head >= cfg.MaxQueuedEvents || c.bytes+len(result) > cfg.MaxQueuedBytes {
		c.endLocked(ErrSlow)
		c.mu.Unlock()
		c.hub.metrics.drops["slow"].Inc()
		c.signal()
		return
	}
	if c.head > 0 && len(c.queue) == cap(c.queue) { // move down before growing
		n := copy(c.queue, c.queue[c.head:])
		clear(c.queue[n:])
		c.queue, c.head = c.queue[:n], 0
	}
	c.queue = append(c.queue, queued{s, result})
	c.bytes += len(result)
	c.mu.Unlock()
	c.signal()
}

// signal wakes Next. One signal stands for any number of events.
func (c *Client) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// end ends the client for a reason.
func (c *Client) end(reason error) {
	c.mu.Lock()
	if c.err == nil {
		c.endLocked(reason)
	}
	c.mu.Unlock()
	c.signal()
}

func (c *Client) endLocked(reason error) {
	c.err = reason
	c.queue, c.head, c.bytes = nil, 0, 0
}

// Close ends all subscriptions.
func (c *Client) Close() {
	c.end(ErrStopped)
	c.mu.Lock()
	subs := c.subs
	c.subs = map[string]*subscription{}
	for _, s := range subs {
		s.isEnded.Store(true)
	}
	c.mu.Unlock()
	for _, s := range subs {
		c.hub.leave(s)
	}
	c.hub.unregister(c)
}

// newID is a subscription's id: 128 random bits as a quantity, as go-ethereum's.
// It needs no secrecy, but must not be another one's.
func newID() string {
	var bits [16]byte
	_, _ = rand.Read(bits[:]) // never fails
	return "0x" + strings.TrimLeft(hex.EncodeToString(bits[:]), "0")
}
