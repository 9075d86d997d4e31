package cache

import (
	"bytes"

	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/methods"
)

// MayHold says whether an answer to such a request can be in the store, so that
// looking for it is worth while.
func MayHold(facts methods.Facts, head chain.Head) bool {
	switch facts.Method.Cache {
	case methods.CacheByBlock:
		return facts.Ref == methods.RefNumber && head.IsFinal(facts.Number)
	case methods.CacheByContent:
		return facts.Ref == methods.RefHash
	case methods.CacheLogs:
		return facts.Ref == methods.RefHash || facts.Ref == methods.RefNumber && head.IsFinal(facts.Number)
	default:
		return false
	}
}

// IsKept says whether an answer is kept: only what can no longer change. The
// answering node must itself have shown the block it speaks of (nodeHead),
// because some nodes answer for blocks they do not have with an empty result.
func IsKept(facts methods.Facts, head chain.Head, nodeHead uint64, value []byte) bool {
	if len(value) == 0 || string(value) == "null" || !MayHold(facts, head) {
		return false
	}
	if facts.Ref == methods.RefNumber {
		return facts.Number <= nodeHead
	}
	number, ok := blockOf(facts, value)
	return ok && head.IsFinal(number)
}

// blockOf reads from an answer which block it belongs to. An answer that does
// not say it (a pending transaction, no logs at all) belongs to none.
func blockOf(facts methods.Facts, value []byte) (uint64, bool) {
	value = bytes.TrimSpace(value)
	if facts.Method.Cache == methods.CacheLogs {
		value = jsonrpc.Element(value, 0) // all logs of one block
	}
	for _, name := range []string{"blockNumber", "number"} {
		if number, ok := methods.ParseQuantity(jsonrpc.Member(value, name)); ok {
			return number, true
		}
	}
	return 0, false
}
