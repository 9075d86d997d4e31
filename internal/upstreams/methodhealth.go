package upstreams

import "time"

const (
	// methodWeight is the weight of the newest sample in a method's averages:
	// about the last 16 count.
	methodWeight = 1.0 / 16
	// methodForget: a method that was not asked for so long is judged by the
	// node as a whole, and so tried again.
	methodForget = time.Minute
)

// methodHealth is what is known of one method at one node. Nodes differ: one
// answers quickly in general and replays transactions slowly, or fails at it.
// It is pure: the clock is passed in.
type methodHealth struct {
	samples int
	latency float64 // mean of the answers, in nanoseconds
	failed  float64 // share
	last    time.Time
	shown   steadyScore
}

// add records an attempt.
func (m *methodHealth) add(now time.Time, latency time.Duration, isFailure bool) {
	if now.Sub(m.last) > methodForget {
		*m = methodHealth{shown: m.shown}
	}
	m.last = now
	m.samples++
	weight := max(methodWeight, 1/float64(m.samples))
	if isFailure {
		m.failed += weight * (1 - m.failed)
		return
	}
	m.failed -= weight * m.failed
	if m.latency == 0 {
		m.latency = float64(latency)
	}
	m.latency += weight * (float64(latency) - m.latency)
}

// score is the method's own, false when too little is known.
func (m *methodHealth) score(now time.Time) (score, bool) {
	if m.samples < minSample || now.Sub(m.last) > methodForget {
		m.shown = steadyScore{}
		return score{}, false
	}
	raw := score{failures: 4 * int(10*m.failed+1e-9), latency: latencyScore(time.Duration(m.latency))}
	return m.shown.follow(now, raw), true
}

// holdBetter is for how long a score must stay better before it is shown.
const holdBetter = 10 * time.Second

// steady is a score that worsens at once and gets better only when it has been
// better for a while, so that two nodes that are nearly alike do not take the
// first place from each other all the time.
type steady struct {
	shown       int
	betterSince time.Time
	worst       int // of the better ones since then
}

// follow takes the newest score and gives the one that is shown.
func (s *steady) follow(now time.Time, raw int) int {
	if raw >= s.shown {
		s.shown, s.betterSince = raw, time.Time{}
		return s.shown
	}
	if s.betterSince.IsZero() {
		s.betterSince, s.worst = now, raw
	}
	s.worst = max(s.worst, raw)
	if now.Sub(s.betterSince) >= holdBetter {
		s.shown, s.betterSince = s.worst, time.Time{}
	}
	return s.shown
}

// latencyScore is 1 point for each time a latency is 4 times longer.
func latencyScore(latency time.Duration) (score int) {
	for ; latency > 16*time.Millisecond; latency /= 4 {
		score++
	}
	return score
}

// countsAgainstMethod says whether an outcome speaks against asking the node for
// the method; that of a request for data which the node lacks does not.
func (o Outcome) countsAgainstMethod() bool { return o.blamesNode() || o == OutcomeNodeError }
