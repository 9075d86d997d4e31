// Package figures turns samples into the numbers of a table.
package figures

import (
	"math"
	"slices"
	"time"
)

// Percentile is the smallest sample that at least p percent of the samples do
// not exceed (nearest rank), 0 without samples. It sorts the slice.
func Percentile(samples []time.Duration, p float64) time.Duration {
	if len(samples) == 0 {
		return 0
	}
	slices.Sort(samples)
	rank := int(math.Ceil(p / 100 * float64(len(samples))))
	return samples[min(max(rank, 1), len(samples))-1]
}

// Median is the middle of the values, 0 without values. It sorts the slice.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	mid := len(values) / 2
	if len(values)%2 == 1 {
		return values[mid]
	}
	return (values[mid-1] + values[mid]) / 2
}

// Milliseconds is a duration for a column in milliseconds.
func Milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
