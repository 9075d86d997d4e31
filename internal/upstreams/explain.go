package upstreams

import (
	"fmt"
	"slices"
	"time"
)

// Standing says where a node stands in the order for a request, and why.
type Standing struct {
	// Place is 1 for the node that is asked first, 0 for one that is not asked.
	Place    int    `json:"place"`
	Upstream ID     `json:"upstream"`
	State    string `json:"state"`
	Healthy  bool   `json:"healthy"`
	Head     uint64 `json:"head"`
	// Answered and Failed count the requests of the last 30 seconds.
	Answered int `json:"answered"`
	Failed   int `json:"failed"`
	// P50 and P95 of the recent answers, in milliseconds.
	P50 float64 `json:"p50Ms"`
	P95 float64 `json:"p95Ms"`
	// Score orders nodes that are otherwise alike, the lower the better.
	Score int64 `json:"score"`
	// Reasons say in words what moved the node from the first place.
	Reasons []string `json:"reasons"`
}

// Explain gives the order in which the nodes would be asked for a request now.
func (p *Pool) Explain(method string, params []byte) []Standing {
	facts := p.catalogue.Describe(method, params)
	latest := p.tracker.Head().Latest
	order := p.candidates(facts)
	now := time.Now()

	out := make([]Standing, 0, len(p.upstreams))
	for _, u := range p.upstreams {
		s := u.standing(now)
		s.Place = slices.Index(order, u) + 1
		s.Reasons = reasons(s, isBehind(u.Head(), facts, latest, p.cfg.MaxLag), latest)
		out = append(out, s)
	}
	slices.SortStableFunc(out, func(a, b Standing) int { return placeLast(a.Place) - placeLast(b.Place) })
	return out
}

// placeLast puts nodes that are not asked behind all others.
func placeLast(place int) int {
	if place == 0 {
		return 1 << 30
	}
	return place
}

func (u *Upstream) standing(now time.Time) Standing {
	u.mu.Lock()
	defer u.mu.Unlock()
	good, bad := u.health.window(now)
	return Standing{
		Upstream: u.id, State: u.State().String(), Healthy: u.IsHealthy(), Head: u.Head(), Answered: good, Failed: bad,
		P50: milliseconds(u.health.p50), P95: milliseconds(u.health.p95), Score: u.score.Load(),
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// reasons says why a node is not first, or not asked. It is pure.
func reasons(s Standing, behind bool, latest uint64) []string {
	out := []string{}
	switch {
	case s.State == Quarantined.String():
		out = append(out, "shows another chain: never asked")
	case s.State != Serving.String():
		out = append(out, "cannot be reached: not asked until its chain was seen again")
	}
	if !s.Healthy {
		out = append(out, fmt.Sprintf("failed %d times in a row or more: asked last, until probes go well", failuresToDrop))
	}
	if behind {
		out = append(out, fmt.Sprintf("its newest block is %d, the network's is %d: asked after nodes that have the block", s.Head, latest))
	}
	if s.Score > 0 {
		out = append(out, fmt.Sprintf("score %d: %d of %d requests failed in 30 seconds, half of its answers took more than %.1f ms", s.Score, s.Failed, s.Answered+s.Failed, s.P50))
	}
	return out
}
