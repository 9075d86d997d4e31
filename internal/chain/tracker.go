package chain

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Tracker keeps where one network stands, from what pollers and answers report.
// What it says never goes back: a lagging node must not make clients see an
// older chain than they have seen. Its methods may be called from anywhere.
type Tracker struct {
	mode      atomic.Uint32
	depth     atomic.Uint64
	latest    atomic.Uint64 // number + 1, so that zero is "not known"
	tagged    atomic.Uint64
	born      time.Time    // origin of confirmed; monotonic, so that a clock that jumps does no harm
	confirmed atomic.Int64 // nanoseconds: when latest was the newest block, as far as a node knew
	history   history

	mu    sync.Mutex
	pace  pace
	moved chan struct{} // closed when the head moves; nil while nobody waits
}

// never is how long ago the newest block was confirmed before any was.
const never = 100 * 365 * 24 * time.Hour

// NewTracker makes a tracker that knows nothing yet.
func NewTracker(f Finality) *Tracker {
	t := &Tracker{born: time.Now()}
	t.confirmed.Store(-int64(never))
	t.SetFinality(f)
	return t
}

// SetFinality sets the rule; a poller does it once when the mode is Auto.
func (t *Tracker) SetFinality(f Finality) {
	t.depth.Store(f.Depth)
	t.mode.Store(uint32(f.Mode))
}

// Finality returns the rule.
func (t *Tracker) Finality() Finality {
	return Finality{Mode: Mode(t.mode.Load()), Depth: t.depth.Load()}
}

// ObserveLatest reports the block that a node calls its newest.
func (t *Tracker) ObserveLatest(number uint64) {
	t.observe(number)
	if number+1 >= t.latest.Load() { // a node that is behind confirms nothing
		t.Confirm(time.Now())
	}
}

// ObserveExisting reports a block that exists, such as that of a receipt.
// Whether it is the newest is not known.
func (t *Tracker) ObserveExisting(number uint64) {
	if number+1 > t.latest.Load() {
		t.observe(number)
	}
}

func (t *Tracker) observe(number uint64) {
	before, isNewer := raise(&t.latest, number+1)
	if !isNewer {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pace.moved(time.Now(), number+1-before)
	if t.moved != nil {
		close(t.moved)
		t.moved = nil
	}
}

// Confirm says that the node who would be asked for the newest block was asked
// at this time, and knows of none newer than the tracker.
func (t *Tracker) Confirm(at time.Time) {
	value := int64(at.Sub(t.born))
	for {
		now := t.confirmed.Load()
		if value <= now || t.confirmed.CompareAndSwap(now, value) {
			return
		}
	}
}

// IsFresh says whether the newest known block was that of a node less than
// maxAge ago.
func (t *Tracker) IsFresh(now time.Time, maxAge time.Duration) bool {
	return int64(now.Sub(t.born))-t.confirmed.Load() < int64(maxAge)
}

// Pace says how quickly the network makes blocks.
func (t *Tracker) Pace() Pace {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.pace.at(time.Now())
}

// Wait waits until a block exists. It is false when ctx ended before.
func (t *Tracker) Wait(ctx context.Context, number uint64) bool {
	for {
		moved := t.next()
		if t.latest.Load() > number {
			return true
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return false
		}
	}
}

// next is closed when the head moves the next time.
func (t *Tracker) next() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.moved == nil {
		t.moved = make(chan struct{})
	}
	return t.moved
}

// ObserveFinalized reports a block that a node calls finalized.
func (t *Tracker) ObserveFinalized(number uint64) { raise(&t.tagged, number) }

// Head says where the network stands.
func (t *Tracker) Head() Head {
	latest := t.latest.Load()
	if latest == 0 {
		return Head{}
	}
	h := Head{Latest: latest - 1, IsKnown: true}
	h.Finalized, h.HasFinalized = t.Finality().Finalized(h.Latest, t.tagged.Load())
	return h
}

// raise sets a number that only grows. It gives the one before, and says
// whether it has grown.
func raise(at *atomic.Uint64, value uint64) (before uint64, isNewer bool) {
	for {
		now := at.Load()
		if value <= now {
			return now, false
		}
		if at.CompareAndSwap(now, value) {
			return now, true
		}
	}
}
