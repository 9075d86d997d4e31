package upstreams

import (
	"bytes"

	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/methods"
)

// observe learns the head from answers that tell it, and sees to it that no
// client is shown an older head than the gateway knows: an old block number is
// replaced by the known one, an old latest block leads to another node.
func observe(tracker *chain.Tracker, req Request, u *Upstream, v *verdict) {
	if v.outcome != OutcomeOK {
		return
	}
	switch req.Facts.Method.Name {
	case "eth_blockNumber":
		number, ok := methods.ParseQuantity(bytes.TrimSpace(v.result))
		if !ok {
			return
		}
		if !advance(tracker, u, number) {
			v.outcome = OutcomeNodeError
			return
		}
		if latest := tracker.Head().Latest; latest > number {
			v.result = methods.AppendQuantity(nil, latest)
		}
	case "eth_getBlockByNumber", "eth_getBlockByHash":
		observeBlock(tracker, req.Facts, u, v)
	case "eth_getTransactionReceipt", "eth_getTransactionByHash":
		// Who has seen a transaction mined must find its effects at "latest".
		if number, ok := methods.ParseQuantity(jsonrpc.Member(v.result, "blockNumber")); ok {
			exists(tracker, u, number)
		}
	}
}

// observeBlock learns from a block; its hash matters only where it may change.
func observeBlock(tracker *chain.Tracker, facts methods.Facts, u *Upstream, v *verdict) {
	number, ok := facts.Number, facts.Ref == methods.RefNumber
	if !ok {
		number, ok = methods.ParseQuantity(jsonrpc.Member(v.result, "number"))
	}
	if !ok {
		return
	}
	if facts.Ref == methods.RefTag && facts.Tag == methods.Latest {
		if !advance(tracker, u, number) {
			v.outcome = OutcomeNodeError
			return
		}
		if tracker.Head().Latest > number {
			v.outcome = OutcomeStale
			return
		}
	} else if facts.Ref != methods.RefTag { // a pending block is not there yet
		exists(tracker, u, number)
	}
	if tracker.Finality().Mode != chain.Instant && facts.Tag != methods.Pending {
		tracker.ObserveBlock(number, text(v.result, "hash"), text(v.result, "parentHash"))
	}
}

// text is a member of a block that is a text, without its quotes.
func text(block []byte, name string) string {
	return string(bytes.Trim(jsonrpc.Member(block, name), `"`))
}

// advance learns a head. It is false for one that is too far away to be
// believed; the poller has the node show it.
func advance(tracker *chain.Tracker, u *Upstream, number uint64) bool {
	if known := tracker.Head(); known.IsKnown && leaps(known, number) {
		return false
	}
	tracker.ObserveLatest(number)
	if number > u.Head() {
		u.setHead(number)
	}
	return true
}

// exists notes a block that a node has shown, unless its number is too far away
// to be believed.
func exists(tracker *chain.Tracker, u *Upstream, number uint64) {
	if known := tracker.Head(); known.IsKnown && leaps(known, number) {
		return
	}
	tracker.ObserveExisting(number)
	if number > u.Head() {
		u.setHead(number)
	}
}
