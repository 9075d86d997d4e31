package queue

import (
	"slices"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"

	"github.com/slipwayhq/slipway/internal/nodeclient"
)

// attempt is signed bytes for a slot.
type attempt struct {
	seq  int
	raw  []byte
	hash common.Hash
}

// slot is a nonce that is not final yet, as its driver remembers it.
type slot struct {
	nonce    uint64
	txID     uuid.UUID
	attempts []attempt // oldest first; the newest is sent

	sent     bool      // the node took the newest attempt
	lastSent time.Time // zero: never
	waiting  string    // substatus as stored, "" for none

	mined        *nodeclient.Receipt // in a block, but not final
	missing      int                 // heads at which the nonce was used without a receipt of ours
	missingSince time.Time
}

func (s *slot) newest() attempt { return s.attempts[len(s.attempts)-1] }

// openSlots are the unfinished slots of one sender, ascending by nonce. Only
// the sender's driver touches them.
type openSlots struct {
	list   []*slot
	byHash map[common.Hash]*slot
}

func newOpenSlots(list []*slot) *openSlots {
	o := &openSlots{byHash: map[common.Hash]*slot{}}
	o.add(list)
	return o
}

func (o *openSlots) add(list []*slot) {
	for _, s := range list {
		o.list = append(o.list, s)
		for _, a := range s.attempts {
			o.byHash[a.hash] = s
		}
	}
	slices.SortFunc(o.list, func(a, b *slot) int { return int(int64(a.nonce) - int64(b.nonce)) })
}

func (o *openSlots) remove(done map[*slot]bool) {
	o.list = slices.DeleteFunc(o.list, func(s *slot) bool {
		if !done[s] {
			return false
		}
		for _, a := range s.attempts {
			delete(o.byHash, a.hash)
		}
		return true
	})
}

func (o *openSlots) len() int { return len(o.list) }

// unsent lists, ascending, the slots the node has not taken yet.
func (o *openSlots) unsent() []*slot {
	var out []*slot
	for _, s := range o.list {
		if !s.sent && s.mined == nil {
			out = append(out, s)
		}
	}
	return out
}

// overdue says whether the lowest slot was sent and has waited longer than
// patience for its block. Higher slots cannot be the reason why nothing moves.
func (o *openSlots) overdue(now time.Time, patience time.Duration) bool {
	for _, s := range o.list {
		if s.mined == nil {
			return s.sent && now.Sub(s.lastSent) >= patience
		}
	}
	return false
}

// used lists the slots below the chain's count that no block of ours explains yet.
func (o *openSlots) used(latest uint64) []*slot {
	var out []*slot
	for _, s := range o.list {
		if s.nonce < latest && s.mined == nil {
			out = append(out, s)
		}
	}
	return out
}

// ripe lists the mined slots whose block has enough confirmations at head.
func (o *openSlots) ripe(head, confirmations uint64) []*slot {
	var out []*slot
	for _, s := range o.list {
		if s.mined != nil && head+1 >= s.mined.BlockNumber+confirmations {
			out = append(out, s)
		}
	}
	return out
}

// lowWater is the nonce below which everything is final.
func (o *openSlots) lowWater(next uint64) uint64 {
	if len(o.list) == 0 {
		return next
	}
	return o.list[0].nonce
}
