package gateway

import (
	"context"

	"github.com/slipwayhq/slipway/internal/cache"
	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/methods"
)

// describeStage completes the call: the facts, the block number in place of
// safe and finalized where the nodes do not know these tags, and the key.
type describeStage struct {
	catalogue *methods.Catalogue
	tracker   *chain.Tracker
	pool      Pool
}

func (s *describeStage) Wrap(next Handler) Handler {
	return func(ctx context.Context, call *Call) (*Result, error) {
		call.Facts = s.catalogue.Describe(call.Method, call.Params)
		if call.Facts.HasTag {
			s.replaceTags(call)
		}
		if call.Facts.Joinable() {
			identity := s.pool.Identity()
			call.Key = cache.NewKey(identity.ChainID, identity.Genesis, call.Method, call.Params)
		}
		return next(ctx, call)
	}
}

func (s *describeStage) replaceTags(call *Call) {
	number, ok := s.tracker.Finality().TagNumber(s.tracker.Head())
	if !ok {
		return
	}
	call.Params = call.Facts.ReplaceTags(call.Params, number)
	call.Facts = s.catalogue.Describe(call.Method, call.Params)
}
