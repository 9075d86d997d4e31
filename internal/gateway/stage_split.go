package gateway

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/slipwayhq/slipway/internal/chain"
)

// splitStage asks for a search over many blocks in pieces: at once when its
// range is longer than nodes allow, else when a node says that it is too large.
// Each piece is a call of its own, with its own place in the cache. When one
// of them fails, so does the search.
type splitStage struct {
	search  Search
	tracker *chain.Tracker
	metrics *metrics
	// pieces are the stages that a piece goes through besides those behind this one.
	pieces []Stage
}

func newSplitStage(search Search, tracker *chain.Tracker, m *metrics) *splitStage {
	if search == (Search{}) {
		search = DefaultSearch()
	}
	return &splitStage{search: search, tracker: tracker, metrics: m}
}

const (
	// maxForcedCuts bounds how often one search is cut because nodes say that it
	// is too large: a node that says so of every block must not be asked for each.
	maxForcedCuts = 512
	// The end of a range may be this many blocks ahead, and is waited for so long.
	// Clients that hear of a block ask for its logs at once, of whoever answers.
	maxBlocksAhead = 2
	maxWaitForHead = 3 * time.Second
	lookForHead    = 20 * time.Millisecond
)

// splitting says how a call may be split; nil for what is no search.
func (s *splitStage) splitting(call *Call) *Splitting {
	switch call.Facts.Method.Name {
	case logsMethod:
		return &s.search.Logs
	case tracesMethod:
		return &s.search.Traces
	default:
		return nil
	}
}

// concerns says whether this stage does more with a call than pass it on.
func (s *splitStage) concerns(call *Call) bool {
	how := s.splitting(call)
	if how == nil {
		return false
	}
	q, ok := readQuery(call.Method, call.Params)
	return ok && (s.check(call, q) != nil || len(q.chunks(how.Chunk)) > 1)
}

// check holds a search against the bounds, of which those of eth_getLogs are
// not for traces.
func (s *splitStage) check(call *Call, q query) error {
	bounds, how := s.search, s.splitting(call)
	if call.Method != logsMethod {
		bounds = Search{EnforceRange: s.search.EnforceRange}
	}
	if err := q.check(bounds); err != nil {
		return err
	}
	return q.checkPieces(how.Chunk)
}

func (s *splitStage) Wrap(next Handler) Handler {
	ask := chained(next, s.pieces...)
	return func(ctx context.Context, call *Call) (*Result, error) {
		how := s.splitting(call)
		if how == nil {
			return next(ctx, call)
		}
		q, ok := readQuery(call.Method, call.Params)
		if !ok {
			return next(ctx, call)
		}
		if err := s.check(call, q); err != nil {
			return nil, err
		}
		s.awaitEnd(ctx, q)
		g := gathering{how: *how, limit: s.search.MaxBytes, call: call, ask: ask}
		if pieces := q.chunks(how.Chunk); len(pieces) > 1 {
			s.metrics.split(call.Facts.Method, "range")
			return g.gather(ctx, pieces)
		}
		result, err := next(ctx, call)
		if err != nil || !result.IsTooLarge || !how.OnError {
			return result, err
		}
		pieces := s.afterError(call, q, how)
		if pieces == nil {
			return result, nil
		}
		s.metrics.split(call.Facts.Method, "limit")
		g.cuts = 1
		return g.gather(ctx, pieces)
	}
}

// afterError gives the pieces of a search that a node found too large; none
// where there is nothing to cut. A range that ends with the newest block gets
// the number of the one that is known.
func (s *splitStage) afterError(call *Call, q query, how *Splitting) []query {
	if !q.isOpen {
		return q.halves()
	}
	head := s.tracker.Head()
	if !head.IsKnown || head.Latest < q.from {
		return nil
	}
	q.to, q.isOpen = head.Latest, false
	if s.check(call, q) != nil {
		return nil
	}
	if pieces := q.chunks(how.Chunk); len(pieces) > 1 {
		return pieces
	}
	return q.halves()
}

// awaitEnd waits a moment for the end of a range that is about to be there.
func (s *splitStage) awaitEnd(ctx context.Context, q query) {
	isAhead := func() bool {
		head := s.tracker.Head()
		return head.IsKnown && q.to > head.Latest && q.to-head.Latest <= maxBlocksAhead
	}
	if !s.search.EnforceRange || q.isOpen || !isAhead() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, maxWaitForHead)
	defer cancel()
	ticker := time.NewTicker(lookForHead)
	defer ticker.Stop()
	for isAhead() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// gathering asks for the pieces of one search.
type gathering struct {
	how   Splitting
	limit int64 // bytes
	call  *Call
	ask   Handler

	bytes atomic.Int64
	cuts  int // because a node said that a piece is too large
}

// piece is a part of a search and, later, its answer.
type piece struct {
	query  query
	result *Result
}

// errPiece says that a piece ended with a node's error, which stands in it.
var errPiece = errors.New("a piece of the search has an error")

// gather asks for all pieces, cuts those that are too large, and so on.
func (g *gathering) gather(ctx context.Context, queries []query) (*Result, error) {
	pieces := make([]*piece, 0, len(queries))
	for _, q := range queries {
		pieces = append(pieces, &piece{query: q})
	}
	for isWhole := false; !isWhole; {
		if err := g.askAll(ctx, pieces); err != nil && !errors.Is(err, errPiece) {
			return nil, err
		}
		isWhole = true
		var next []*piece
		for _, p := range pieces {
			switch {
			case p.result == nil || p.result.Error == nil: // not asked after another's error
				next = append(next, p)
				continue
			case !p.result.IsTooLarge || !g.how.OnError:
				return p.result, nil
			}
			halves := p.query.halves()
			if g.cuts++; halves == nil || g.cuts > maxForcedCuts {
				return p.result, nil
			}
			next = append(next, &piece{query: halves[0]}, &piece{query: halves[1]})
			isWhole = false
		}
		pieces = next
	}
	return merged(pieces)
}

// askAll asks for the pieces that have no answer yet. The first failure ends
// all others.
func (g *gathering) askAll(ctx context.Context, pieces []*piece) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(g.how.Concurrency)
	for _, p := range pieces {
		if p.result != nil {
			continue
		}
		group.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return g.askOne(ctx, p)
		})
	}
	return group.Wait()
}

func (g *gathering) askOne(ctx context.Context, p *piece) error {
	params, err := p.query.params()
	if err != nil {
		return err
	}
	call := *g.call
	call.Params = params
	call.unpinned = nil // that is the whole search
	result, err := g.ask(ctx, &call)
	if err != nil {
		return err
	}
	p.result = result
	if result.Error != nil && !result.IsTooLarge {
		return errPiece
	}
	if g.bytes.Add(int64(len(result.Value))) > g.limit {
		return tooLarge("the answer is larger than %d bytes: ask for less at a time", g.limit)
	}
	return nil
}
