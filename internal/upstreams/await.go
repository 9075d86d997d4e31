package upstreams

import (
	"context"
	"time"

	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/methods"
)

// awaitBlocks is how far above the head a block may be that a request waits for.
const awaitBlocks = 3

// awaitBlock waits for the block of a request when no node has it yet and it is
// due. Clients hear of a block from one node and ask the gateway for it before
// the others have it. It is true when the block has come.
func (p *Pool) awaitBlock(ctx context.Context, req Request, best verdict) bool {
	isAbsent := best.outcome == OutcomeNull || best.outcome == OutcomeMissing
	if !isAbsent || req.Facts.Ref != methods.RefNumber || req.Facts.Method.Kind != methods.Read {
		return false
	}
	head := p.tracker.Head()
	if !head.IsKnown {
		return false
	}
	if head.Latest >= req.Facts.Number {
		return best.upstream.Head() < req.Facts.Number // it has come in the meantime
	}
	limit := p.cfg.AwaitBlock
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline)/2) // the other half is for asking
	}
	wait := patience(req.Facts.Number-head.Latest, p.tracker.Pace(), limit)
	if wait <= 0 {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	return p.tracker.Wait(ctx, req.Facts.Number)
}

// patience is how long to wait for a block that is some blocks above the head;
// 0 when it is not due within the limit, as on networks that make empty blocks
// only once a minute. It is pure.
func patience(above uint64, pace chain.Pace, limit time.Duration) time.Duration {
	if above == 0 || above > awaitBlocks || pace.Period <= 0 {
		return 0
	}
	limit = min(limit, 2*pace.Period)
	if due := time.Duration(above)*pace.Period - pace.Since; due > limit {
		return 0
	}
	return limit
}
