package gateway

import (
	"context"
	"errors"
)

// Handler answers one call. An error is one of the gateway's own; what a node
// says, good or bad, is a Result.
type Handler func(ctx context.Context, call *Call) (*Result, error)

// Stage is one step on the way of a call.
type Stage interface{ Wrap(next Handler) Handler }

// errMiss says that a call must be forwarded. It never leaves the package.
var errMiss = errors.New("not answered before the forward")

func miss(context.Context, *Call) (*Result, error) { return nil, errMiss }

// chained puts stages in front of a handler, the first one outermost.
func chained(last Handler, stages ...Stage) Handler {
	for i := len(stages) - 1; i >= 0; i-- {
		last = stages[i].Wrap(last)
	}
	return last
}

// pipeline holds the ways of a call. This is the one place that lists the
// order of the stages.
type pipeline struct {
	// whole is the way of a single call.
	whole Handler
	// admit is the beginning of it for an element of a batch; it answers errMiss for
	// what may go on. Then limit checks the elements together.
	admit Handler
	limit *limitStage
	// front is what follows; it answers errMiss for what must be forwarded.
	front Handler
	// back is its last part.
	back Handler
	// goesAlone says whether a call that must be forwarded cannot be an element
	// of a batch.
	goesAlone func(*Call) bool
}

func newPipeline(s stages) pipeline {
	front := []Stage{s.subscribe, s.static, s.own, s.describe}
	back := []Stage{s.split, s.coalesce, s.forward}
	s.split.pieces = []Stage{s.describe}
	if s.cache != nil {
		front = append(front, s.cache)
		s.split.pieces = append(s.split.pieces, s.cache)
	}
	all := append(append([]Stage{s.record, s.admit, s.limit}, front...), back...)
	return pipeline{
		whole: chained(miss, all...),
		admit: chained(miss, s.admit),
		limit: s.limit,
		front: chained(miss, front...),
		back:  chained(miss, back...),

		goesAlone: s.split.concerns,
	}
}

// stages are all stages; cache is nil when nothing shall be kept.
type stages struct {
	record    *recordStage
	admit     *admitStage
	limit     *limitStage
	subscribe subscribeStage
	static    *staticStage
	own       *ownStage
	describe  *describeStage
	cache     Stage
	split     *splitStage
	coalesce  *coalesceStage
	forward   *forwardStage
}
