package gateway

import (
	"context"
	"sync"
	"time"

	"github.com/slipwayhq/slipway/internal/cache"
)

// coalesceStage lets equal reads in flight share one forward. The first call
// leads: it forwards in its own goroutine, under a context that does not end
// with its client, because others may wait for the answer. When the last of
// them has left, the forward is cancelled. Writes are never joined.
//
// The time of a request is bounded here, where waiting begins: what is answered
// before costs no timer.
type coalesceStage struct {
	timeout time.Duration
	metrics *metrics

	mu      sync.Mutex // guards flights and the fields of each flight
	flights map[cache.Key]*flight
}

type flight struct {
	waiting int // clients, the leader's among them
	cancel  context.CancelFunc

	done   chan struct{} // closed when result and err are valid
	result *Result
	err    error
}

func newCoalesceStage(timeout time.Duration, m *metrics) *coalesceStage {
	return &coalesceStage{timeout: timeout, metrics: m, flights: map[cache.Key]*flight{}}
}

func (s *coalesceStage) Wrap(next Handler) Handler {
	return func(ctx context.Context, call *Call) (*Result, error) {
		if call.Key == "" || call.Directives.UseUpstream != "" { // an answer of other nodes is not what was asked for
			bounded, cancel := context.WithTimeoutCause(ctx, s.timeout, errRequestTimeout)
			defer cancel()
			return next(bounded, call)
		}
		shared, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), s.timeout, errRequestTimeout)
		f, leads := s.join(call.Key, cancel)
		if leads {
			return s.lead(ctx, shared, call, f, next)
		}
		cancel()
		bounded, cancel := context.WithTimeoutCause(ctx, s.timeout, errRequestTimeout)
		defer cancel()
		return s.follow(bounded, call, f, next)
	}
}

// join enters the flight of a key, or opens one.
func (s *coalesceStage) join(key cache.Key, cancel context.CancelFunc) (f *flight, leads bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.flights[key]; f != nil {
		f.waiting++
		return f, false
	}
	f = &flight{waiting: 1, cancel: cancel, done: make(chan struct{})}
	s.flights[key] = f
	return f, true
}

func (s *coalesceStage) lead(ctx, shared context.Context, call *Call, f *flight, next Handler) (*Result, error) {
	stop := context.AfterFunc(ctx, func() { s.leave(call.Key, f) })
	defer func() {
		stop()
		s.close(call.Key, f)
		close(f.done)
		f.cancel()
	}()
	f.err = errInternal // stays when next panics: followers must not wait for ever
	f.result, f.err = next(shared, call)
	if f.err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx) // why this client left, not that the forward was cancelled
	}
	return f.result, f.err
}

func (s *coalesceStage) follow(ctx context.Context, call *Call, f *flight, next Handler) (*Result, error) {
	select {
	case <-ctx.Done():
		s.leave(call.Key, f)
		return nil, context.Cause(ctx)
	case <-f.done:
	}
	if f.err != nil && ctx.Err() == nil && isEnd(f.err) {
		return next(ctx, call) // the leader's time was up, not ours
	}
	if f.err != nil {
		return nil, f.err
	}
	s.metrics.joined.Inc()
	joined := *f.result
	joined.Source = FromFlight
	return &joined, nil
}

// leave takes one client out; the last one cancels the forward.
func (s *coalesceStage) leave(key cache.Key, f *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.waiting--
	if f.waiting == 0 {
		s.remove(key, f)
		f.cancel()
	}
}

// close takes the flight out of the table, so that nobody joins it any more.
func (s *coalesceStage) close(key cache.Key, f *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(key, f)
}

// remove needs the lock. A flight that was left by all may have a successor.
func (s *coalesceStage) remove(key cache.Key, f *flight) {
	if s.flights[key] == f {
		delete(s.flights, key)
	}
}
