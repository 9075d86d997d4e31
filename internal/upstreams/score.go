package upstreams

import (
	"slices"
	"time"

	"github.com/slipwayhq/slipway/internal/methods"
)

// score is what a node's recent behaviour costs it in the order of the nodes, in
// points by cause. It is coarse on purpose: small differences must not move
// requests between nodes.
type score struct{ failures, throttled, latency int }

func (s score) sum() int { return s.failures + s.throttled + s.latency }

// maxScore keeps a score out of the bits of a rank that stand above it.
const maxScore = 1 << 20

// weighed is the score with its causes weighed, for a node that is behind by a
// number of blocks.
func (s score) weighed(w Weights, behind uint64) int64 {
	if w == usualWeights() {
		return int64(s.sum())
	}
	points := w.Failures*float64(s.failures) + w.Throttled*float64(s.throttled) + w.Latency*float64(s.latency) + w.Lag*float64(behind)
	return int64(min(points, maxScore))
}

// pack makes a score one word that is read and written at once; 0 stands for no
// score at all.
func (s score) pack() uint64 {
	return 1<<48 | uint64(uint16(s.failures))<<32 | uint64(uint16(s.throttled))<<16 | uint64(uint16(s.latency))
}

func unpack(word uint64) (s score, isKnown bool) {
	return score{failures: int(word >> 32 & 0xffff), throttled: int(word >> 16 & 0xffff), latency: int(word & 0xffff)}, word != 0
}

// steadyScore is a score of which each cause is steady.
type steadyScore struct{ failures, throttled, latency steady }

func (s *steadyScore) follow(now time.Time, raw score) score {
	return score{s.failures.follow(now, raw.failures), s.throttled.follow(now, raw.throttled), s.latency.follow(now, raw.latency)}
}

// Weights say how much the causes of a score count: 1 as usual, 0 not at all.
type Weights struct {
	Failures  float64 `json:"failures"`
	Throttled float64 `json:"throttled"`
	Latency   float64 `json:"latency"`
	// Lag is how many points each block costs that the node is behind; as usual
	// none, because nodes that are too far behind are asked last anyway.
	Lag float64 `json:"lag"`
}

func usualWeights() Weights { return Weights{Failures: 1, Throttled: 1, Latency: 1} }

// Multiplier changes, for the calls it means, a node's share of the load and how
// its score is reckoned. What it leaves out (nil) is that of the next one that
// means the call, at last as usual.
type Multiplier struct {
	Methods    methods.Pattern
	Finalities []Finality // empty: every finality
	// Share is as Endpoint.Weight, which wins.
	Share *float64
	// Failures, Throttled, Latency and Lag are as in Weights.
	Failures, Throttled, Latency, Lag *float64
}

// emphasis is what the multipliers of a node make of one call.
type emphasis struct {
	share   float64 // 0 has none
	weights Weights
}

// emphasisFor finds what holds for a call.
func (u *Upstream) emphasisFor(q question) emphasis {
	out := emphasis{u.endpoint.Weight, usualWeights()}
	if len(u.endpoint.Multipliers) == 0 {
		return out
	}
	meant := u.multipliers[q.facts.Method.Index]
	if !q.facts.Method.Known() {
		meant = multipliersOf(u.endpoint.Multipliers, q.method)
	}
	for _, m := range slices.Backward(meant) { // so that the first has the last word
		if len(m.Finalities) > 0 && !slices.Contains(m.Finalities, q.finality) {
			continue
		}
		if u.endpoint.Weight == 0 {
			set(&out.share, m.Share)
		}
		set(&out.weights.Failures, m.Failures)
		set(&out.weights.Throttled, m.Throttled)
		set(&out.weights.Latency, m.Latency)
		set(&out.weights.Lag, m.Lag)
	}
	return out
}

func multipliersOf(list []Multiplier, method string) []Multiplier {
	var out []Multiplier
	for _, m := range list {
		if m.Methods.Match(method) {
			out = append(out, m)
		}
	}
	return out
}

// scoreFor is the node's score for a request: its failures and latency are those
// of the method where enough is known of it, else those of all its answers.
func (u *Upstream) scoreFor(q question) int64 {
	s, _ := unpack(u.score.Load())
	if own, isKnown := unpack(u.methodScores[q.facts.Method.Index].Load()); isKnown {
		s.failures, s.latency = own.failures, own.latency
	}
	return s.weighed(u.emphasisFor(q).weights, min(max(q.latest, u.Head())-u.Head(), maxScore))
}
