package upstreams

import (
	"math/rand/v2"
	"time"

	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/methods"
)

// question is what the choice of nodes needs to know of a request.
type question struct {
	method   string
	facts    methods.Facts
	finality Finality
	selected []bool // by place in the configuration; nil selects all
	pin      pin
	latest   uint64
	now      time.Duration
}

func (p *Pool) question(req Request, head chain.Head) (question, error) {
	selected, err := p.selectors.of(req.Selector, p.upstreams)
	q := question{
		method: req.Method, facts: req.Facts, finality: finalityOf(req.Facts, head),
		selected: selected, latest: head.Latest, now: p.now(),
	}
	if len(p.upstreams) > 1 { // a single node needs no order
		q.pin = pinOf(req)
	}
	return q, err
}

// candidates lists the nodes that may be asked, the best first.
func (p *Pool) candidates(facts methods.Facts) []*Upstream {
	list, _ := p.choose(Request{Method: facts.Method.Name, Facts: facts}) // without a selector there is no error
	return list
}

// choose lists the nodes that may be asked, the best first. Its error is a
// SelectorError.
func (p *Pool) choose(req Request) ([]*Upstream, error) {
	q, err := p.question(req, p.tracker.Head())
	if err != nil {
		return nil, err
	}
	list := make([]*Upstream, 0, len(p.upstreams))
	var ranks [16]int64 // of list; beyond 16 nodes the order of the configuration is kept
	for _, u := range p.upstreams {
		if u.exclusion(q) != included {
			continue
		}
		rank := p.rank(u, q)
		at := len(list)
		list = append(list, u)
		if at >= len(ranks) {
			continue
		}
		for ; at > 0 && ranks[at-1] > rank; at-- { // insertion keeps ties in order
			list[at], ranks[at] = list[at-1], ranks[at-1]
		}
		list[at], ranks[at] = u, rank
	}
	list = withoutRefusing(list, ranks[:])
	if p.isSpread && !q.pin.isSet && q.facts.Method.Kind == methods.Read {
		spread(list, ranks[:], q, rand.Float64()) //nolint:gosec // a share of the load needs no secret
	}
	return list, nil
}

// exclusion says why a node is not asked at all.
type exclusion uint8

const (
	included exclusion = iota
	excludedState
	excludedCordon
	excludedSelector
	excludedMethod
	excludedSyncing
)

func (u *Upstream) exclusion(q question) exclusion {
	switch {
	case u.State() != Serving:
		return excludedState
	case u.cordonFor(q.method) != nil:
		return excludedCordon
	case q.selected != nil && !q.selected[u.place]:
		return excludedSelector
	case !u.mayServe(q):
		return excludedMethod
	case u.endpoint.SkipWhenSyncing && u.isSyncing.Load():
		return excludedSyncing
	default:
		return included
	}
}

func (u *Upstream) mayServe(q question) bool {
	if q.facts.Method.Known() {
		return u.serves[q.facts.Method.Index]
	}
	return u.endpoint.mayServe(q.method)
}

// Steps of a rank: each weighs more than everything after it.
const (
	rankRefused   = 1 << 47 // it said that it has no such method
	rankDown      = 1 << 46
	rankOpen      = 1 << 45 // its circuit breaker is open
	rankSyncing   = 1 << 44
	rankThrottled = 1 << 43
	rankLacks     = 1 << 42 // it may lack the block
	rankFallback  = 1 << 41
	rankClass     = rankFallback // below it nodes are alike but for pin and score
)

// rank orders a node for a request, the lower the better.
func (p *Pool) rank(u *Upstream, q question) int64 {
	var rank int64
	if u.isDown.Load() {
		rank += rankDown
	}
	if u.isFallback {
		rank += rankFallback
	}
	if q.facts.Method.Kind == methods.Filter {
		return rank // always the same node while it is healthy
	}
	for _, step := range []struct {
		is     bool
		weighs int64
	}{
		{u.refuses(q), rankRefused},
		{u.breakerOf(q).isOpen(q.now), rankOpen},
		{u.isSyncing.Load(), rankSyncing},
		{u.throttledFor(q.now) > 0, rankThrottled},
		{p.lacks(u, q.facts, q.latest), rankLacks},
	} {
		if step.is {
			rank += step.weighs
		}
	}
	if q.pin.isSet {
		return rank + q.pin.rank(u)
	}
	return rank + u.scoreFor(q)
}

// lacks says whether a node may lack the block a request asks for.
func (p *Pool) lacks(u *Upstream, facts methods.Facts, latest uint64) bool {
	if u.isPrunedFor(facts) {
		return true
	}
	return isBehind(u.Head(), facts, latest, p.cfg.MaxLag)
}

// isPrunedFor says whether a node does not have the block by its configuration.
func (u *Upstream) isPrunedFor(facts methods.Facts) bool {
	return facts.Ref == methods.RefNumber && !u.endpoint.Blocks.has(facts, u.Head()) && !facts.Method.IgnoresBounds
}

// isBehind says whether a node may not have come to the block a request asks for.
func isBehind(head uint64, facts methods.Facts, latest, maxLag uint64) bool {
	if facts.Ref == methods.RefNumber {
		return head < facts.Number
	}
	return head+maxLag < latest
}

// withoutRefusing drops the nodes that said they have no such method, unless
// all have: then the refusal is to be heard again.
func withoutRefusing(list []*Upstream, ranks []int64) []*Upstream {
	for i := range min(len(list), len(ranks)) {
		if i > 0 && ranks[i] >= rankRefused {
			if ranks[0] >= rankRefused {
				return list
			}
			return list[:i]
		}
	}
	return list
}

// spread puts one of the nodes first that stand in the same class as the first
// one, with a probability that goes by their weights and against their scores.
// When none has a weight for the request, their order stays. At is a random
// number in [0, 1).
func spread(list []*Upstream, ranks []int64, q question, at float64) {
	alike, total, isWeighted := 0, 0.0, false
	var shares [16]float64
	for alike < min(len(list), len(ranks), len(shares)) && ranks[alike]/rankClass == ranks[0]/rankClass {
		weight, isSet := list[alike].weight(q)
		isWeighted = isWeighted || isSet
		shares[alike] = weight / float64(1+ranks[alike]%rankClass)
		total += shares[alike]
		alike++
	}
	if !isWeighted {
		return
	}
	at *= total
	for i := range alike {
		at -= shares[i]
		if at < 0 {
			chosen := list[i]
			copy(list[1:i+1], list[:i])
			list[0] = chosen
			return
		}
	}
}

// weight is the node's share among its like for a request, 1 for one that has
// none set.
func (u *Upstream) weight(q question) (weight float64, isSet bool) {
	if weight = u.emphasisFor(q).share; weight > 0 {
		return weight, true
	}
	return 1, false
}
