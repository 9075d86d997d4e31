package upstreams

import (
	"slices"
	"time"
)

const (
	windowSlots    = 10
	windowSlot     = 3 * time.Second // the window is 30 seconds
	latencySamples = 64
	// refreshEvery is after how many samples the percentiles are taken anew.
	refreshEvery = 8
	// failuresToDrop takes a node from its place at once.
	failuresToDrop = 3
	// relapseWithin: a node that drops again so soon after it came back needs
	// twice as many good probes the next time.
	relapseWithin = 30 * time.Second
	maxProbes     = 32
)

// health is what is known of a node's recent behaviour. It is pure: the clock
// is passed in. The caller serialises its use.
type health struct {
	epoch       time.Time // slots are counted from here, on the monotonic clock
	slots       [windowSlots]healthSlot
	consecutive int // failures since the last answer

	isDown       bool
	probesNeeded int // to come back, when down
	probesGood   int // in a row, while down
	cameBack     time.Time

	latencies  [latencySamples]time.Duration
	taken      int // samples ever taken
	sinceFresh int
	recent     *latencies // of the answers; nil before the first
	lastAnswer time.Time
	shown      steadyScore
}

type healthSlot struct {
	number    int64 // time since the epoch divided by windowSlot, from 1
	good, bad int
	throttled int // requests the node did not want
}

func newHealth() *health { return &health{probesNeeded: 1} }

// answered records an answer after the given time.
func (h *health) answered(now time.Time, latency time.Duration) {
	h.slot(now).good++
	h.consecutive = 0
	h.lastAnswer = now
	h.latencies[h.taken%latencySamples] = latency
	h.taken++
	h.sinceFresh++
	if h.sinceFresh >= refreshEvery || h.taken <= 1 {
		h.refresh()
	}
}

// failed records a request that got no answer, or none in time.
func (h *health) failed(now time.Time) {
	h.slot(now).bad++
	h.consecutive++
	h.probesGood = 0
	if h.consecutive < failuresToDrop || h.isDown {
		return
	}
	h.isDown = true
	if !h.cameBack.IsZero() && now.Sub(h.cameBack) < relapseWithin {
		h.probesNeeded = min(2*h.probesNeeded, maxProbes)
	} else {
		h.probesNeeded = 1
	}
}

// probed records a look at the node's head that went well. It is the way back.
func (h *health) probed(now time.Time) {
	if !h.isDown {
		return
	}
	h.probesGood++
	if h.probesGood < h.probesNeeded {
		return
	}
	h.isDown = false
	h.cameBack = now
	h.probesGood = 0
	// A node that answers probes and nothing else shall fall at its first failure.
	h.consecutive = failuresToDrop - 1
}

// throttled records that the node wants fewer requests. It is no failure.
func (h *health) throttled(now time.Time) { h.slot(now).throttled++ }

// number counts slots from 1.
func (h *health) number(now time.Time) int64 {
	if h.epoch.IsZero() {
		h.epoch = now
	}
	return 1 + int64(max(0, now.Sub(h.epoch))/windowSlot)
}

func (h *health) slot(now time.Time) *healthSlot {
	number := h.number(now)
	s := &h.slots[number%windowSlots]
	if s.number != number {
		*s = healthSlot{number: number}
	}
	return s
}

func (h *health) refresh() {
	h.sinceFresh = 0
	l := &latencies{}
	l.count = copy(l.sorted[:], h.latencies[:min(h.taken, latencySamples)])
	slices.Sort(l.sorted[:l.count])
	h.recent = l
}

// latencies are how long recent answers took, the quickest first. They do not
// change once they are made.
type latencies struct {
	sorted [latencySamples]time.Duration
	count  int
}

// quantile is the time within which the share q of the answers came; 0 without
// answers.
func (l *latencies) quantile(q float64) time.Duration {
	if l == nil || l.count == 0 {
		return 0
	}
	return l.sorted[min(int(q*float64(l.count)), l.count-1)]
}

// counts gives the answers, failures and refusals of the last 30 seconds.
func (h *health) counts(now time.Time) (good, bad, throttled int) {
	oldest := h.number(now) - windowSlots
	for _, s := range h.slots {
		if s.number > oldest {
			good, bad, throttled = good+s.good, bad+s.bad, throttled+s.throttled
		}
	}
	return good, bad, throttled
}

// minSample is how many requests say something about rates and latencies.
const minSample = 10

// fadeEvery: a node that is not asked is judged by a latency half as long after
// this time, so that it is tried again some day.
const fadeEvery = time.Minute

// score is what the last 30 seconds and the latest answers cost the node.
func (h *health) score(now time.Time) score {
	good, bad, throttled := h.counts(now)
	var s score
	if all := good + bad + throttled; all >= minSample {
		s.failures, s.throttled = 4*(10*bad/all), 2*(10*throttled/all) // 4 points a tenth of failures, 2 a tenth of throttling
	}
	if h.taken < minSample {
		return s // the first answers wait for connections
	}
	idle := min(max(0, now.Sub(h.lastAnswer)/fadeEvery), 32)
	s.latency = latencyScore(h.recent.quantile(0.5) >> idle)
	return s
}

// publicScore is the score that orders nodes.
func (h *health) publicScore(now time.Time) score { return h.shown.follow(now, h.score(now)) }
