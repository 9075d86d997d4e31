package upstreams

import "github.com/slipwayhq/slipway/internal/methods"

// agreeingNulls is how many nodes with the whole chain must say "no such thing"
// before it is believed, as long as there are as many. A single node may have
// lost what it should know: its data are damaged, or it is being filled anew.
const agreeingNulls = 2

// whoMayKnowMore keeps of the nodes that are left those that are worth asking
// after an answer. After "no such thing" and after an old answer they are the
// nodes that are further ahead than the one that gave it, or have the block
// that the request names. Nulls is how many nodes have said "no such thing"
// that should know.
func (p *Pool) whoMayKnowMore(left []*Upstream, req Request, v verdict, nulls int) []*Upstream {
	isNull := v.outcome == OutcomeNull
	if isNull && req.RetryEmpty || !isNull && v.outcome != OutcomeStale {
		return left
	}
	var kept []*Upstream
	for _, u := range left {
		isAhead := u.Head() >= needed(req.Facts, v.upstream)
		if isAhead || isNull && nulls < agreeingNulls && p.maySecond(u, v.upstream, req.Facts) {
			kept = append(kept, u)
		}
	}
	return kept
}

// credibleNulls is 1 for a null of a node that should know, else 0.
func (p *Pool) credibleNulls(v verdict, facts methods.Facts) int {
	if v.outcome == OutcomeNull && p.shouldKnow(v.upstream, facts) {
		return 1
	}
	return 0
}

// needed is the head from which on a node may know more than one that has
// answered.
func needed(facts methods.Facts, answered *Upstream) uint64 {
	if facts.Ref == methods.RefNumber {
		return facts.Number
	}
	return answered.Head() + 1
}

// shouldKnow says whether a node answers and has what the request is about, if
// that is to be had at all. One that is on its way back, whose probes go well,
// answers: for a while it may be the only one besides a node that lost its data.
func (p *Pool) shouldKnow(u *Upstream, facts methods.Facts) bool {
	return !u.isSilent.Load() && !p.lacks(u, facts, p.tracker.Head().Latest)
}

// maySecond says whether a node is asked only to confirm what another one said:
// not when nobody can rely on it, so that no one waits for it in vain, and not
// when it is there for emergencies.
func (p *Pool) maySecond(u, answered *Upstream, facts methods.Facts) bool {
	return p.shouldKnow(u, facts) && (!u.isFallback || answered.isFallback)
}
