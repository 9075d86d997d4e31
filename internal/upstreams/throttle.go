package upstreams

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	throttlePause    = time.Second // the first pause, when the node names none
	throttlePauseMax = time.Minute
	// throttleNamedMax bounds what a node asks for with Retry-After.
	throttleNamedMax = 5 * time.Minute
	// throttleForget: pauses that are further apart do not grow.
	throttleForget = 30 * time.Second
)

// throttle is how long a node that wants fewer requests is spared. It is pure:
// the time is passed in.
type throttle struct {
	until  time.Duration
	pauses int // in a row
}

// hit records that the node wants fewer requests and says until when it is
// spared. Named is what the node asked for, 0 when it named nothing.
func (t *throttle) hit(now, named time.Duration) time.Duration {
	if now < t.until && named == 0 {
		return t.until // one of several that were under way
	}
	if now > t.until+throttleForget {
		t.pauses = 0
	}
	pause := min(throttlePause<<t.pauses, throttlePauseMax)
	if t.pauses < 6 { // 2^6 seconds are more than the longest pause
		t.pauses++
	}
	if named > 0 {
		pause = min(named, throttleNamedMax)
	}
	t.until = max(t.until, now+pause)
	return t.until
}

// retryAfter reads a Retry-After header (RFC 9110, 10.2.3): seconds, or a date.
func retryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// spare notes that the node wants fewer requests.
func (u *Upstream) spare(now, named time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.throttledUntil.Store(int64(u.throttle.hit(now, named)))
}

// throttledFor is how much longer the node is spared.
func (u *Upstream) throttledFor(now time.Duration) time.Duration {
	return max(0, time.Duration(u.throttledUntil.Load())-now)
}
