package cache

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// Tiered is a fast store in front of a slow one. What the slow one has moves
// to the fast one when it is asked for. Writing to the slow one happens behind
// the caller's back, in Run: the answer to a client never waits for it. When
// the writers do not keep up, entries are dropped and counted.
type Tiered struct {
	fast, slow Store
	queue      chan write
	dropped    func()
}

type write struct {
	key   Key
	entry Entry
}

const (
	// writeQueue entries wait at most; with answers of 1 KiB that is 1 MiB.
	writeQueue = 1024
	writers    = 4
)

// NewTiered puts fast in front of slow.
func NewTiered(fast, slow Store, m *Metrics) *Tiered {
	return &Tiered{fast: fast, slow: slow, queue: make(chan write, writeQueue), dropped: m.of("redis").dropped.Inc}
}

// Get implements Store.
func (t *Tiered) Get(ctx context.Context, key Key) (Entry, bool) {
	if entry, ok := t.fast.Get(ctx, key); ok {
		return entry, true
	}
	entry, ok := t.slow.Get(ctx, key)
	if ok {
		t.fast.Set(ctx, key, entry)
	}
	return entry, ok
}

// Set implements Store.
func (t *Tiered) Set(ctx context.Context, key Key, entry Entry) {
	t.fast.Set(ctx, key, entry)
	select {
	case t.queue <- write{key, entry}:
	default:
		t.dropped()
	}
}

// Run writes to the slow store until ctx ends. What waits then is dropped: it
// is a cache.
func (t *Tiered) Run(ctx context.Context, ready func()) error {
	ready()
	var group errgroup.Group
	for range writers {
		group.Go(func() error {
			for {
				select {
				case <-ctx.Done():
					return nil
				case w := <-t.queue:
					t.slow.Set(ctx, w.key, w.entry)
				}
			}
		})
	}
	return group.Wait()
}
