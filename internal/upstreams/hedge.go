package upstreams

import (
	"context"
	"time"
)

// race asks the first node and, when it has not answered after its hedge
// delay, the second one as well. The first good answer wins and the other
// attempt is cancelled. It says how many nodes it has asked.
func (p *Pool) race(ctx context.Context, fs Failsafe, first, second *Upstream, ask exchange) (verdict, int) {
	delay := hedgeDelay(fs, first)
	if second.isFallback && !first.isFallback {
		delay = fs.HedgeMaxDelay // a fallback helps out late rather than often
	}
	late, lateFS := ask, fs
	late.isHedge = true
	lateFS.number++
	v, hedged, lost := hedge(ctx, delay,
		func(ctx context.Context) verdict { return p.attempt(ctx, first, fs, ask) },
		func(ctx context.Context) verdict { return p.attempt(ctx, second, lateFS, late) })
	switch {
	case !hedged:
		return v, 1
	case lost:
		first.metrics.hedgeLost.Inc()
	default:
		first.metrics.hedgeWon.Inc()
	}
	return v, 2
}

// hedgeDelay is how long a node gets alone: longer than nearly all of its
// recent answers took, within the configured bounds.
func hedgeDelay(fs Failsafe, u *Upstream) time.Duration {
	return min(max(fs.HedgeMinDelay, time.Duration(u.p95.Load())), fs.HedgeMaxDelay)
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
