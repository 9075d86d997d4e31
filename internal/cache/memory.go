package cache

import (
	"context"
	"fmt"

	"github.com/maypok86/otter/v2"
)

// Memory keeps entries in the process, up to a size. When it is full, entries
// that are rarely asked for make room.
type Memory struct {
	entries *otter.Cache[Key, Entry]
	metrics *storeMetrics
}

// entryOverhead is what an entry costs besides its bytes: table, policy
// queues, string and slice headers. Measured with 1 KiB values.
const entryOverhead = 160

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
	})
	if err != nil {
		return nil, fmt.Errorf("make the memory cache: %w", err)
	}
	return &Memory{entries: entries, metrics: m.of("memory")}, nil
}

// Get implements Store.
func (m *Memory) Get(_ context.Context, key Key) (Entry, bool) {
	entry, ok := m.entries.GetIfPresent(key)
	if ok {
		m.metrics.hits.Inc()
	} else {
		m.metrics.misses.Inc()
	}
	return entry, ok
}

// Set implements Store.
func (m *Memory) Set(_ context.Context, key Key, entry Entry) {
	m.entries.Set(key, entry)
	m.metrics.sets.Inc()
}
