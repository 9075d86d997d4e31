package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rlp"
)

// Who the validators are follows from the chain alone, as in QBFT: the genesis file
// names the first ones, and each block may carry its proposer's vote on one
// address. More than half of the validators of an epoch change the set, from
// the next block on.

// ballot is the vote of a block.
type ballot struct {
	subject common.Address
	add     bool // otherwise it is removed
}

// extra is a ballot as it stands in a block's extra data: QBFT's marks and the address.
func (b *ballot) extra() []byte {
	if b == nil {
		return nil
	}
	mark := byte(0x00)
	if b.add {
		mark = 0xff
	}
	return append([]byte{mark}, b.subject.Bytes()...)
}

func ballotOf(extra []byte) *ballot {
	if len(extra) != 1+common.AddressLength {
		return nil
	}
	return &ballot{subject: common.BytesToAddress(extra[1:]), add: extra[0] == 0xff}
}

// tally is what follows from the blocks of a chain. It is a value: count returns
// another one.
type tally struct {
	set   []common.Address
	votes map[ballot][]common.Address // who voted so, in this epoch
}

// count adds a block.
func (t tally) count(height, epoch uint64, proposer common.Address, cast *ballot) tally {
	out := tally{set: t.set, votes: maps.Clone(t.votes)}
	if height%epoch == 0 || out.votes == nil {
		out.votes = make(map[ballot][]common.Address)
	}
	if cast == nil || !t.counts(proposer, *cast) {
		return out
	}
	voters := append(slices.Clone(out.votes[*cast]), proposer)
	if 2*len(voters) <= len(t.set) {
		out.votes[*cast] = voters
		return out
	}
	delete(out.votes, *cast)
	if cast.add {
		out.set = slices.SortedFunc(slices.Values(append(slices.Clone(t.set), cast.subject)), common.Address.Cmp)
		return out
	}
	isGone := func(one common.Address) bool { return one == cast.subject }
	out.set = slices.DeleteFunc(slices.Clone(t.set), isGone)
	for vote, voters := range out.votes {
		out.votes[vote] = slices.DeleteFunc(slices.Clone(voters), isGone)
	}
	return out
}

// counts says whether a vote is one that is still to be cast.
func (t tally) counts(voter common.Address, vote ballot) bool {
	return slices.Contains(t.set, voter) && slices.Contains(t.set, vote.subject) != vote.add && !slices.Contains(t.votes[vote], voter)
}

// electorate reads a chain as it grows, and keeps what its node is asked to vote.
type electorate struct {
	epoch uint64
	block func(number uint64) ([]byte, error) // of the chain, as RLP

	mu     sync.Mutex
	next   uint64  // the block to count
	tally  tally   // of all blocks before it
	reigns []reign // sets since the genesis, the newest last
	wishes map[common.Address]bool
}

// reign is a set and the first block that it makes.
type reign struct {
	from uint64
	set  []common.Address
}

func newElectorate(first []common.Address, epoch uint64, block func(uint64) ([]byte, error)) *electorate {
	return &electorate{
		epoch: epoch, block: block, next: 1, tally: tally{set: first}, reigns: []reign{{set: first}}, wishes: make(map[common.Address]bool),
	}
}

// at are the validators that make the block of a height, of which all blocks
// before it are there.
func (e *electorate) at(height uint64) ([]common.Address, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.readTo(height); err != nil {
		return nil, err
	}
	for _, one := range slices.Backward(e.reigns) {
		if one.from <= height {
			return one.set, nil
		}
	}
	return nil, errors.New("no validators at all") // the first reign is from 0
}

func (e *electorate) readTo(height uint64) error {
	for ; e.next < height; e.next++ {
		text, err := e.block(e.next)
		if err != nil {
			return err
		}
		block := new(types.Block)
		if err := rlp.Decode(bytes.NewReader(text), block); err != nil {
			return fmt.Errorf("read block %d: %w", e.next, err)
		}
		before := len(e.tally.set)
		e.tally = e.tally.count(e.next, e.epoch, block.Coinbase(), ballotOf(block.Extra()))
		if len(e.tally.set) != before {
			e.reigns = append(e.reigns, reign{e.next + 1, e.tally.set})
		}
	}
	return nil
}

// wish is what the operator asks for; forget takes it back.
func (e *electorate) wish(subject common.Address, add bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.wishes[subject] = add
}

func (e *electorate) forget(subject common.Address) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.wishes, subject)
}

func (e *electorate) pending() map[common.Address]bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return maps.Clone(e.wishes)
}

// cast is the vote that a proposer puts into its block: a wish that it has not
// voted for yet.
func (e *electorate) cast(proposer common.Address) *ballot {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, subject := range slices.SortedFunc(maps.Keys(e.wishes), common.Address.Cmp) {
		if vote := (ballot{subject, e.wishes[subject]}); e.tally.counts(proposer, vote) {
			return &vote
		}
	}
	return nil
}
