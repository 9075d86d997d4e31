package validators

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ethereum/go-ethereum/common"
)

// Quorum is how many of n validators must agree on a block: ceil(2n/3).
func Quorum(n int) int { return (2*n + 2) / 3 }

// Tolerated is how many of n validators may fail: floor((n-1)/3).
func Tolerated(n int) int { return (n - 1) / 3 }

// maxBehind is how many blocks a new validator may be behind before it is one.
const maxBehind = 10

// Change is what is to become of the set.
type Change struct {
	Address common.Address
	Add     bool // otherwise it is removed
	// Majority goes on when some validators cannot be asked, as long as more than
	// half can.
	Majority bool
	// AcceptNoFaultTolerance lets a network shrink to where no validator may fail.
	AcceptNoFaultTolerance bool
}

// view is what one node said; a node that said nothing has failed set.
type view struct {
	url        string // without credentials
	failed     error
	address    common.Address
	head       uint64
	genesis    common.Hash
	validators []common.Address
}

// plan is what follows from the views.
type plan struct {
	set     []common.Address
	isDone  bool  // the set is as wanted already
	voters  []int // nodes to ask for their votes, by their place in the views
	missing []string
}

// decide is the whole judgement: whom to ask for a vote, or why nobody.
func decide(change Change, views []view) (plan, error) {
	set, err := agreedSet(views)
	if err != nil {
		return plan{}, err
	}
	p := plan{set: set, isDone: slices.Contains(set, change.Address) == change.Add}
	if p.isDone {
		return p, nil
	}
	for _, validator := range set {
		if at := nodeOf(views, validator); at >= 0 {
			p.voters = append(p.voters, at)
		} else {
			p.missing = append(p.missing, validator.Hex())
		}
	}
	if err := checkVoters(change, p, views); err != nil {
		return plan{}, err
	}
	if change.Add {
		return p, checkAddition(change, p, views)
	}
	return p, checkRemoval(change, p, views)
}

// agreedSet is the set of validators that all nodes tell.
func agreedSet(views []view) ([]common.Address, error) {
	var first *view
	for i := range views {
		v := &views[i]
		switch {
		case v.failed != nil:
		case first == nil:
			first = v
		case v.genesis != first.genesis:
			return nil, fmt.Errorf("%s and %s are nodes of different networks: their genesis hashes are %s and %s", first.url, v.url, first.genesis, v.genesis)
		case !sameSet(v.validators, first.validators):
			return nil, fmt.Errorf("%s and %s tell different validators: one is behind, or a change is under way; try again in a minute", first.url, v.url)
		}
	}
	if first == nil {
		return nil, fmt.Errorf("no node can be asked: %s", reasons(views))
	}
	if len(first.validators) == 0 {
		return nil, fmt.Errorf("%s tells no validators: does a contract choose them? then votes change nothing", first.url)
	}
	return first.validators, nil
}

func sameSet(a, b []common.Address) bool {
	if len(a) != len(b) {
		return false
	}
	for _, address := range a {
		if !slices.Contains(b, address) {
			return false
		}
	}
	return true
}

// nodeOf is the place of the node with this address, or -1.
func nodeOf(views []view, address common.Address) int {
	return slices.IndexFunc(views, func(v view) bool { return v.failed == nil && v.address == address })
}

func reasons(views []view) string {
	var out []string
	for _, v := range views {
		if v.failed != nil {
			out = append(out, fmt.Sprintf("%s: %v", v.url, v.failed))
		}
	}
	return strings.Join(out, "; ")
}

func checkVoters(change Change, p plan, views []view) error {
	if len(p.missing) == 0 {
		return nil
	}
	missing := fmt.Sprintf("no URL leads to %d of the %d validators (%s)", len(p.missing), len(p.set), strings.Join(p.missing, ", "))
	if failed := reasons(views); failed != "" {
		missing += "; " + failed
	}
	switch {
	case 2*len(p.voters) <= len(p.set):
		return fmt.Errorf("%s: more than half must vote; give the URL of every validator, not of a gateway or a Service", missing)
	case !change.Majority:
		return fmt.Errorf("%s: give the URL of every validator, or --majority if these are down for good", missing)
	}
	return nil
}

// checkAddition makes sure that the new validator does its part from its first
// block on: it counts for the quorum whether it runs or not.
func checkAddition(change Change, p plan, views []view) error {
	at := nodeOf(views, change.Address)
	if at < 0 {
		return fmt.Errorf("none of the nodes is %s: start it first and give its URL too; as a validator that does not run it would count against the others", change.Address)
	}
	var head uint64
	for _, i := range p.voters {
		head = max(head, views[i].head)
	}
	if behind := int64(head) - int64(views[at].head); behind > maxBehind {
		return fmt.Errorf("%s is %d blocks behind: wait until it has caught up", views[at].url, behind)
	}
	if after, running := len(p.set)+1, len(p.voters)+1; running < Quorum(after) {
		return fmt.Errorf("after that %d of %d validators must agree, and %d can be reached: bring the others back first", Quorum(after), after, running)
	}
	return nil
}

func checkRemoval(change Change, p plan, views []view) error {
	after := len(p.set) - 1
	if after == 0 {
		return fmt.Errorf("%s is the only validator: without it there is no chain", change.Address)
	}
	running := len(p.voters)
	if nodeOf(views, change.Address) >= 0 {
		running--
	}
	if running < Quorum(after) {
		return fmt.Errorf("after that %d of %d validators must agree, and %d can be reached: the chain would stop; bring the others back first", Quorum(after), after, running)
	}
	if Tolerated(len(p.set)) > 0 && Tolerated(after) == 0 && !change.AcceptNoFaultTolerance {
		return fmt.Errorf("with %d validators none may fail: add another one first, or say --accept-no-fault-tolerance", after)
	}
	return nil
}
