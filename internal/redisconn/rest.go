package redisconn

import (
	"sync"
	"sync/atomic"
	"time"
)

// The time for which Redis is left alone grows from minRest to maxRest: long
// enough that its absence is not felt, short enough that its return is.
const (
	minRest = time.Second
	maxRest = 10 * time.Second
)

// result is what a use says about Redis.
type result uint8

const (
	abandoned result = iota // nothing
	answered
	failed
)

// rest says whether Redis may be used. After a failure nobody may, for a time;
// then one caller probes, and the others wait for what it finds. Its times are
// counted from any fixed moment by a clock that nobody sets.
type rest struct {
	until atomic.Int64 // a time; 0: everybody may

	mu       sync.Mutex
	failures int // in a row
	probing  bool
}

// enter asks whether Redis may be used now. Who may must leave.
func (r *rest) enter(now time.Duration) (isProbe, ok bool) {
	if r.until.Load() == 0 {
		return false, true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	until := r.until.Load()
	if until == 0 {
		return false, true
	}
	if r.probing || int64(now) < until {
		return false, false
	}
	r.probing = true
	return true, true
}

// leave notes what a use found. Uses that were under way when the first of
// them failed are not counted again.
func (r *rest) leave(now time.Duration, isProbe bool, found result) {
	if !isProbe && found != failed {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !isProbe && r.until.Load() != 0 {
		return
	}
	if isProbe {
		r.probing = false
	}
	switch found {
	case answered:
		r.failures = 0
		r.until.Store(0)
	case failed:
		r.failures++
		r.until.Store(int64(now + restAfter(r.failures)))
	case abandoned:
	}
}

// restAfter is the rest after so many failures in a row: 1 s, 2 s, 4 s, 8 s, 10 s.
func restAfter(failures int) time.Duration {
	return min(minRest<<min(failures-1, 10), maxRest)
}
