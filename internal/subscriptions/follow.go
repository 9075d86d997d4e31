package subscriptions

import (
	"context"
	"errors"
	"sync"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

// errSwapped ends the use of a pool that was replaced.
var errSwapped = errors.New("the pool was replaced")

// follower keeps one feed of one node after the other open.
type follower struct {
	hub  *Hub
	feed upstreams.Feed
	// opened, event and idle are called one at a time. idle is called whenever
	// no node can be followed; it returns after a while, or when its context ends.
	opened func()
	event  func(result []byte)
	idle   func(ctx context.Context)

	mu     sync.Mutex
	isOpen bool
	cancel context.CancelCauseFunc // of the present use of a pool; nil when there is none
}

// run follows until ctx ends.
func (f *follower) run(ctx context.Context) {
	for ctx.Err() == nil {
		network, swapped := f.hub.current()
		using, cancel := context.WithCancelCause(ctx)
		watched := make(chan struct{})
		go func() {
			defer close(watched)
			select {
			case <-swapped:
				cancel(errSwapped)
			case <-using.Done():
			}
		}()
		f.use(using, network)
		cancel(nil)
		<-watched
	}
}

// use follows a node of a pool until that ends, and idles afterwards.
func (f *follower) use(ctx context.Context, network Network) {
	err := upstreams.ErrNoFeed
	if network.CanFollow() {
		following, stop := context.WithCancelCause(ctx)
		f.set(false, stop)
		err = network.Follow(following, f.feed, func(upstreams.ID) {
			f.set(true, stop)
			f.hub.metrics.following[f.feed].Set(1)
			f.opened()
		}, f.event)
		f.set(false, nil)
		stop(nil)
		f.hub.metrics.following[f.feed].Set(0)
	}
	if ctx.Err() != nil {
		return
	}
	switch {
	case errors.Is(err, upstreams.ErrStalled):
		f.hub.metrics.switches(f.feed.String(), "stalled").Inc()
	case !errors.Is(err, upstreams.ErrNoFeed):
		f.hub.metrics.switches(f.feed.String(), "broken").Inc()
	default:
		f.idle(ctx)
	}
}

func (f *follower) set(isOpen bool, cancel context.CancelCauseFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.isOpen, f.cancel = isOpen, cancel
}

// isFollowing says whether a node pushes now.
func (f *follower) isFollowing() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.isOpen
}

// giveUp leaves the node that is followed for another one.
func (f *follower) giveUp() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.isOpen {
		f.isOpen = false
		f.cancel(upstreams.ErrStalled)
	}
}

// nodeError is a node's error as an error of ours.
func nodeError(object []byte) error { return jsonrpc.DecodeError(object) }
