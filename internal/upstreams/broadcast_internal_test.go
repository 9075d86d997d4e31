package upstreams

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBroadcaster_BeginsWhatWaitsBeforeItEnds(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		b := newBroadcaster(time.Second)
		var done [broadcastQueue]bool
		for i := range done {
			b.queue <- func() { done[i] = true }
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()

		b.run(ctx)

		for i := range done {
			require.True(t, done[i])
		}
	})
}

func TestBroadcaster_EndsInBoundedTime(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		b := newBroadcaster(time.Second)
		for range broadcastQueue {
			b.queue <- func() { <-time.After(time.Second) } // a slow node
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		start := time.Now()

		b.run(ctx)

		require.LessOrEqual(t, time.Since(start), 2*time.Second)
	})
}
