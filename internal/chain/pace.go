package chain

import "time"

const (
	// paceWeight is the weight of the newest block in the mean time between blocks.
	paceWeight = 0.2
	// paceSamples is how many times the head must have moved before the mean says something.
	paceSamples = 3
	// paceCatchUp: a head that moves so many blocks at once was not watched.
	paceCatchUp = 100
)

// pace estimates the time between blocks. It is pure: the clock is passed in.
type pace struct {
	period  time.Duration // mean
	samples int
	last    time.Time // of the newest block
}

// moved records that the head went up by some blocks.
func (p *pace) moved(now time.Time, blocks uint64) {
	elapsed := now.Sub(p.last)
	isFirst := p.last.IsZero()
	p.last = now
	if isFirst || blocks == 0 || blocks > paceCatchUp || elapsed < 0 {
		return
	}
	sample := elapsed / time.Duration(blocks)
	p.samples++
	weight := max(paceWeight, 1/float64(p.samples))
	p.period += time.Duration(weight * float64(sample-p.period))
}

// Pace is how quickly a network makes blocks.
type Pace struct {
	// Period is the mean time between blocks; 0 while it is not known.
	Period time.Duration
	// Since is how long ago the newest block was seen.
	Since time.Duration
}

func (p *pace) at(now time.Time) Pace {
	if p.samples < paceSamples {
		return Pace{}
	}
	return Pace{Period: p.period, Since: now.Sub(p.last)}
}
