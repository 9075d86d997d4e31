package upstreams

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/methods"
)

// Failsafe says how a call is taken through the attempt loop.
type Failsafe struct {
	// Timeout bounds the call as a whole, all attempts and pauses included.
	Timeout time.Duration
	// AttemptTimeout bounds one try at one node.
	AttemptTimeout time.Duration
	// Rounds is how often each node may be asked; within a round they are asked
	// one after the other without a pause.
	Rounds int
	// Pause stands between two rounds, so that a node in the middle of a restart
	// is not asked in vain several times in a millisecond. It grows by
	// PauseFactor each time, up to PauseMax, plus up to PauseJitter.
	Pause, PauseMax, PauseJitter time.Duration
	PauseFactor                  float64
	// MaxHedges is how many more nodes may be asked for a read whose node is slow,
	// each when the one before has not answered either; 0 asks none.
	MaxHedges int
	// A node is slow after HedgeBase and the HedgeQuantile of its recent answers,
	// within HedgeMinDelay and HedgeMaxDelay.
	HedgeBase                    time.Duration
	HedgeQuantile                float64
	HedgeMinDelay, HedgeMaxDelay time.Duration
	// Consensus asks several nodes for a read instead of one; nil asks one.
	Consensus *Consensus

	// end is when Timeout is over for the call at hand.
	end time.Time
	// number counts the tries of the call at hand from 1; 0 is the first as well.
	number int
}

// deadline is that of an attempt that starts now.
func (f Failsafe) deadline(now time.Time) time.Time {
	if at := now.Add(f.AttemptTimeout); at.Before(f.end) {
		return at
	}
	return f.end
}

// once is the failsafe of a single attempt that begins now.
func once(timeout time.Duration) Failsafe {
	return Failsafe{AttemptTimeout: timeout, end: time.Now().Add(timeout)}
}

// isOver says whether the call's time is up.
func (f Failsafe) isOver() bool { return !time.Now().Before(f.end) }

// DefaultFailsafe holds for a call that no rule means.
func DefaultFailsafe() Failsafe {
	return Failsafe{
		Timeout: 30 * time.Second, AttemptTimeout: 10 * time.Second,
		Rounds: 3, Pause: 50 * time.Millisecond, PauseMax: time.Second, PauseJitter: 25 * time.Millisecond, PauseFactor: 2,
		MaxHedges: 2, HedgeQuantile: 0.95, HedgeMinDelay: 50 * time.Millisecond, HedgeMaxDelay: time.Second,
	}
}

// Finality is how settled the block is that a call asks about, as rules name it.
type Finality string

// The finalities of a call.
const (
	Finalized    Finality = "finalized"   // a block that cannot change any more
	Unfinalized  Finality = "unfinalized" // a numbered block that may
	Realtime     Finality = "realtime"    // the newest block, or no block at all
	UnknownBlock Finality = "unknown"     // named by a hash
)

// finalityOf says which finality a call has at a head. It is pure.
func finalityOf(f methods.Facts, head chain.Head) Finality {
	switch f.Ref {
	case methods.RefHash:
		return UnknownBlock
	case methods.RefNumber:
		if head.HasFinalized && f.Number <= head.Finalized {
			return Finalized
		}
		return Unfinalized
	case methods.RefTag:
		if f.Tag == methods.Finalized || f.Tag == methods.Safe {
			return Finalized
		}
		return Realtime
	default:
		return Realtime
	}
}

// Rule changes the failsafe of the calls it means. Of several rules the first
// that means a call holds, and alone; what it leaves out (nil, or an absent
// field) it inherits.
type Rule struct {
	Methods    methods.Pattern
	Finalities []Finality // empty: every finality

	Timeout, AttemptTimeout      *time.Duration
	Rounds                       *int
	Pause, PauseMax, PauseJitter *time.Duration
	PauseFactor                  *float64
	MaxHedges                    *int
	HedgeBase                    *time.Duration
	HedgeQuantile                *float64
	HedgeMinDelay, HedgeMaxDelay *time.Duration
	Consensus                    *Consensus
}

// apply fills a rule in over what it inherits.
func (r Rule) apply(f Failsafe) Failsafe {
	if r.Timeout != nil {
		// Who grants a call more time grants it to its attempts: one of them may
		// need it all, and hedging, not the timeout, is what finds a node that hangs.
		f.Timeout, f.AttemptTimeout = *r.Timeout, *r.Timeout
	}
	set(&f.AttemptTimeout, r.AttemptTimeout)
	set(&f.Rounds, r.Rounds)
	set(&f.Pause, r.Pause)
	set(&f.PauseMax, r.PauseMax)
	set(&f.PauseJitter, r.PauseJitter)
	set(&f.PauseFactor, r.PauseFactor)
	set(&f.MaxHedges, r.MaxHedges)
	set(&f.HedgeBase, r.HedgeBase)
	set(&f.HedgeQuantile, r.HedgeQuantile)
	set(&f.HedgeMinDelay, r.HedgeMinDelay)
	set(&f.HedgeMaxDelay, r.HedgeMaxDelay)
	if r.Consensus != nil {
		f.Consensus = r.Consensus
	}
	// One try never outlasts the call, and a delay never exceeds its bound.
	f.AttemptTimeout = min(f.AttemptTimeout, f.Timeout)
	f.HedgeMaxDelay = max(f.HedgeMaxDelay, f.HedgeMinDelay, f.HedgeBase)
	f.PauseMax = max(f.PauseMax, f.Pause)
	return f
}

func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

// HeavyRules stand behind the configured ones: searching logs and replaying
// transactions takes a node longer than anything else.
func HeavyRules() []Rule {
	logs, traces := 30*time.Second, 90*time.Second
	logsCall, tracesCall := 60*time.Second, 120*time.Second
	none := 0
	return []Rule{
		{Methods: mustPattern("eth_getLogs|eth_getFilterLogs"), Timeout: &logsCall, AttemptTimeout: &logs},
		{Methods: mustPattern("trace_*|debug_*|arbtrace_*"), Timeout: &tracesCall, AttemptTimeout: &traces, MaxHedges: &none},
	}
}

// mustPattern is for patterns that are written in the code.
func mustPattern(text string) methods.Pattern {
	p, err := methods.ParsePattern(text)
	if err != nil {
		return methods.Pattern{} // matches nothing; TestHeavyRules would show it
	}
	return p
}

// validate reports what makes no sense.
func (f Failsafe) validate(of string) error {
	var errs []error
	for name, d := range map[string]time.Duration{
		"timeout": f.Timeout, "attempt timeout": f.AttemptTimeout, "hedge minimum delay": f.HedgeMinDelay, "hedge maximum delay": f.HedgeMaxDelay,
	} {
		if d <= 0 {
			errs = append(errs, fmt.Errorf("%s: %s: must be more than zero", of, name))
		}
	}
	if f.MaxHedges < 0 {
		errs = append(errs, fmt.Errorf("%s: hedges: must not be negative", of))
	}
	if f.HedgeBase < 0 || f.HedgeQuantile <= 0 || f.HedgeQuantile >= 1 {
		errs = append(errs, fmt.Errorf("%s: hedge delay: its base must not be negative, its quantile must be between 0 and 1", of))
	}
	if f.Pause < 0 || f.PauseMax < 0 || f.PauseJitter < 0 {
		errs = append(errs, fmt.Errorf("%s: pauses: must not be negative", of))
	}
	if f.PauseFactor < 1 {
		errs = append(errs, fmt.Errorf("%s: pause factor: must be at least 1", of))
	}
	if f.Rounds < 1 {
		errs = append(errs, fmt.Errorf("%s: rounds: must be at least 1", of))
	}
	if err := f.Consensus.validate(); err != nil {
		errs = append(errs, fmt.Errorf("%s: %w", of, err))
	}
	return errors.Join(errs...)
}

// failsafes finds the failsafe of a call.
type failsafes struct {
	fallback Failsafe
	rules    []Rule
	known    [][]choice // by methods.Method.Index
}

// choice is a failsafe for the calls of a method that have one of the
// finalities; none means all.
type choice struct {
	finalities []Finality
	failsafe   Failsafe
}

func newFailsafes(fallback Failsafe, rules []Rule, catalogue *methods.Catalogue) *failsafes {
	f := &failsafes{fallback: fallback, rules: rules, known: make([][]choice, catalogue.Len())}
	for _, m := range catalogue.All() {
		f.known[m.Index] = f.choices(m.Name)
	}
	return f
}

// choices lists what may hold for a method: its configured rules in order, then
// what they inherit from, which is the heavy rule that means the method or the
// fallback. So a rule that says nothing of hedging does not hedge a replay.
func (f *failsafes) choices(method string) []choice {
	base := f.fallback
	for _, r := range HeavyRules() {
		if r.Methods.Match(method) {
			base = r.apply(f.fallback)
			break
		}
	}
	var out []choice
	for _, r := range f.rules {
		if r.Methods.Match(method) {
			out = append(out, choice{r.Finalities, r.apply(base)})
		}
	}
	return append(out, choice{nil, base})
}

// of finds the failsafe of a request: that of the first rule that means it.
func (f *failsafes) of(req Request, head chain.Head) Failsafe {
	var list []choice
	if req.Facts.Method.Known() {
		list = f.known[req.Facts.Method.Index]
	} else {
		list = f.choices(req.Method)
	}
	if len(list) == 1 {
		return list[0].failsafe // the last choice has no finalities
	}
	finality := finalityOf(req.Facts, head)
	for _, c := range list {
		if len(c.finalities) == 0 || slices.Contains(c.finalities, finality) {
			return c.failsafe
		}
	}
	return f.fallback
}

// pause is the pause before a round, the second being the first to have one.
func (f Failsafe) pause(round int) time.Duration {
	d := float64(f.Pause)
	for range round - 2 {
		d = min(d*f.PauseFactor, float64(f.PauseMax))
	}
	if f.PauseJitter > 0 {
		d += rand.Float64() * float64(f.PauseJitter) //nolint:gosec // jitter needs no secret
	}
	return time.Duration(d)
}
