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
	case "eth_getBlockByNumber":
		if req.Facts.Ref != methods.RefTag || req.Facts.Tag != methods.Latest {
			return
		}
		number, ok := methods.ParseQuantity(jsonrpc.Member(v.result, "number"))
		if !ok {
			return
		}
		if !advance(tracker, u, number) {
			v.outcome = OutcomeNodeError
			return
		}
		if tracker.Head().Latest > number {
			v.outcome = OutcomeStale
		}
	}
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
