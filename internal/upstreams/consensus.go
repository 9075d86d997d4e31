package upstreams

import (
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Consensus asks several nodes at once and takes the answer on which enough of
// them agree.
type Consensus struct {
	// Participants is how many nodes are asked.
	Participants int
	// Threshold is how many must give the same answer.
	Threshold int
	// OnDispute says what holds when no answer has so many; OnLow, when fewer
	// nodes than that have answered at all.
	OnDispute, OnLow Arbitration
	// PreferNonEmpty takes an answer over null and over an empty list when both
	// could be taken.
	PreferNonEmpty bool
	// IgnoreFields are members that do not count in the comparison, by method, as
	// paths: "logs.*.blockTimestamp".
	IgnoreFields map[string][]string
	// Punishment keeps a node away that often disagrees; nil keeps none.
	Punishment *Punishment
	// DisputeLevel is the level at which a dispute is logged.
	DisputeLevel slog.Level
}

// Punishment keeps a node from being asked for agreement for a while, after it
// has disagreed Disputes times within Window.
type Punishment struct {
	Disputes int
	Window   time.Duration
	SitOut   time.Duration
}

// Arbitration is what holds without agreement. Its names are eRPC's.
type Arbitration string

// The arbitrations.
const (
	ReturnError           Arbitration = "returnError"
	AcceptMostCommon      Arbitration = "acceptMostCommonValidResult"
	PreferBlockHeadLeader Arbitration = "preferBlockHeadLeader" // else the most common
	OnlyBlockHeadLeader   Arbitration = "onlyBlockHeadLeader"   // else an error
)

// DefaultConsensus is what a policy inherits.
func DefaultConsensus() Consensus {
	return Consensus{Participants: 5, Threshold: 2, OnDispute: ReturnError, OnLow: AcceptMostCommon, PreferNonEmpty: true, DisputeLevel: slog.LevelWarn}
}

func (c *Consensus) validate() error {
	if c == nil {
		return nil
	}
	var errs []error
	if c.Participants < 1 {
		errs = append(errs, errors.New("consensus: participants: must be at least 1"))
	}
	if c.Threshold < 1 || c.Threshold > c.Participants {
		errs = append(errs, fmt.Errorf("consensus: threshold: must be between 1 and the %d participants", c.Participants))
	}
	for _, a := range []Arbitration{c.OnDispute, c.OnLow} {
		switch a {
		case ReturnError, AcceptMostCommon, PreferBlockHeadLeader, OnlyBlockHeadLeader:
		default:
			errs = append(errs, fmt.Errorf("consensus: %q is no behaviour", string(a)))
		}
	}
	if p := c.Punishment; p != nil && (p.Disputes < 1 || p.Window <= 0 || p.SitOut <= 0) {
		errs = append(errs, errors.New("consensus: punishment: its numbers must be more than zero"))
	}
	return errors.Join(errs...)
}

// DisputeError says that the nodes did not agree.
type DisputeError struct {
	Answers   int // nodes that gave an answer
	Agreeing  int // of which so many gave the most common one
	Threshold int
}

// Error implements error.
func (e *DisputeError) Error() string {
	return fmt.Sprintf("the upstreams do not agree: %d of %d gave the same answer, %d must", e.Agreeing, e.Answers, e.Threshold)
}

// ballot is one node's answer. Equal answers have equal texts.
type ballot struct {
	text    string
	isEmpty bool
	head    uint64 // of the node
}

// ruling is what follows from the ballots that are in.
type ruling struct {
	kind   rulingKind
	winner int // index of a ballot, when kind is agreed or arbitrated
}

type rulingKind uint8

const (
	waiting    rulingKind = iota // another ballot may still change it
	agreed                       // as many as needed say the same
	arbitrated                   // they do not, and an answer is taken nonetheless
	disputed                     // they do not, and none is taken
)

func (k rulingKind) String() string {
	return [...]string{"waiting", "agreed", "arbitrated", "disputed"}[k]
}

// rule decides. Outstanding is how many ballots may still come. It is pure.
func (c *Consensus) rule(ballots []ballot, outstanding int) ruling {
	first, count, second := c.leader(ballots)
	isAgreed := first >= 0 && count >= c.Threshold
	if isAgreed && c.isSafe(ballots, first, count, second, outstanding) {
		return ruling{agreed, first}
	}
	if outstanding > 0 {
		return ruling{kind: waiting}
	}
	if first < 0 {
		return ruling{kind: disputed}
	}
	behaviour := c.OnDispute
	if len(ballots) < c.Threshold {
		behaviour = c.OnLow
	}
	return arbitrate(behaviour, ballots, first)
}

// leader finds the answer with the most ballots, the earliest of several, and
// how many it and the next one have. Among answers that are enough, and among
// those that are not, one that is not empty stands first where that is wanted.
func (c *Consensus) leader(ballots []ballot) (first, count, second int) {
	counts := map[string]int{}
	for _, b := range ballots {
		counts[b.text]++
	}
	first = -1
	for i, b := range ballots {
		if first < 0 || c.precedes(b, counts[b.text], ballots[first], count) {
			first, count = i, counts[b.text]
		}
	}
	for text, n := range counts {
		if first >= 0 && text != ballots[first].text {
			second = max(second, n)
		}
	}
	return first, count, second
}

func (c *Consensus) precedes(a ballot, aCount int, b ballot, bCount int) bool {
	aEnough, bEnough := aCount >= c.Threshold, bCount >= c.Threshold
	switch {
	case aEnough != bEnough:
		return aEnough
	case c.PreferNonEmpty && a.isEmpty != b.isEmpty:
		return b.isEmpty
	default:
		return aCount > bCount
	}
}

// isSafe says whether the lead cannot be lost, and is one.
func (c *Consensus) isSafe(ballots []ballot, first, count, second, outstanding int) bool {
	if c.PreferNonEmpty && ballots[first].isEmpty && outstanding > 0 {
		return mostNonEmpty(ballots)+outstanding < c.Threshold && second+outstanding < count
	}
	if c.PreferNonEmpty && !ballots[first].isEmpty && outstanding == 0 {
		return count > mostNonEmptyBut(ballots, ballots[first].text)
	}
	return second+outstanding < count
}

func mostNonEmpty(ballots []ballot) int { return mostNonEmptyBut(ballots, "") }

func mostNonEmptyBut(ballots []ballot, but string) int {
	counts, most := map[string]int{}, 0
	for _, b := range ballots {
		if !b.isEmpty && b.text != but {
			counts[b.text]++
			most = max(most, counts[b.text])
		}
	}
	return most
}

// arbitrate takes an answer without agreement, or none.
func arbitrate(how Arbitration, ballots []ballot, mostCommon int) ruling {
	ahead, isTie := 0, false
	for i, b := range ballots {
		switch {
		case b.head > ballots[ahead].head:
			ahead, isTie = i, false
		case b.head == ballots[ahead].head && b.text != ballots[ahead].text:
			isTie = true
		}
	}
	switch {
	case how == AcceptMostCommon, how == PreferBlockHeadLeader && isTie:
		return ruling{arbitrated, mostCommon}
	case how == PreferBlockHeadLeader, how == OnlyBlockHeadLeader && !isTie:
		return ruling{arbitrated, ahead}
	default:
		return ruling{kind: disputed}
	}
}
