package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Span is one recorded part of a trace. A nil Span records nothing, at no cost.
type Span struct {
	span   trace.Span
	tracer trace.Tracer
}

// StartRequest begins the span of a request that a client sent, below the
// client's own span if it told one. A nil Tracer leaves t as it is.
func (t *Tracer) StartRequest(of *Trace) {
	if t == nil {
		return
	}
	made := t.made.Load()
	if made == nil {
		return // not running
	}
	parent := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": of.Parent, "tracestate": of.State})
	_, span := made.tracer.Start(parent, "request", trace.WithSpanKind(trace.SpanKindServer), //nolint:spancheck // ended by whoever answers the request
		trace.WithAttributes(attribute.String("slipway.request_id", of.RequestID)))
	of.Span = &Span{span, made.tracer}
} //nolint:spancheck // see above

// IsDetailed says whether each call of a request has a span of its own.
func (t *Tracer) IsDetailed() bool { return t != nil && t.cfg.Detailed }

// Call begins the span of one call of the request; it is t itself while nothing
// is recorded.
func (t Trace) Call(method string) Trace {
	return t.child("call", trace.SpanKindInternal, attribute.String("rpc.system", "jsonrpc"), attribute.String("rpc.method", method))
}

func (t Trace) child(name string, kind trace.SpanKind, attributes ...attribute.KeyValue) Trace {
	if t.Span == nil {
		return t
	}
	parent := trace.ContextWithSpan(context.Background(), t.Span.span)
	_, span := t.Span.tracer.Start(parent, name, trace.WithSpanKind(kind), trace.WithAttributes(attributes...)) //nolint:spancheck // ended by whoever made it
	t.Span = &Span{span, t.Span.tracer}
	return t //nolint:spancheck // see above
}

// StartAttempt begins the span of one attempt at a node. The context that it
// returns carries the trace on, as the node shall see it. Where nothing is
// recorded it returns ctx itself and nil.
func StartAttempt(ctx context.Context, method, upstream string, isHedge bool) (context.Context, *Span) {
	t := TraceFrom(ctx)
	if t.Span == nil {
		return ctx, nil
	}
	t = t.child(method, trace.SpanKindClient, attribute.String("rpc.system", "jsonrpc"), attribute.String("rpc.method", method),
		attribute.String("slipway.upstream", upstream), attribute.Bool("slipway.hedge", isHedge))
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(trace.ContextWithSpan(context.Background(), t.Span.span), carrier)
	t.Parent, t.State = carrier["traceparent"], carrier["tracestate"]
	return WithTrace(ctx, t), t.Span
}

// Name names the span after what was learnt since its start.
func (s *Span) Name(name string) {
	if s != nil {
		s.span.SetName(name)
	}
}

// Set adds a text.
func (s *Span) Set(key, value string) {
	if s != nil {
		s.span.SetAttributes(attribute.String(key, value))
	}
}

// SetInt adds a number.
func (s *Span) SetInt(key string, value int) {
	if s != nil {
		s.span.SetAttributes(attribute.Int(key, value))
	}
}

// End ends the span. The outcome comes from a closed set.
func (s *Span) End(outcome string, failed bool) {
	if s == nil {
		return
	}
	s.span.SetAttributes(attribute.String("slipway.outcome", outcome))
	if failed {
		s.span.SetStatus(codes.Error, outcome)
	}
	s.span.End()
}
