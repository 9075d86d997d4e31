package chain

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTracker_Pace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tr := NewTracker(Finality{Mode: Instant})
		tr.ObserveLatest(1_000_000)
		require.Equal(t, Pace{}, tr.Pace(), "one block tells nothing")
		number := uint64(1_000_000)
		for range 3 {
			<-time.After(2 * time.Second)
			number++
			tr.ObserveLatest(number)
		}
		require.Equal(t, Pace{Period: 2 * time.Second}, tr.Pace())
		<-time.After(time.Second)
		tr.ObserveLatest(number)
		require.Equal(t, Pace{Period: 2 * time.Second, Since: time.Second}, tr.Pace(), "the same block again")
		<-time.After(time.Hour)
		tr.ObserveLatest(number + 1000)
		require.Equal(t, Pace{Period: 2 * time.Second}, tr.Pace(), "nobody watched these blocks")
		<-time.After(60 * time.Second)
		tr.ObserveLatest(number + 1001)
		require.InDelta(t, 16500, tr.Pace().Period.Milliseconds(), 1, "an empty block after a minute moves the mean, not all of it")
	})
}

func TestTracker_WaitEndsWithTheBlock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tr := NewTracker(Finality{Mode: Instant})
		tr.ObserveLatest(10)
		require.True(t, tr.Wait(t.Context(), 10))
		came := make(chan bool, 2)
		for range cap(came) {
			go func() { came <- tr.Wait(t.Context(), 12) }()
		}
		synctest.Wait()
		tr.ObserveLatest(11)
		synctest.Wait()
		require.Empty(t, came)
		tr.ObserveLatest(12)
		require.True(t, <-came)
		require.True(t, <-came)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.False(t, tr.Wait(ctx, 13))
	})
}
