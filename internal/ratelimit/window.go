package ratelimit

import (
	"math"
	"time"
)

// window counts requests of two adjacent windows of one period.
type window struct {
	index          int64 // of the current window since the Unix epoch
	current, older float64
}

// at is the window as it stands at a time. A clock that went back changes
// nothing.
func (w window) at(now time.Time, period time.Duration) window {
	index := now.UnixNano() / int64(period)
	switch {
	case index <= w.index:
		return w
	case index == w.index+1:
		return window{index: index, older: w.current}
	default:
		return window{index: index}
	}
}

// passed is the share of the current window that is over.
func (w window) passed(now time.Time, period time.Duration) float64 {
	begin := w.index * int64(period)
	return min(1, max(0, float64(now.UnixNano()-begin)/float64(period)))
}

// roundingError is what sums of shares may be off by.
const roundingError = 1e-6

// wait is how long it takes until n more requests fit under most; 0 if they fit
// now. If they never will, it is a whole period.
func (w window) wait(now time.Time, period time.Duration, n, most float64) time.Duration {
	passed := w.passed(now, period)
	if w.current+w.older*(1-passed)+n <= most+roundingError {
		return 0
	}
	if n > most {
		return period
	}
	// They fit once the share of the older window has shrunk enough; or, if the
	// current window alone is too full, once the next has begun and this one is
	// the older.
	if room := most - n - w.current; room >= 0 {
		return shareToTime(1-room/w.older-passed, period)
	}
	return shareToTime(1-passed+1-(most-n)/w.current, period)
}

// shareToTime is a share of a period in whole milliseconds, one at least.
func shareToTime(share float64, period time.Duration) time.Duration {
	ms := math.Ceil(share * float64(period) / float64(time.Millisecond))
	return time.Duration(max(1, ms)) * time.Millisecond
}
