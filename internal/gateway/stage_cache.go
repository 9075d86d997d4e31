package gateway

import (
	"context"

	"github.com/slipwayhq/slipway/internal/cache"
	"github.com/slipwayhq/slipway/internal/chain"
)

// cacheStage answers reads from the store and keeps what the policy allows. It
// never fails a call: a broken store is a miss.
type cacheStage struct {
	store   cache.Store
	tracker *chain.Tracker
}

func (s *cacheStage) Wrap(next Handler) Handler {
	return func(ctx context.Context, call *Call) (*Result, error) {
		if call.Key == "" || !cache.MayHold(call.Facts, s.tracker.Head()) {
			return next(ctx, call)
		}
		if entry, hit := s.store.Get(ctx, call.Key); hit {
			return &Result{Value: entry.Value, Source: FromCache}, nil
		}
		result, err := next(ctx, call)
		if err == nil {
			s.keep(ctx, call, result)
		}
		return result, err
	}
}

// keep stores an answer when the policy allows it.
func (s *cacheStage) keep(ctx context.Context, call *Call, result *Result) {
	if call.Key == "" || result.Error != nil || result.Source != FromUpstream {
		return
	}
	if cache.IsKept(call.Facts, s.tracker.Head(), result.Head, result.Value) {
		s.store.Set(ctx, call.Key, cache.Entry{Value: result.Value})
	}
}
