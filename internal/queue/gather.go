package queue

import (
	"cmp"
	"context"
	"fmt"
	"sync"
)

// gather joins what callers write at the same time, so that they share one SQL
// transaction: under load the disk is waited for once for many. There is no
// delay: who comes while there is a free writer becomes one at once, and takes
// along who came meanwhile. It needs no goroutine of its own, the callers lead
// in turn.
type gather[T any] struct {
	// write writes a list and notes in each of its elements what came of it.
	write func(ctx context.Context, list []T)
	// most is the longest list.
	most int
	// atOnce is how many lists are written at a time; 0 means maxWriters.
	atOnce int

	mu      sync.Mutex // guards the fields below
	waiting []*waiter[T]
	writers int
}

type waiter[T any] struct {
	value T
	done  chan struct{} // closed when it is written
	lead  chan struct{} // its caller shall write a list
}

// maxWriters is how many lists are written at a time: while one waits for the
// disk, the next is filled.
const maxWriters = 2

// add sees a value into the database. It fails only when ctx ends before, and
// nobody knows then whether it will be written.
func (g *gather[T]) add(ctx context.Context, value T) error {
	w := &waiter[T]{value: value, done: make(chan struct{}), lead: make(chan struct{}, 1)}
	g.mu.Lock()
	g.waiting = append(g.waiting, w)
	if g.writers < cmp.Or(g.atOnce, maxWriters) {
		g.writers++
		w.lead <- struct{}{}
	}
	g.mu.Unlock()
	for {
		select {
		case <-w.lead:
			g.writeNext(ctx)
		case <-w.done:
			g.mu.Lock()
			g.resign(w)
			g.mu.Unlock()
			return nil
		case <-ctx.Done():
			return g.leave(ctx, w)
		}
	}
}

// leave takes a value out that nobody waits for any more, unless it is being
// written, and passes on what its caller was to do.
func (g *gather[T]) leave(ctx context.Context, w *waiter[T]) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for at, other := range g.waiting {
		if other == w {
			g.waiting = append(g.waiting[:at:at], g.waiting[at+1:]...)
			break
		}
	}
	g.resign(w)
	select {
	case <-w.done:
		return nil
	default:
		return fmt.Errorf("%w: %w", ErrUnavailable, context.Cause(ctx))
	}
}

// writeNext writes one list and lets the next one be led by its first caller.
// What was begun is not given up when ctx ends.
func (g *gather[T]) writeNext(ctx context.Context) {
	g.mu.Lock()
	n := min(len(g.waiting), g.most)
	list := g.waiting[:n:n]
	g.waiting = g.waiting[n:]
	g.mu.Unlock()
	if n > 0 {
		values := make([]T, n)
		for i, w := range list {
			values[i] = w.value
		}
		g.write(context.WithoutCancel(ctx), values)
		for _, w := range list {
			close(w.done)
		}
	}
	g.mu.Lock()
	g.passOn()
	g.mu.Unlock()
}

// resign passes on what the caller of w was told to do and has not done. It
// needs the lock.
func (g *gather[T]) resign(w *waiter[T]) {
	select {
	case <-w.lead:
		g.passOn()
	default:
	}
}

// passOn lets a waiting caller write in the place of one who is through. It
// needs the lock.
func (g *gather[T]) passOn() {
	for _, w := range g.waiting {
		select {
		case w.lead <- struct{}{}:
			return
		default: // told already
		}
	}
	g.writers--
}
