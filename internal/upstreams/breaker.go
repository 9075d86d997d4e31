package upstreams

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// Breaker says when a node is left alone for a time. A node's health does so
// anyway; a breaker is for who wants other thresholds.
type Breaker struct {
	// Failures among the last Of answers open it.
	Failures, Of int
	// OpenFor is how long the node is then asked only when no other is left.
	OpenFor time.Duration
	// Successes among Trials close it again after that.
	Successes, Trials int
}

// DefaultBreaker holds for what a configured breaker leaves out; the numbers
// are those of eRPC.
func DefaultBreaker() Breaker {
	return Breaker{Failures: 20, Of: 80, OpenFor: 5 * time.Minute, Successes: 8, Trials: 10}
}

func (b Breaker) validate(of string) error {
	var errs []error
	if b.Failures < 1 || b.Failures > b.Of {
		errs = append(errs, fmt.Errorf("%s: circuit breaker: failures must be between 1 and the %d answers that are looked at", of, b.Of))
	}
	if b.Successes < 1 || b.Successes > b.Trials {
		errs = append(errs, fmt.Errorf("%s: circuit breaker: successes must be between 1 and the %d trials", of, b.Trials))
	}
	if b.OpenFor <= 0 {
		errs = append(errs, fmt.Errorf("%s: circuit breaker: the time it is open must be more than zero", of))
	}
	return errors.Join(errs...)
}

// breakerState is where a breaker stands.
type breakerState string

const (
	breakerClosed   breakerState = "closed"
	breakerOpen     breakerState = "open"
	breakerHalfOpen breakerState = "half-open"
)

// breaker watches the answers of one node to what one rule means. Times are
// passed in. The nil breaker is never open.
type breaker struct {
	cfg   Breaker
	rule  string // for people
	mu    sync.Mutex
	ring  []bool // the last answers, true for a failure
	taken int
	bad   int // in the ring
	// isBroken is true while open and half-open.
	isBroken       bool
	until          time.Duration // open before, half-open after
	good, failed   int           // trials that were decided
	trialsUnderWay int
}

func newBreaker(cfg Breaker, rule string) *breaker {
	return &breaker{cfg: cfg, rule: rule, ring: make([]bool, cfg.Of)}
}

// isOpen says whether the node shall be left alone. While half-open it shall
// not, up to the number of trials.
func (b *breaker) isOpen(now time.Duration) bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.isBroken && (now < b.until || b.good+b.failed+b.trialsUnderWay >= b.cfg.Trials)
}

func (b *breaker) state(now time.Duration) breakerState {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !b.isBroken:
		return breakerClosed
	case now < b.until:
		return breakerOpen
	default:
		return breakerHalfOpen
	}
}

// begin notes that the node is asked.
func (b *breaker) begin() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trialsUnderWay++
}

// end notes what became of it. A node that does not answer in time, and one
// that another overtook, has failed.
func (b *breaker) end(now time.Duration, o Outcome) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trialsUnderWay--
	isFailure := o.blamesNode()
	switch {
	case o == OutcomeCanceled || o == OutcomeRateLimited:
		return // says nothing
	case !b.isBroken:
		b.watch(now, isFailure)
	case now >= b.until:
		b.try(now, isFailure)
	}
}

func (b *breaker) watch(now time.Duration, isFailure bool) {
	at := b.taken % len(b.ring)
	if b.ring[at] {
		b.bad--
	}
	b.ring[at] = isFailure
	if isFailure {
		b.bad++
	}
	b.taken++
	if b.bad >= b.cfg.Failures {
		b.open(now)
	}
}

func (b *breaker) try(now time.Duration, isFailure bool) {
	if isFailure {
		b.failed++
	} else {
		b.good++
	}
	switch {
	case b.good >= b.cfg.Successes:
		b.isBroken = false
		clear(b.ring)
		b.bad, b.taken = 0, 0
	case b.failed > b.cfg.Trials-b.cfg.Successes:
		b.open(now)
	}
}

func (b *breaker) open(now time.Duration) {
	b.isBroken, b.until = true, now+b.cfg.OpenFor
	b.good, b.failed = 0, 0
}
