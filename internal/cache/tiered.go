package cache

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"
)

// Tiered is the store in memory in front of the one in Redis. What Redis has
// moves to memory when it is asked for. Writing to Redis happens behind the
// caller's back, in Run: the answer to a client never waits for it. When the
// writers do not keep up, entries are dropped and counted.
type Tiered struct {
	memory  *Memory
	redis   *Redis
	queue   chan write
	metrics *Metrics
}

type write struct {
	key   Key
	entry Entry
	plan  Plan
}

const (
	// writeQueue entries wait at most; with answers of 1 KiB that is 1 MiB.
	writeQueue = 1024
	writers    = 4
)

// NewTiered puts memory in front of Redis.
func NewTiered(memory *Memory, redis *Redis, m *Metrics) *Tiered {
	return &Tiered{memory: memory, redis: redis, queue: make(chan write, writeQueue), metrics: m}
}

// Get implements Store.
func (t *Tiered) Get(ctx context.Context, key Key, plan Plan) (Entry, bool) {
	if entry, ok := t.memory.Get(ctx, key, plan); ok {
		return entry, true
	}
	entry, ok := t.redis.Get(ctx, key, plan)
	if ok && plan.uses[InMemory] && entry.left(time.Now()) > 0 {
		t.memory.put(key, entry, plan)
	}
	return entry, ok
}

// Set implements Store.
func (t *Tiered) Set(ctx context.Context, key Key, entry Entry, plan Plan) {
	t.memory.Set(ctx, key, entry, plan)
	if !plan.uses[InRedis] {
		return
	}
	select {
	case t.queue <- write{key, entry, plan}:
	default:
		t.metrics.of(InRedis, &plan).dropped.Inc()
	}
}

// Delete implements Store.
func (t *Tiered) Delete(ctx context.Context, key Key) {
	t.memory.Delete(ctx, key)
	t.redis.Delete(ctx, key)
}

// Purge implements Store. It empties Redis and the memory of this process; other
// gateways with the same Redis have memories of their own, see PurgeMemory.
func (t *Tiered) Purge(ctx context.Context, s Selector) (int, error) {
	// Redis first: what is in memory after that does not come from there.
	inRedis, redisErr := t.redis.Purge(ctx, s)
	inMemory, memoryErr := t.memory.Purge(ctx, s)
	return inRedis + inMemory, errors.Join(redisErr, memoryErr)
}

// PurgeMemory removes what a selector means from the memory of this process only.
func (t *Tiered) PurgeMemory(s Selector) int { return t.memory.PurgeMemory(s) }

// Run writes to Redis until ctx ends. What waits then is dropped: it is a cache.
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
					t.redis.Set(ctx, w.key, w.entry, w.plan)
				}
			}
		})
	}
	return group.Wait()
}
