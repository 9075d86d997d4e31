package telemetry

import (
	"context"
	"strings"
)

// Trace is what tells the parts of one request from all others, on its way from
// the client through to the node. Empty fields are not known.
type Trace struct {
	// RequestID is the client's name for the request, or one made up here.
	RequestID string
	// Parent and State are the header fields traceparent and tracestate (W3C Trace
	// Context): of the client, passed on as they are, or of the attempt whose
	// span is recorded.
	Parent, State string
	// Span is the innermost span around what is done; nil while nothing is recorded.
	Span *Span
}

// ID is the id of the trace, 32 hexadecimal digits: of what is recorded here, or
// of what the client told. Empty where there is none.
func (t Trace) ID() string {
	if t.Span != nil {
		return t.Span.span.SpanContext().TraceID().String()
	}
	// version-trace-parent-flags, of fixed lengths in every version so far.
	parts := strings.Split(t.Parent, "-")
	if len(parts) < 4 || len(parts[1]) != 32 || strings.Trim(parts[1], "0123456789abcdef") != "" {
		return ""
	}
	return parts[1]
}

// traceKey is the key of a Trace in a context.
type traceKey struct{}

// WithTrace returns a context that carries t.
func WithTrace(ctx context.Context, t Trace) context.Context {
	return context.WithValue(ctx, traceKey{}, t)
}

// TraceFrom is the Trace that ctx carries, or an empty one.
func TraceFrom(ctx context.Context) Trace {
	t, _ := ctx.Value(traceKey{}).(Trace)
	return t
}
