package upstreams

import "github.com/slipwayhq/slipway/internal/methods"

// Availability is the part of the chain a node has. The zero value is all of it
// up to the node's head. A node is asked for other blocks only after the nodes
// that have them.
type Availability struct {
	Lower, Upper Bound
	// StateOnly says that the bounds are those of accounts and contracts: blocks,
	// receipts and logs are all there.
	StateOnly bool
}

// Bound is an end of the part of the chain a node has.
type Bound struct {
	Kind BoundKind
	// Blocks is a block number or a distance in blocks.
	Blocks uint64
}

// BoundKind says what a bound is measured from.
type BoundKind uint8

// The kinds.
const (
	Unbounded    BoundKind = iota
	AtBlock                // a block number, or a distance from block 0
	BehindLatest           // a distance from the node's head
)

// at is the block the bound stands for at a head.
func (b Bound) at(head uint64) uint64 {
	if b.Kind == BehindLatest {
		return head - min(head, b.Blocks)
	}
	return b.Blocks
}

// has says whether a node with this head has the numbered block of a request.
// What is above the head is not judged here.
func (a Availability) has(facts methods.Facts, head uint64) bool {
	if a.StateOnly && !readsState(facts.Method) {
		return true
	}
	if a.Lower.Kind != Unbounded && facts.Number < a.Lower.at(head) {
		return false
	}
	return a.Upper.Kind == Unbounded || facts.Number <= a.Upper.at(head)
}

// readsState says whether a method needs the accounts and contracts as they
// were after its block.
func readsState(m *methods.Method) bool {
	switch m.Name {
	case "eth_getBalance", "eth_getCode", "eth_getStorageAt", "eth_getStorageValues", "eth_getTransactionCount",
		"eth_getProof", "eth_call", "eth_estimateGas", "eth_createAccessList", "eth_simulateV1":
		return true
	default:
		return methods.Namespace(m.Name) == "trace" || methods.Namespace(m.Name) == "debug"
	}
}
