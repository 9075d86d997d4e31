package upstreams

import (
	"context"
	"time"

	"github.com/slipwayhq/slipway/internal/methods"
)

// racers gives of the nodes that are left those that may be asked at the same
// time, the first one included. A node that is behind may not overtake another:
// it would be quick with an old state.
func (p *Pool) racers(facts methods.Facts, fs Failsafe, left []*Upstream) []*Upstream {
	if facts.Method.Kind != methods.Read {
		return left[:1]
	}
	latest := p.tracker.Head().Latest
	n := 1
	for n < min(len(left), 1+fs.MaxHedges) && !isBehind(left[n].Head(), facts, latest, p.cfg.MaxLag) {
		n++
	}
	return left[:n]
}

// race asks the first node and, when it has not answered after its hedge delay,
// the next one as well, and so on through the nodes. The first good answer wins
// and the other attempts are cancelled. It says how many nodes it has asked.
func (p *Pool) race(ctx context.Context, fs Failsafe, nodes []*Upstream, ask exchange) (verdict, int) {
	first, others := nodes[0], nodes[1:]
	if len(others) == 0 {
		return p.attempt(ctx, first, fs, ask), 1
	}
	late, lateFS := ask, fs
	late.isHedge = true
	lateFS.number++
	used := 0 // of the others
	v, hedged, lost := hedge(ctx, hedgeDelay(fs, first, others[0]),
		func(ctx context.Context) verdict { return p.attempt(ctx, first, fs, ask) },
		func(ctx context.Context) (v verdict) {
			v, used = p.overtake(ctx, lateFS, others, late)
			return v
		})
	switch {
	case !hedged:
		return v, 1
	case lost:
		first.metrics.hedgeLost.Inc()
	default:
		first.metrics.hedgeWon.Inc()
	}
	return v, 1 + used
}

// overtake races the nodes behind a slow one. What does not settle the request
// gives the turn to the next node at once, because the slow one may hang.
func (p *Pool) overtake(ctx context.Context, fs Failsafe, nodes []*Upstream, ask exchange) (best verdict, used int) {
	for used < len(nodes) && (used == 0 || !best.outcome.settles() && ctx.Err() == nil) {
		v, n := p.race(ctx, fs, nodes[used:], ask)
		if used == 0 || v.outcome.settles() || v.outcome.worth() > best.outcome.worth() {
			best = v
		}
		used += n
		fs.number += n
	}
	return best, used
}

// hedgeDelay is how long a node gets before the next one is asked as well:
// longer than nearly all of its recent answers took, within the configured
// bounds. A fallback helps out late rather than often.
func hedgeDelay(fs Failsafe, u, next *Upstream) time.Duration {
	if next.isFallback && !u.isFallback {
		return fs.HedgeMaxDelay
	}
	return min(max(fs.HedgeMinDelay, fs.HedgeBase+u.recent.Load().quantile(fs.HedgeQuantile)), fs.HedgeMaxDelay)
}

// hedge runs first in the caller's goroutine and starts second when first has
// not returned after delay. A second answer that settles cancels the first
// with errLostRace. Both have returned when hedge returns. On the usual way,
// where first is quick, it costs a timer and no goroutine.
func hedge(ctx context.Context, delay time.Duration, first, second func(context.Context) verdict) (v verdict, hedged, lost bool) {
	firstCtx, cancelFirst := context.WithCancelCause(ctx)
	defer cancelFirst(nil)
	secondCtx, cancelSecond := context.WithCancel(ctx)
	defer cancelSecond()

	var other verdict
	var cause any // of a panic in the goroutine below
	done := make(chan struct{})
	// await waits for the second, bounded by the attempt timeout. A panic there
	// goes on here: in a goroutine of its own it would end the program.
	await := func() {
		<-done
		if cause != nil {
			panic(cause)
		}
	}
	timer := time.AfterFunc(delay, func() {
		defer func() {
			cause = recover()
			close(done)
		}()
		other = second(secondCtx)
		if other.outcome.settles() {
			cancelFirst(errLostRace)
		}
	})

	v = first(firstCtx)
	if timer.Stop() {
		return v, false, false
	}
	if v.outcome.settles() {
		cancelSecond()
		await()
		return v, true, false
	}
	await()
	if other.outcome.settles() || other.outcome.worth() > v.outcome.worth() {
		return other, true, true
	}
	return v, true, false
}
