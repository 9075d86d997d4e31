package upstreams

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/secret"
)

// Feed is something that nodes push to who has subscribed to it.
type Feed uint8

// The feeds. Logs are not among them: they are read for each head, because only
// that can be checked to be complete.
const (
	NewHeads Feed = iota
	PendingTransactions
)

// String is the feed's name in eth_subscribe.
func (f Feed) String() string {
	return [...]string{"newHeads", "newPendingTransactions"}[f]
}

var (
	// ErrNoFeed says that no node with a WebSocket URL can be followed now.
	ErrNoFeed = errors.New("no upstream with a WebSocket can be followed now")
	// ErrStalled as the cause of a context's end tells Follow that the node had
	// stopped pushing without closing the connection.
	ErrStalled = errors.New("the node has stopped pushing")
)

// Pauses after which a node is followed again. A connection that lived longer
// than provenAfter was a good one.
const (
	firstRest   = time.Second
	longestRest = 30 * time.Second
	provenAfter = time.Minute
)

// pushing is what is known of a node's WebSocket.
type pushing struct {
	target *url.URL

	mu    sync.Mutex
	until time.Time // it rests until then
	rest  time.Duration
}

func newPushing(url secret.String) (*pushing, error) {
	target, err := parseWebSocketURL(url)
	if target == nil || err != nil {
		return nil, err
	}
	return &pushing{target: target}, nil
}

// isResting says whether the last try was so bad and so recent that another
// node shall be followed.
func (p *pushing) isResting(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return now.Before(p.until)
}

// ended notes the end of a connection that lived that long.
func (p *pushing) ended(now time.Time, lived time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if lived > provenAfter {
		p.rest = 0
	}
	p.rest = min(max(2*p.rest, firstRest), longestRest)
	p.until = now.Add(p.rest)
}

// CanFollow says whether any node has a WebSocket URL.
func (p *Pool) CanFollow() bool {
	for _, u := range p.upstreams {
		if u.pushing != nil {
			return true
		}
	}
	return false
}

// Follow subscribes to a feed at the best node with a WebSocket URL. It calls
// opened with the node, then event with each result, one at a time; the bytes
// are event's to keep. It returns when ctx ends or the connection does, never
// with nil; the next call takes another node when there is one. ErrNoFeed says
// that there is none now.
func (p *Pool) Follow(ctx context.Context, feed Feed, opened func(ID), event func(result []byte)) error {
	u := p.toFollow(time.Now())
	if u == nil {
		return ErrNoFeed
	}
	start := time.Now()
	err := p.follow(ctx, u, feed, opened, event)
	if ctx.Err() != nil && !errors.Is(context.Cause(ctx), ErrStalled) {
		return context.Cause(ctx) // that says nothing about the node
	}
	if ctx.Err() != nil {
		err = ErrStalled
	}
	now := time.Now()
	u.pushing.ended(now, now.Sub(start))
	p.log.WarnContext(ctx, "upstream's WebSocket ended", slog.String("upstream", string(u.id)), slog.String("feed", feed.String()),
		slog.String("host", host(u.pushing.target)), slog.Any("err", err))
	return fmt.Errorf("follow %s: %w", u.id, err)
}

// toFollow is the best node that can be followed, nil when there is none.
func (p *Pool) toFollow(now time.Time) *Upstream {
	for _, u := range p.candidates(p.catalogue.Describe("eth_blockNumber", nil)) {
		if u.pushing != nil && u.IsHealthy() && !u.pushing.isResting(now) {
			return u
		}
	}
	return nil
}

func (p *Pool) follow(ctx context.Context, u *Upstream, feed Feed, opened func(ID), event func([]byte)) error {
	s, subscription, err := p.openFeed(ctx, u, feed)
	if err != nil {
		return err
	}
	defer s.close()
	opened(u.id)
	return s.follow(ctx, subscription, func(result []byte) {
		// The node has what it pushes: requests for it shall go there first.
		if number, ok := methods.ParseQuantity(jsonrpc.Member(result, "number")); ok && number > u.Head() {
			u.setHead(number)
		}
		event(result)
	})
}

// openFeed connects, checks the chain and subscribes, within one bound.
func (p *Pool) openFeed(ctx context.Context, u *Upstream, feed Feed) (*socket, string, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	s, err := dialSocket(ctx, u.pushing.target, u.endpoint.header())
	if err != nil {
		return nil, "", err
	}
	if err := s.check(ctx, p); err != nil {
		s.close()
		return nil, "", err
	}
	subscription, err := s.subscribe(ctx, feed)
	if err != nil {
		s.close()
		return nil, "", err
	}
	return s, subscription, nil
}
