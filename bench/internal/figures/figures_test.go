package figures

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPercentile_IsTheNearestRank(t *testing.T) {
	t.Parallel()
	samples := make([]time.Duration, 100)
	for i := range samples {
		samples[i] = time.Duration(100 - i)
	}
	require.EqualValues(t, 50, Percentile(samples, 50))
	require.EqualValues(t, 99, Percentile(samples, 99))
	require.EqualValues(t, 100, Percentile(samples, 100))
	require.EqualValues(t, 1, Percentile(samples, 0))
	require.EqualValues(t, 7, Percentile([]time.Duration{7}, 99))
	require.Zero(t, Percentile(nil, 50))
}

func TestMedian_OfOddAndEvenCounts(t *testing.T) {
	t.Parallel()
	require.InDelta(t, 2, Median([]float64{3, 1, 2}), 0)
	require.InDelta(t, 2.5, Median([]float64{4, 1, 3, 2}), 0)
	require.Zero(t, Median(nil))
}
