package queue

import (
	"context"
	"fmt"

	"github.com/ethereum/go-ethereum/common"

	"github.com/slipwayhq/slipway/internal/nodeclient"
)

// shared is what the drivers of a replica do together: under load one statement
// does for many senders what each would else wait for the disk for.
type shared struct {
	claims      *gather[*claim]
	commits     *gather[*commitment]
	settlements *gather[*settlement]
	sends       *sendRecorder
}

// sharedNode joins what drivers ask of the node at the same time into one
// batch: with many senders that each have little to do, most of an exchange is
// the exchange itself.
type sharedNode struct {
	Node
	estimates *gather[*estimating]
	offers    *gather[*offering]
}

const (
	// nodeCallsAtOnce is how many batches are on their way to the node at a time.
	// Only beyond are they joined: so a call that the node takes long for keeps
	// hardly anybody else waiting.
	nodeCallsAtOnce = 4
	// maxNodeCalls is the most senders whose calls are joined.
	maxNodeCalls = 16
)

// estimating is one driver's EstimateGas, offering its SendRaw.
type (
	estimating struct {
		msgs    []nodeclient.CallMsg
		answers []nodeclient.Estimate
	}
	offering struct {
		raws    [][]byte
		hashes  []common.Hash
		answers []nodeclient.SendResult
	}
)

func newSharedNode(node Node) *sharedNode {
	return &sharedNode{
		Node: node,
		estimates: &gather[*estimating]{atOnce: nodeCallsAtOnce, most: maxNodeCalls, write: func(ctx context.Context, list []*estimating) {
			var msgs []nodeclient.CallMsg
			for _, e := range list {
				msgs = append(msgs, e.msgs...)
			}
			answers := node.EstimateGas(ctx, msgs)
			for _, e := range list {
				e.answers, answers = answers[:len(e.msgs):len(e.msgs)], answers[len(e.msgs):]
			}
		}},
		offers: &gather[*offering]{atOnce: nodeCallsAtOnce, most: maxNodeCalls, write: func(ctx context.Context, list []*offering) {
			var raws [][]byte
			var hashes []common.Hash
			for _, o := range list {
				raws, hashes = append(raws, o.raws...), append(hashes, o.hashes...)
			}
			answers := node.SendRaw(ctx, raws, hashes)
			for _, o := range list {
				o.answers, answers = answers[:len(o.raws):len(o.raws)], answers[len(o.raws):]
			}
		}},
	}
}

// EstimateGas implements Node.
func (n *sharedNode) EstimateGas(ctx context.Context, msgs []nodeclient.CallMsg) []nodeclient.Estimate {
	e := &estimating{msgs: msgs}
	if err := n.estimates.add(ctx, e); err != nil {
		e = &estimating{answers: make([]nodeclient.Estimate, len(msgs))}
		for i := range e.answers {
			e.answers[i].Err = fmt.Errorf("%w: %w", nodeclient.ErrUnreachable, context.Cause(ctx))
		}
	}
	return e.answers
}

// SendRaw implements Node.
func (n *sharedNode) SendRaw(ctx context.Context, raws [][]byte, hashes []common.Hash) []nodeclient.SendResult {
	o := &offering{raws: raws, hashes: hashes}
	if err := n.offers.add(ctx, o); err != nil { // they may be on their way
		o = &offering{answers: make([]nodeclient.SendResult, len(raws))}
		for i := range o.answers {
			o.answers[i] = nodeclient.SendResult{Outcome: nodeclient.SendAmbiguous, Message: "the replica stopped waiting"}
		}
	}
	return o.answers
}
