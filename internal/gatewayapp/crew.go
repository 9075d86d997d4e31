package gatewayapp

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/slipwayhq/slipway/internal/lifecycle"
)

// part is something of a site that runs: a network, a store. It may outlive the
// site it was made for, when the next one wants the same.
type part struct {
	name string
	run  lifecycle.Run

	stop  context.CancelFunc
	ready chan struct{}
	done  chan struct{} // closed when run has returned
	err   error         // valid after done
}

// crew runs parts. It belongs to the one goroutine that calls its methods.
type crew struct {
	stopTimeout time.Duration
	parts       map[*part]bool
	failed      chan *part // of those that returned without being told to
}

func newCrew(stopTimeout time.Duration) *crew {
	return &crew{stopTimeout: stopTimeout, parts: map[*part]bool{}, failed: make(chan *part, 1)}
}

// start runs parts and waits until each is ready. When one fails, none of them
// stays.
func (c *crew) start(ctx context.Context, parts ...*part) error {
	for _, p := range parts {
		p.ready, p.done = make(chan struct{}), make(chan struct{})
		var own context.Context
		own, p.stop = context.WithCancel(ctx)
		c.parts[p] = true
		go c.tend(own, p)
	}
	for _, p := range parts {
		select {
		case <-p.ready:
		case <-p.done:
			return errors.Join(fmt.Errorf("%s: %w", p.name, p.failure()), c.stop(parts...))
		}
	}
	return nil
}

var errStoppedByItself = errors.New("stopped without being asked to")

func (p *part) failure() error {
	if p.err == nil {
		return errStoppedByItself
	}
	return p.err
}

// tend lives as long as a part. The failure of one that never was ready is for
// start to tell.
func (c *crew) tend(ctx context.Context, p *part) {
	var once sync.Once
	p.err = p.run(ctx, func() { once.Do(func() { close(p.ready) }) })
	close(p.done)
	select {
	case <-p.ready:
	default:
		return
	}
	if ctx.Err() == nil {
		select {
		case c.failed <- p:
		default: // one failure ends the program, whichever it is
		}
	}
}

// stop ends parts and waits for them, a bounded time.
func (c *crew) stop(parts ...*part) error {
	for _, p := range parts {
		p.stop()
	}
	timer := time.NewTimer(c.stopTimeout)
	defer timer.Stop()
	var errs []error
	for _, p := range parts {
		select {
		case <-p.done:
			delete(c.parts, p)
		case <-timer.C:
			errs = append(errs, fmt.Errorf("stop %s: still running after %s", p.name, c.stopTimeout))
			timer.Reset(0) // the others had the same time
		}
	}
	return errors.Join(errs...)
}

// stopAll ends what runs.
func (c *crew) stopAll() error {
	all := make([]*part, 0, len(c.parts))
	for p := range c.parts {
		all = append(all, p)
	}
	return c.stop(all...)
}
