package upstreams

import (
	"encoding/binary"
	"encoding/hex"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/slipwayhq/slipway/internal/methods"
)

// pin ties the requests of one sender to one node. Each node has a pool of
// pending transactions of its own, and what one node was sent the others hear
// of only later: a nonce read there could be one too low.
type pin struct {
	isSet  bool
	sender common.Address
}

// pinOf finds the sender of a signed transaction, or the account of a read of
// the pending state. Recovering a sender costs a fraction of a millisecond and
// is done for sends only.
func pinOf(req Request) pin {
	switch {
	case req.Facts.Method.Kind == methods.Send:
		sender, ok := senderOf(req.Params)
		return pin{ok, sender}
	case req.Facts.Ref == methods.RefTag && req.Facts.Tag == methods.Pending:
		text, ok := methods.FirstString(req.Params)
		if !ok || !common.IsHexAddress(text) {
			return pin{}
		}
		return pin{true, common.HexToAddress(text)}
	default:
		return pin{}
	}
}

// senderOf recovers who signed the raw transaction in the parameters.
func senderOf(params []byte) (common.Address, bool) {
	text, ok := methods.FirstString(params)
	if !ok || !strings.HasPrefix(text, "0x") {
		return common.Address{}, false
	}
	raw, err := hex.DecodeString(text[2:])
	if err != nil {
		return common.Address{}, false
	}
	var tx types.Transaction
	if err := tx.UnmarshalBinary(raw); err != nil {
		return common.Address{}, false
	}
	sender, err := types.Sender(types.LatestSignerForChainID(tx.ChainId()), &tx)
	return sender, err == nil
}

// rank orders the nodes for a sender by rendezvous hashing: every gateway finds
// the same order, and a node that leaves or comes back moves its own senders
// only.
func (p pin) rank(u *Upstream) int64 {
	const (
		offset, prime = 14695981039346656037, 1099511628211 // FNV-1a, 64 bits
		bits          = 40                                  // fewer than the steps of a rank
	)
	hash := uint64(offset)
	for i := range len(u.id) {
		hash = (hash ^ uint64(u.id[i])) * prime
	}
	hash ^= binary.BigEndian.Uint64(p.sender[:8]) ^ binary.BigEndian.Uint64(p.sender[8:16]) ^ uint64(binary.BigEndian.Uint32(p.sender[16:]))
	// Mixes every bit into every other (the finalizer of SplitMix64).
	hash = (hash ^ hash>>30) * 0xbf58476d1ce4e5b9
	hash = (hash ^ hash>>27) * 0x94d049bb133111eb
	hash ^= hash >> 31
	return int64(hash >> (64 - bits))
}
