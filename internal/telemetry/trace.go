package telemetry

import "context"

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
