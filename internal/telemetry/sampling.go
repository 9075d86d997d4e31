package telemetry

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Bounds of sampled lines.
const (
	sampleWindow = 10 * time.Second
	sampleLines  = 20   // of one kind in a window
	sampleKinds  = 1000 // kinds that are told apart in a window
)

// sampler is a slog.Handler that lets only so many warnings and errors of one
// kind, which is level and message, through in a window of time. The first
// line of the next window says how many were left out. A fault that every
// request meets must not fill the disk.
type sampler struct {
	slog.Handler
	state *samplerState // shared by handlers made of this one
}

type samplerState struct {
	mu    sync.Mutex
	kinds map[sampleKind]*sample
}

type sampleKind struct {
	level   slog.Level
	message string
}

type sample struct {
	begun         time.Time
	seen, leftOut int
}

// sampled puts a sampler before a handler.
func sampled(next slog.Handler) slog.Handler {
	return sampler{next, &samplerState{kinds: map[sampleKind]*sample{}}}
}

// Handle implements slog.Handler.
func (s sampler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < slog.LevelWarn {
		return s.Handler.Handle(ctx, r)
	}
	passes, leftOut := s.state.take(sampleKind{r.Level, r.Message}, r.Time)
	if !passes {
		return nil
	}
	if leftOut > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Int("left_out", leftOut))
	}
	return s.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (s sampler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return sampler{s.Handler.WithAttrs(attrs), s.state}
}

// WithGroup implements slog.Handler.
func (s sampler) WithGroup(name string) slog.Handler {
	return sampler{s.Handler.WithGroup(name), s.state}
}

// take counts one line. It says whether the line passes, and how many of its
// kind were left out in the window before.
func (s *samplerState) take(kind sampleKind, now time.Time) (passes bool, leftOut int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kinds[kind]
	if k == nil {
		if len(s.kinds) >= sampleKinds {
			clear(s.kinds) // counts are lost, memory is not
		}
		k = &sample{begun: now}
		s.kinds[kind] = k
	}
	if now.Sub(k.begun) >= sampleWindow {
		leftOut = k.leftOut
		*k = sample{begun: now}
	}
	k.seen++
	if k.seen > sampleLines {
		k.leftOut++
		return false, 0
	}
	return true, leftOut
}
