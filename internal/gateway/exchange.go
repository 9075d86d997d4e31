package gateway

import (
	"net/http"
	"strconv"

	"github.com/slipwayhq/slipway/internal/telemetry"
)

// exchange is one HTTP request and its answer. All that lives as long as they
// do lies in it, so that a request costs one allocation for it.
type exchange struct {
	w http.ResponseWriter
	r *http.Request
	// network is the one asked, once it is known.
	network *Network
	caller

	call Call // of a request that is no batch
	// lines are the values of this answer's own header fields. net/http reads
	// them after the handler has returned.
	lines [7]string
	// status is that of the answer; 0 while there is none.
	status int
}

// The places in lines.
const (
	lengthLine = iota
	requestIDLine
	durationLine
	upstreamLine
	attemptsLine
	finalityLine
	ageLine
)

// line writes a header field with one value. Its name must be canonical.
func (x *exchange) line(place int, name, value string) {
	x.lines[place] = value
	x.w.Header()[name] = x.lines[place : place+1 : place+1]
}

// begin takes over what the request says about itself.
func (x *exchange) begin(tracer *telemetry.Tracer) {
	x.trace = traceOf(x.r.Header)
	tracer.StartRequest(&x.trace)
	x.line(requestIDLine, "X-Request-Id", x.trace.RequestID)
}

func (x *exchange) setLength(n int) { x.line(lengthLine, "Content-Length", strconv.Itoa(n)) }
