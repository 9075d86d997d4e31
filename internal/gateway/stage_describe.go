package gateway

import (
	"context"

	"github.com/slipwayhq/slipway/internal/cache"
	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/methods"
)

// describeStage completes the call: the facts, the block number in place of
// safe and finalized where the nodes do not know these tags, that of the newest
// block in place of latest where it can be, and the key.
type describeStage struct {
	catalogue *methods.Catalogue
	tracker   *chain.Tracker
	pool      Pool
	newest    *newest
	keySpace  string // before every key: that of a project with a cache of its own
}

func newDescribeStage(project ProjectConfig, net NetworkConfig, deps NetworkDeps) *describeStage {
	s := &describeStage{
		catalogue: deps.Catalogue, tracker: deps.Tracker, pool: deps.Pool,
		newest: newNewest(net.LatestMaxAge, deps.Tracker, deps.Pool, deps.Catalogue),
	}
	if net.OwnCache {
		s.keySpace = cache.KeySpace(project.ID)
	}
	return s
}

func (s *describeStage) Wrap(next Handler) Handler {
	return func(ctx context.Context, call *Call) (*Result, error) {
		call.Facts = s.catalogue.Describe(call.Method, call.Params)
		if call.Facts.HasTag && !call.Directives.SkipInterpolation {
			s.replaceTags(call)
		}
		if call.Facts.IsAtLatest() && !call.Directives.SkipInterpolation {
			s.pinLatest(ctx, call)
		}
		if call.Facts.Joinable() {
			identity := s.pool.Identity()
			call.Key = cache.NewKey(s.keySpace, identity.ChainID, identity.Genesis, call.Method, call.Params)
			if call.forwarded != nil { // what a node answers may depend on it
				call.Key += cache.Key(call.forwarded.mark)
			}
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

// pinLatest makes a request for the newest block one for a block by its number,
// so that all who ask before the next block share one answer.
func (s *describeStage) pinLatest(ctx context.Context, call *Call) {
	number, ok := s.newest.number(ctx)
	if !ok {
		return
	}
	params, ok := call.Facts.PinLatest(call.Params, number)
	if !ok {
		return
	}
	unpinned := call.request()
	call.unpinned = &unpinned
	call.Params = params
	call.Facts = s.catalogue.Describe(call.Method, call.Params)
}

// isPinned says whether the client asked for the newest block and another
// stands in the parameters now.
func (c *Call) isPinned() bool { return c.unpinned != nil }
