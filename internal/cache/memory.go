package cache

import (
	"context"
	"fmt"
	"time"

	"github.com/maypok86/otter/v2"
)

// Memory keeps entries in the process, up to a size. When it is full, entries
// that are rarely asked for make room.
type Memory struct {
	entries *otter.Cache[Key, Entry]
	metrics *Metrics
}

// entryOverhead is what an entry costs besides its bytes: table, policy
// queues, string and slice headers. Measured with 1 KiB values.
const entryOverhead = 240

// forever is as long as an entry is kept that has no expiry.
const forever = 100 * 365 * 24 * time.Hour

// NewMemory makes a store of at most maxBytes.
func NewMemory(maxBytes int64, m *Metrics) (*Memory, error) {
	if maxBytes < 1 {
		return nil, fmt.Errorf("memory cache of %d bytes: must be at least 1", maxBytes)
	}
	entries, err := otter.New(&otter.Options[Key, Entry]{
		MaximumWeight: uint64(maxBytes),
		Weigher: func(key Key, entry Entry) uint32 {
			return uint32(min(len(key)+len(entry.Value)+entryOverhead, 1<<31))
		},
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[Key, Entry]) time.Duration {
			return e.Value.left(time.Now())
		}),
	})
	if err != nil {
		return nil, fmt.Errorf("make the memory cache: %w", err)
	}
	return &Memory{entries: entries, metrics: m}, nil
}

// Get implements Store.
func (m *Memory) Get(_ context.Context, key Key, plan Plan) (Entry, bool) {
	if !plan.uses[InMemory] {
		return Entry{}, false
	}
	entry, ok := m.entries.GetIfPresent(key)
	if ok {
		m.metrics.of(InMemory, &plan).hits.Inc()
	} else {
		m.metrics.of(InMemory, &plan).misses.Inc()
	}
	return entry, ok
}

// Set implements Store.
func (m *Memory) Set(_ context.Context, key Key, entry Entry, plan Plan) {
	if plan.uses[InMemory] {
		m.put(key, entry.expiring(time.Now(), plan.ttl[InMemory]), plan)
	}
}

func (m *Memory) put(key Key, entry Entry, plan Plan) {
	m.entries.Set(key, entry)
	m.metrics.of(InMemory, &plan).sets.Inc()
}

// Delete implements Store.
func (m *Memory) Delete(_ context.Context, key Key) { m.entries.Invalidate(key) }

// Purge implements Store.
func (m *Memory) Purge(_ context.Context, s Selector) (int, error) { return m.PurgeMemory(s), nil }

// PurgeMemory removes what a selector means, and says how many entries that were.
func (m *Memory) PurgeMemory(s Selector) (n int) {
	for key := range m.entries.Keys() {
		if s.matches(key) {
			if _, was := m.entries.Invalidate(key); was {
				n++
			}
		}
	}
	return n
}
