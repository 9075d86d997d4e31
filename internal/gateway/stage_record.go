package gateway

import (
	"context"
	"log/slog"
	"time"
)

// recordStage is the one place that counts and logs a call.
type recordStage struct {
	metrics *metrics
	log     *slog.Logger
}

func (s *recordStage) Wrap(next Handler) Handler {
	return func(ctx context.Context, call *Call) (*Result, error) {
		start := time.Now()
		result, err := next(ctx, call)
		call.Took = time.Since(start)
		s.note(ctx, call, result, err)
		return result, err
	}
}

// note records one ended call.
func (s *recordStage) note(ctx context.Context, call *Call, result *Result, err error) {
	outcome, source := OutcomeOK, FromNobody
	switch {
	case err != nil:
		_, _, outcome = toWire(err)
	case result.Error != nil:
		outcome, source = OutcomeNodeError, result.Source
	default:
		source = result.Source
	}
	call.outcome = outcome
	call.endSpan(source)
	s.metrics.count(call.Facts.Method, outcome, source, call.Took.Seconds())

	level := slog.LevelDebug
	if outcome == OutcomeInternal {
		level = slog.LevelError
	}
	if !s.log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("method", call.Facts.Method.Label()), slog.String("outcome", outcome.String()),
		slog.String("source", source.String()), slog.Duration("took", call.Took), slog.String("request_id", call.requestID()),
	}
	if err != nil {
		attrs = append(attrs, slog.Any("err", err))
	}
	s.log.LogAttrs(ctx, level, "call answered", attrs...)
}
