package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"

	"github.com/slipwayhq/slipway/internal/devnet"
)

// How validators agree on one block for each height: Paxos. Each holds a vote per
// height on its disk. Who proposes asks a quorum to promise a number, takes
// over the block that a promise tells of or makes one, and asks the quorum to
// accept it; two numbers can never get two blocks accepted. Quorum and order of
// proposers are QBFT's, so a network stops and goes on as many failures into it as
// one of Besu; lies, which QBFT withstands too, are believed here.

// vote is what a validator has said about one height.
type vote struct {
	Height   uint64        `json:"height"`
	Promised uint64        `json:"promised"`
	Accepted uint64        `json:"accepted"` // 0 where nothing was
	Block    hexutil.Bytes `json:"block,omitempty"`
}

// question is what a proposer asks; with a block it is to be accepted.
type question struct {
	Height uint64        `json:"height"`
	Number uint64        `json:"number"`
	Block  hexutil.Bytes `json:"block,omitempty"`
}

// answer is what a validator says to that, with what it had promised and
// accepted before.
type answer struct {
	Yes      bool          `json:"yes"`
	Promised uint64        `json:"promised"`
	Accepted uint64        `json:"accepted"`
	Block    hexutil.Bytes `json:"block,omitempty"`
}

// decide is the vote on a question, from a validator whose next block is at
// height next.
func (v vote) decide(asked question, next uint64) (vote, answer) {
	if asked.Height != next {
		return v, answer{} // one of both must catch up first
	}
	if v.Height != next {
		v = vote{Height: next}
	}
	before := answer{Promised: v.Promised, Accepted: v.Accepted, Block: v.Block}
	if asked.Number < v.Promised {
		return v, before
	}
	v.Promised, before.Yes = asked.Number, true
	if asked.Block != nil {
		v.Accepted, v.Block = asked.Number, asked.Block
	}
	return v, before
}

// quorum is how many of n validators must agree: two thirds, rounded up.
func quorum(n int) int { return (2*n + 2) / 3 }

// wait is how long after the last block the validator at place turn of count
// proposes the next one: at once after the period if it is its turn, otherwise
// when the rounds of those before it have ended, each twice as long as the one
// before.
func (n *network) wait(height uint64, turn, count int, empty bool) time.Duration {
	period := n.period
	if empty {
		period = n.emptyPeriod
	}
	round := (turn + count - int(height%uint64(count))) % count
	return period + n.timeout*time.Duration((1<<round)-1)
}

// ballots keeps the vote on disk: a validator that forgot it might break it.
type ballots struct {
	mu   sync.Mutex
	file string
	vote vote
}

func openBallots(dir string) (*ballots, error) {
	b := &ballots{file: filepath.Join(dir, "vote.json")}
	text, err := os.ReadFile(b.file)
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the vote: %w", err)
	}
	if err := json.Unmarshal(text, &b.vote); err != nil {
		return nil, fmt.Errorf("read the vote: %w", err)
	}
	return b, nil
}

func (b *ballots) decide(asked question, next uint64) (answer, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	decided, reply := b.vote.decide(asked, next)
	if reply.Yes {
		text, err := json.Marshal(decided)
		if err != nil {
			return answer{}, fmt.Errorf("write the vote: %w", err)
		}
		if err := os.WriteFile(b.file+".new", text, 0o600); err != nil {
			return answer{}, fmt.Errorf("write the vote: %w", err)
		}
		if err := os.Rename(b.file+".new", b.file); err != nil {
			return answer{}, fmt.Errorf("write the vote: %w", err)
		}
	}
	b.vote = decided
	return reply, nil
}

// Times of the proposer.
const (
	lookEvery = 50 * time.Millisecond
	leastRest = 200 * time.Millisecond // after a proposal that found no quorum, and as much again by chance
)

// takeTurns proposes blocks while this node is a validator. It implements
// lifecycle.Run.
func (n *node) takeTurns(ctx context.Context, ready func()) error {
	ready()
	var height uint64
	var since time.Time // when the head was first seen
	pause := lookEvery
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		pause = lookEvery
		head, _, err := n.chain.Head()
		if err != nil {
			continue // it is being stopped
		}
		if head != height || since.IsZero() {
			height, since = head, time.Now()
		}
		set, err := n.electorate.at(head + 1)
		turn := slices.Index(set, n.net.own.address)
		if err != nil || turn < 0 {
			continue
		}
		waiting, err := n.chain.Waiting()
		if err != nil || time.Since(since) < n.net.wait(head+1, turn, len(set), len(waiting) == 0) {
			continue
		}
		if err := n.propose(ctx, head+1, set, turn); err != nil {
			n.log.InfoContext(ctx, "no agreement yet", slog.Uint64("height", head+1), slog.String("error", err.Error()))
			pause = leastRest + rand.N(leastRest) //nolint:gosec // chance only keeps proposers apart
		}
	}
}

var errNoQuorum = errors.New("too few validators answer")

// propose brings a block about at a height, for which set are the validators.
func (n *node) propose(ctx context.Context, height uint64, set []common.Address, turn int) error {
	count := uint64(len(set))
	number := (n.seen/count+1)*count + uint64(turn)
	n.seen = number
	promises, err := n.askAll(ctx, set, question{Height: height, Number: number})
	if err != nil {
		return err
	}
	block, highest := hexutil.Bytes(nil), uint64(0)
	for _, promise := range promises {
		if promise.Accepted > highest {
			block, highest = promise.Block, promise.Accepted
		}
	}
	if block == nil {
		if block, err = n.chain.Propose(devnet.Mark{Proposer: n.net.own.address, Extra: n.electorate.cast(n.net.own.address).extra()}); err != nil {
			return err
		}
	}
	if _, err := n.askAll(ctx, set, question{Height: height, Number: number, Block: block}); err != nil {
		return err
	}
	return n.chain.Append(ctx, block)
}

// askAll asks all validators at once, this one too, and returns the answers of a
// quorum that says yes.
func (n *node) askAll(ctx context.Context, set []common.Address, asked question) ([]answer, error) {
	replies := make(chan answer)
	var asking sync.WaitGroup
	asking.Go(func() {
		reply, err := n.answer(asked)
		if err != nil {
			n.log.ErrorContext(ctx, "no vote", slog.String("error", err.Error()))
		}
		replies <- reply
	})
	for _, other := range n.peersAmong(set) {
		asking.Go(func() {
			var reply answer
			if err := n.post(ctx, other, pathVote, asked, &reply); err != nil {
				reply = answer{} // whoever does not answer says no
			}
			replies <- reply
		})
	}
	go func() { // ends with the questions, each of which has a limit
		asking.Wait()
		close(replies)
	}()
	var agreed []answer
	for reply := range replies {
		n.seen = max(n.seen, reply.Promised)
		if reply.Yes {
			agreed = append(agreed, reply)
		}
	}
	if len(agreed) < quorum(len(set)) {
		return nil, fmt.Errorf("%w: %d of %d", errNoQuorum, len(agreed), len(set))
	}
	return agreed, nil
}

// answer is this validator's vote.
func (n *node) answer(asked question) (answer, error) {
	head, _, err := n.chain.Head()
	if err != nil {
		return answer{}, err
	}
	return n.ballots.decide(asked, head+1)
}
