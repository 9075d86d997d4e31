package queue

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// Everything is written once, in lists of bounded length, by a bounded number of
// writers; and callers who leave hold nobody up.
func TestGather(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var writing, mostWriting, longest atomic.Int64
	written := map[int]int{}
	g := &gather[int]{most: 7, write: func(_ context.Context, list []int) {
		mostWriting.Store(max(mostWriting.Load(), writing.Add(1)))
		defer writing.Add(-1)
		longest.Store(max(longest.Load(), int64(len(list))))
		mu.Lock()
		defer mu.Unlock()
		for _, v := range list {
			written[v]++
		}
	}}
	var group sync.WaitGroup
	for i := range 5000 {
		group.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if i%3 == 0 {
				cancel()
			}
			if err := g.add(ctx, i); err != nil && i%3 != 0 {
				t.Error(err)
			}
		})
	}
	group.Wait()
	require.Zero(t, g.writers)
	require.Empty(t, g.waiting)
	require.LessOrEqual(t, mostWriting.Load(), int64(maxWriters))
	require.LessOrEqual(t, longest.Load(), int64(7))
	for i := range 5000 {
		if i%3 != 0 {
			require.Equal(t, 1, written[i])
		}
		require.LessOrEqual(t, written[i], 1)
	}
}
