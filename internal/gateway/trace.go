package gateway

import (
	"cmp"
	"context"
	"math/rand/v2"
	"net/http"
	"strings"

	"github.com/slipwayhq/slipway/internal/telemetry"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

// Bounds in bytes of what a client may say about its trace.
const (
	maxRequestID  = 128
	maxTracestate = 512 // what W3C Trace Context, section 3.3.1.5, wants carried at least
)

// traceOf is the trace that a request brings along. What is not well formed is
// taken for absent; a request without an id gets one.
func traceOf(header http.Header) telemetry.Trace {
	var t telemetry.Trace
	if id := header["X-Request-Id"]; len(id) == 1 && isRequestID(id[0]) {
		t.RequestID = id[0]
	} else {
		t.RequestID = newRequestID()
	}
	if parent := header["Traceparent"]; len(parent) == 1 && isTraceparent(parent[0]) {
		t.Parent = parent[0]
		t.State = tracestate(header["Tracestate"])
	}
	return t
}

// isRequestID keeps what could forge a line of a log, or fill it, out of it.
func isRequestID(s string) bool {
	return s != "" && len(s) <= maxRequestID && isWithin(s, '!')
}

// isWithin says whether a text has printable ASCII characters only, from one on.
func isWithin(s string, first byte) bool {
	for _, c := range []byte(s) {
		if c < first || c > '~' {
			return false
		}
	}
	return true
}

// newRequestID is 64 random bits in hexadecimal digits: enough to find a
// request again, and nothing that must not be guessed.
func newRequestID() string {
	const digits = "0123456789abcdef"
	var text [16]byte
	n := rand.Uint64() //nolint:gosec // not a secret
	for i := range text {
		text[i] = digits[n&0xf]
		n >>= 4
	}
	return string(text[:])
}

// isTraceparent checks version-traceid-parentid-flags (W3C Trace Context,
// section 3.2). Versions to come may add fields behind.
func isTraceparent(s string) bool {
	const length = len("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	if len(s) < length || len(s) > maxRequestID || s[2] != '-' || s[35] != '-' || s[52] != '-' {
		return false
	}
	version, traceID, parentID, flags, rest := s[:2], s[3:35], s[36:52], s[53:length], s[length:]
	if version == "ff" || version == "00" && rest != "" || rest != "" && rest[0] != '-' || !isWithin(rest, '!') {
		return false
	}
	return isHex(version) && isHex(flags) && isHex(traceID) && isHex(parentID) &&
		strings.Trim(traceID, "0") != "" && strings.Trim(parentID, "0") != ""
}

func isHex(s string) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// tracestate is the field's lines as one; empty when it is too long or no text.
func tracestate(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	state := lines[0]
	if len(lines) > 1 {
		state = strings.Join(lines, ",")
	}
	if len(state) > maxTracestate || !isWithin(state, ' ') {
		return ""
	}
	return state
}

// traced gives the forward of a call the trace of its request, and what of its
// header goes on. Nothing before the forward needs them in the context, so that
// hits do not pay for it.
func (c *Call) traced(ctx context.Context) context.Context {
	if c.forwarded != nil {
		ctx = upstreams.WithFields(ctx, c.forwarded.fields)
	}
	if c.Trace == nil {
		return ctx
	}
	return telemetry.WithTrace(ctx, *c.Trace)
}

// endSpan ends the call's own span, if it has one.
func (c *Call) endSpan(source Source) {
	if c.span == nil {
		return
	}
	c.span.Name(c.Facts.Method.Label())
	c.span.Set("slipway.source", source.String())
	c.span.End(c.outcome.String(), c.outcome != OutcomeOK)
}

// end ends the span of the request, if it is recorded.
func (x *exchange) end() {
	span := x.trace.Span
	if span == nil {
		return
	}
	if x.network != nil {
		span.Set("slipway.project", x.network.metrics.project)
		span.Set("slipway.network", x.network.metrics.network)
	}
	outcome := OutcomeOK
	if x.call.Facts.Method != nil { // not a batch, and read so far
		span.Name(x.call.Facts.Method.Label())
		outcome = x.call.outcome
	}
	span.SetInt("http.response.status_code", cmp.Or(x.status, http.StatusNoContent))
	span.End(outcome.String(), outcome != OutcomeOK || x.status >= http.StatusInternalServerError)
}

// requestID is the id of the call's request.
func (c *Call) requestID() string {
	if c.Trace == nil {
		return ""
	}
	return c.Trace.RequestID
}
