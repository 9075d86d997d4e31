package gateway

import (
	"context"
	"strings"
	"time"

	"github.com/slipwayhq/slipway/internal/cache"
	"github.com/slipwayhq/slipway/internal/chain"
)

// cacheStage answers reads from the store and keeps what the policies allow. It
// never fails a call: a broken store is a miss.
type cacheStage struct {
	store    cache.Store
	policies *cache.Policies
	tracker  *chain.Tracker
}

func newCacheStage(project ProjectConfig, net NetworkConfig, deps NetworkDeps) *cacheStage {
	policies := net.Policies
	if policies == nil {
		policies = cache.DefaultPolicies()
	}
	return &cacheStage{
		store: deps.Store, tracker: deps.Tracker,
		policies: cache.NewPolicies(policies, project.ID, deps.Name, deps.Catalogue),
	}
}

func (s *cacheStage) Wrap(next Handler) Handler {
	return func(ctx context.Context, call *Call) (*Result, error) {
		if call.Key == "" {
			return next(ctx, call)
		}
		head := s.tracker.Head()
		if result := s.lookUp(ctx, call, head); result != nil {
			return result, nil
		}
		call.asked, call.newest = time.Now().UnixMilli(), head.Latest
		result, err := next(ctx, call)
		if err == nil {
			s.keep(ctx, call, result)
		}
		return result, err
	}
}

func (s *cacheStage) lookUp(ctx context.Context, call *Call, head chain.Head) *Result {
	if call.Directives.SkipCacheRead {
		return nil
	}
	plan, ok := s.policies.LookUp(cache.Ask{Facts: call.Facts, Params: call.Params, Head: head})
	if !ok {
		return nil
	}
	entry, ok := s.store.Get(ctx, call.Key, plan)
	if !ok {
		return nil
	}
	if entry.Finality != cache.Finalized && !s.holds(entry, head) {
		s.store.Delete(ctx, call.Key)
		return nil
	}
	// Another gateway may have kept what this one has not heard of yet. Whoever
	// has seen a block must not be shown an older head afterwards.
	if entry.Number > head.Latest {
		s.tracker.ObserveExisting(entry.Number)
	}
	return &Result{Value: entry.Value, Source: FromCache, Asked: entry.Asked, Finality: entry.Finality}
}

// reorgMargin allows for the clocks of other gateways, and for nodes that turn
// to the new branch a little later than others.
const reorgMargin = 5 * time.Second

// holds says whether an answer that could change still holds.
func (s *cacheStage) holds(entry cache.Entry, head chain.Head) bool {
	if entry.Finality == cache.Realtime {
		return entry.Number == head.Latest
	}
	if turned := s.tracker.LastReorg(); !turned.IsZero() && mayPrecede(entry, turned, time.Now()) {
		return false
	}
	return s.isOnChain(entry)
}

// mayPrecede says whether an answer may have been asked for before the chain
// turned. One that seems to come from the future has been kept before the clock
// was set back, or by a gateway whose clock is ahead: nothing is known of it.
func mayPrecede(entry cache.Entry, turned, now time.Time) bool {
	return entry.Asked <= turned.Add(reorgMargin).UnixMilli() || entry.Asked > now.Add(reorgMargin).UnixMilli()
}

// isOnChain says whether an answer's block is the one that the chain has at its
// height, as far as both are known.
func (s *cacheStage) isOnChain(entry cache.Entry) bool {
	if entry.Hash == "" {
		return true
	}
	known := s.tracker.HashOf(entry.Number)
	return known == "" || strings.EqualFold(known, entry.Hash)
}

// keep stores an answer where the policies allow it.
func (s *cacheStage) keep(ctx context.Context, call *Call, result *Result) {
	if call.Key == "" || result.Error != nil || result.Source != FromUpstream {
		return
	}
	ask := cache.Ask{
		Facts: call.Facts, Params: call.Params, Head: s.tracker.Head(), Newest: call.newest, IsPinned: call.isPinned(),
	}
	plan, entry, ok := s.policies.Keep(ask, cache.Answer{Value: result.Value, NodeHead: result.Head, BlockTime: s.tracker.Pace().Period})
	if !ok || entry.Finality == cache.Unfinalized && !s.isOnChain(entry) {
		return
	}
	entry.Asked = call.asked
	s.store.Set(ctx, call.Key, entry, plan)
}
