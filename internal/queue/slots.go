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
	seq       int
	purpose   string
	raw       []byte
	hash      common.Hash
	fees      Fees
	firstSent time.Time // zero: never offered
	sentAt    uint64    // the head then, as far as it was known
}

// slot is a nonce that is not final yet, as its driver remembers it.
type slot struct {
	nonce    uint64
	txID     uuid.UUID
	attempts []attempt // oldest first; the newest is sent

	sent     bool      // the node took the newest attempt
	lastSent time.Time // zero: never
	waiting  string    // substatus as stored, "" for none
	isPriced bool      // the fee policy chose its prices, so it may raise them
	bumpedAt time.Time // when the price was last raised, or could not be

	mined        *nodeclient.Receipt // in a block, but not final
	missing      int                 // heads at which the nonce was used without a receipt of ours
	missingSince time.Time
}

// offered notes when the newest attempt was first offered to the node.
func (s *slot) offered(now time.Time, head uint64) {
	if a := &s.attempts[len(s.attempts)-1]; a.firstSent.IsZero() {
		a.firstSent, a.sentAt = now, head
	}
}

// isCancelled says whether the attempt that was mined was to cancel.
func (s *slot) isCancelled() bool {
	return slices.ContainsFunc(s.attempts, func(a attempt) bool {
		return s.mined != nil && a.hash == s.mined.TxHash && a.purpose == purposeCancel
	})
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

// ofTransaction finds the slot of a transaction, nil where there is none.
func (o *openSlots) ofTransaction(id uuid.UUID) *slot {
	for _, s := range o.list {
		if s.txID == id {
			return s
		}
	}
	return nil
}

// lowestOpen is the lowest slot that is in no block, nil where there is none.
func (o *openSlots) lowestOpen() *slot {
	for _, s := range o.list {
		if s.mined == nil {
			return s
		}
	}
	return nil
}

// attempted adds another attempt to a slot.
func (o *openSlots) attempted(s *slot, a attempt, now time.Time) {
	s.attempts = append(s.attempts, a)
	s.sent, s.waiting, s.bumpedAt = false, "", now
	o.byHash[a.hash] = s
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
	s := o.lowestOpen()
	return s != nil && s.sent && now.Sub(s.lastSent) >= patience
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
