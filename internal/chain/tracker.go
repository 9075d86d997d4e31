package chain

import "sync/atomic"

// Tracker keeps where one network stands, from what pollers and answers report.
// What it says never goes back: a lagging node must not make clients see an
// older chain than they have seen. Its methods may be called from anywhere.
type Tracker struct {
	mode   atomic.Uint32
	depth  atomic.Uint64
	latest atomic.Uint64 // number + 1, so that zero is "not known"
	tagged atomic.Uint64
}

// NewTracker makes a tracker that knows nothing yet.
func NewTracker(f Finality) *Tracker {
	t := &Tracker{}
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

// ObserveLatest reports a block that exists.
func (t *Tracker) ObserveLatest(number uint64) { raise(&t.latest, number+1) }

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

func raise(at *atomic.Uint64, value uint64) {
	for {
		now := at.Load()
		if value <= now || at.CompareAndSwap(now, value) {
			return
		}
	}
}
