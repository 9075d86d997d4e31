package validators

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/slipwayhq/slipway/internal/nodeclient"
)

// Node is one node, by its own URL.
type Node struct {
	URL    string // for messages, without credentials
	Client *nodeclient.Client
}

// Options of a change.
type Options struct {
	API     nodeclient.VotingAPI
	Timeout time.Duration // of waiting for the blocks with the votes
	Poll    time.Duration
}

// Apply changes the set and waits until every node shows it. say hears of each
// step. Run again after a failure it goes on where it was: votes are kept by
// the nodes, and casting one twice changes nothing.
func Apply(ctx context.Context, nodes []Node, change Change, options Options, say func(line string)) error {
	views := survey(ctx, nodes, options.API)
	p, err := decide(change, views)
	if err != nil {
		return err
	}
	if p.isDone {
		say(fmt.Sprintf("%s %s: nothing to do", change.Address, map[bool]string{true: "is a validator already", false: "is not a validator"}[change.Add]))
		withdraw(ctx, nodes, answering(views), change.Address, options, say) // of a run that did not see the end
		return nil
	}
	say(fmt.Sprintf("The network has %s at block %d.", counted(len(p.set)), highest(views)))
	cast, err := vote(ctx, nodes, p, change, options, say)
	if err != nil {
		return err
	}
	if err := wait(ctx, nodes, p, change, options, say); err != nil {
		return err
	}
	withdraw(ctx, nodes, cast, change.Address, options, say)
	after := len(p.set) - 1
	if change.Add {
		after = len(p.set) + 1
	}
	say(fmt.Sprintf("Done: %s, %d must agree, %d may fail.", counted(after), Quorum(after), Tolerated(after)))
	return nil
}

func counted(validators int) string {
	if validators == 1 {
		return "1 validator"
	}
	return fmt.Sprintf("%d validators", validators)
}

func highest(views []view) (head uint64) {
	for _, v := range views {
		head = max(head, v.head)
	}
	return head
}

// answering are the nodes that could be asked.
func answering(views []view) []int {
	var out []int
	for i, v := range views {
		if v.failed == nil {
			out = append(out, i)
		}
	}
	return out
}

// survey asks all nodes at once who they are and what they see.
func survey(ctx context.Context, nodes []Node, api nodeclient.VotingAPI) []view {
	views := make([]view, len(nodes))
	var all sync.WaitGroup
	for i, node := range nodes {
		all.Go(func() { views[i] = look(ctx, node, api) })
	}
	all.Wait()
	return views
}

func look(ctx context.Context, node Node, api nodeclient.VotingAPI) view {
	v := view{url: node.URL}
	for _, step := range []func() error{
		func() (err error) { v.address, err = node.Client.NodeAddress(ctx); return err },
		func() (err error) { v.head, err = node.Client.BlockNumber(ctx); return err },
		func() (err error) { v.genesis, err = node.Client.GenesisHash(ctx); return err },
		func() (err error) { v.validators, err = node.Client.Validators(ctx, api); return err },
	} {
		if v.failed = step(); v.failed != nil {
			break
		}
	}
	return v
}

// vote asks every voter for its vote. Those that took it are given back.
func vote(ctx context.Context, nodes []Node, p plan, change Change, options Options, say func(string)) (cast []int, err error) {
	var failed []string
	for _, i := range p.voters {
		if err := nodes[i].Client.ProposeValidator(ctx, options.API, change.Address, change.Add); err != nil {
			failed = append(failed, fmt.Sprintf("%s: %v", nodes[i].URL, err))
			continue
		}
		cast = append(cast, i)
		say(fmt.Sprintf("%s votes (%d of %d).", nodes[i].URL, len(cast), len(p.set)))
	}
	if enough := 2*len(cast) > len(p.set); len(failed) == 0 || (enough && change.Majority) {
		return cast, nil
	}
	withdraw(ctx, nodes, cast, change.Address, options, say)
	return nil, fmt.Errorf("%d of %d validators took the vote, not all, so it was taken back: %s: is the API %s enabled there?",
		len(cast), len(p.set), strings.Join(failed, "; "), strings.ToUpper(string(options.API)))
}

// wait looks until every voter shows the new set. An idle quiet network makes a
// block a minute, and each validator's vote waits for its own block.
func wait(ctx context.Context, nodes []Node, p plan, change Change, options Options, say func(string)) error {
	bounded, cancel := context.WithTimeout(ctx, options.Timeout)
	defer cancel()
	var told uint64
	for {
		pending, head := behind(bounded, nodes, p, change, options.API)
		if len(pending) == 0 {
			return nil
		}
		if head > told {
			told = head
			say(fmt.Sprintf("Block %d: not yet.", head))
		}
		select {
		case <-bounded.Done():
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("stopped waiting: %w; the votes stay until `slipway network validator withdraw`", err)
			}
			return fmt.Errorf("after %s the set has not changed on %s; the votes stay: run this again to wait on, or `slipway network validator withdraw` to take them back",
				options.Timeout, strings.Join(pending, ", "))
		case <-time.After(options.Poll):
		}
	}
}

// behind are the voters that do not show the change yet.
func behind(ctx context.Context, nodes []Node, p plan, change Change, api nodeclient.VotingAPI) (pending []string, head uint64) {
	for _, i := range p.voters {
		set, err := nodes[i].Client.Validators(ctx, api)
		if err != nil || slices.Contains(set, change.Address) != change.Add {
			pending = append(pending, nodes[i].URL)
		}
		if number, err := nodes[i].Client.BlockNumber(ctx); err == nil {
			head = max(head, number)
		}
	}
	return pending, head
}

// withdraw takes votes back that have done their work: a vote that stays would
// be cast again if the set changed back.
func withdraw(ctx context.Context, nodes []Node, cast []int, address common.Address, options Options, say func(string)) {
	for _, i := range cast {
		if err := nodes[i].Client.DiscardVote(ctx, options.API, address); err != nil {
			say(fmt.Sprintf("%s keeps its vote until it restarts: %v", nodes[i].URL, err))
		}
	}
}

// Withdraw takes back the votes of all nodes for or against an address.
func Withdraw(ctx context.Context, nodes []Node, address common.Address, options Options, say func(line string)) error {
	var failed error
	for _, node := range nodes {
		if err := node.Client.DiscardVote(ctx, options.API, address); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", node.URL, err))
			continue
		}
		say(node.URL + " has no vote on " + address.Hex() + ".")
	}
	return failed
}
