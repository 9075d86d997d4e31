package gateway

import (
	"context"

	"github.com/slipwayhq/slipway/internal/upstreams"
)

// forwardStage sends the call to the pool. It is the end of the way.
type forwardStage struct {
	pool Pool
}

func (s *forwardStage) Wrap(Handler) Handler {
	return func(ctx context.Context, call *Call) (*Result, error) {
		ctx = call.traced(ctx)
		reply, err := s.pool.Do(ctx, call.request())
		if err == nil && call.isPinned() && reply.LacksBlock(call.Facts) {
			// No node has the newest block yet, or any more. Each has a newest
			// block of its own, which is what the client asked for.
			reply, err = s.pool.Do(ctx, *call.unpinned)
			reply.Head = 0 // of another block than the key says: not to be kept
		}
		if err != nil {
			return nil, err
		}
		return resultOf(reply), nil
	}
}

func (c *Call) request() upstreams.Request {
	return upstreams.Request{
		Method: c.Method, Params: c.Params, Facts: c.Facts, Selector: c.Directives.UseUpstream,
		RetryEmpty: c.Directives.RetryEmpty, RetryPending: c.Directives.RetryPending, SkipConsensus: c.Directives.SkipConsensus,
	}
}

func resultOf(reply upstreams.Reply) *Result {
	return &Result{
		Value: reply.Result, Error: reply.Error, IsTooLarge: reply.IsTooLarge,
		Source: FromUpstream, Upstream: reply.Upstream, Head: reply.Head, Attempts: reply.Attempts,
	}
}
