// Package lifecycle runs the components of a program: it starts them in order,
// each once its predecessor is ready, and stops them in reverse order.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Run is a component's life. It calls ready once it can be used, works until
// ctx ends, stops, and returns nil. Any other return is a failure of the whole
// program.
type Run func(ctx context.Context, ready func()) error

// Idle is a component without work of its own: it waits for the end.
func Idle(ctx context.Context, ready func()) error {
	ready()
	<-ctx.Done()
	return nil
}

// Group is the ordered list of a program's components. It is filled first and
// run once.
type Group struct {
	// StopTimeout bounds the stop of one component; zero means 30 seconds.
	StopTimeout time.Duration

	members []*member
}

type member struct {
	name  string
	run   Run
	stop  context.CancelFunc
	ready chan struct{}
	done  chan struct{} // closed when run has returned
	err   error         // valid after done
}

// Add appends a component. The name stands in error messages.
func (g *Group) Add(name string, run Run) {
	g.members = append(g.members, &member{name: name, run: run})
}

// Run starts the components in order, waits until ctx ends or one of them
// returns, then stops those that run in reverse order. When all are ready it
// calls allReady, which may be nil. It returns nil after an orderly stop, and
// otherwise what failed.
func (g *Group) Run(ctx context.Context, allReady func()) error {
	failed := make(chan *member, len(g.members))
	var started []*member
	var failure error

	for _, m := range g.members {
		g.start(ctx, m, failed)
		started = append(started, m)
		if failure = waitReady(ctx, m, failed); failure != nil || ctx.Err() != nil {
			break
		}
	}
	if failure == nil && ctx.Err() == nil {
		if allReady != nil {
			allReady()
		}
		select {
		case <-ctx.Done():
		case m := <-failed:
			failure = m.failure()
		}
	}
	return errors.Join(failure, g.stopAll(started, failure))
}

// start runs a component under a context that only its own stop ends: a
// signal must reach the last component first.
func (g *Group) start(ctx context.Context, m *member, failed chan<- *member) {
	runCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	m.stop, m.ready, m.done = stop, make(chan struct{}), make(chan struct{})
	var isReady bool
	go func() {
		defer close(m.done)
		m.err = m.run(runCtx, func() {
			if !isReady {
				isReady = true
				close(m.ready)
			}
		})
		failed <- m
	}()
}

func waitReady(ctx context.Context, m *member, failed <-chan *member) error {
	select {
	case <-m.ready:
		return nil
	case f := <-failed:
		return f.failure()
	case <-ctx.Done():
		return nil
	}
}

// failure says why a component that should still run has returned.
func (m *member) failure() error {
	if m.err != nil {
		return fmt.Errorf("%s: %w", m.name, m.err)
	}
	return fmt.Errorf("%s: stopped without being asked to", m.name)
}

func (g *Group) stopAll(started []*member, failure error) error {
	timeout := g.StopTimeout
	if timeout == 0 {
		timeout = 30 * time.Second
	}
	var errs []error
	for i := len(started) - 1; i >= 0; i-- {
		m := started[i]
		m.stop()
		timer := time.NewTimer(timeout)
		select {
		case <-m.done:
			// The component whose failure ended the run has been reported.
			if m.err != nil && !errors.Is(failure, m.err) {
				errs = append(errs, fmt.Errorf("stop %s: %w", m.name, m.err))
			}
		case <-timer.C:
			errs = append(errs, fmt.Errorf("stop %s: still running after %s", m.name, timeout))
		}
		timer.Stop()
	}
	return errors.Join(errs...)
}
