package gateway

import (
	"net/http"
	"strconv"
	"time"

	"github.com/slipwayhq/slipway/internal/cache"
)

// ExecutionHeaders says how much an answer's header tells about where the
// answer came from. The fields are named as eRPC's, so that what reads those
// can read these.
type ExecutionHeaders string

// The choices.
const (
	// ExecutionAll is cache, version, duration in milliseconds, and of an answer to
	// a single call also upstream, attempts, finality and age in seconds.
	ExecutionAll ExecutionHeaders = "all"
	// ExecutionSummary is cache and version.
	ExecutionSummary ExecutionHeaders = "summary"
	// ExecutionOff is nothing.
	ExecutionOff ExecutionHeaders = "off"
)

func (e ExecutionHeaders) isKnown() bool {
	return e == ExecutionAll || e == ExecutionSummary || e == ExecutionOff
}

// originTeller writes these fields. Its values are shared by all answers and
// never changed.
type originTeller struct {
	level              ExecutionHeaders
	version, hit, miss []string
}

func newOriginTeller(level ExecutionHeaders, version string) originTeller {
	return originTeller{level: level, version: []string{version}, hit: []string{"HIT"}, miss: []string{"MISS"}}
}

// tally counts the answers of one exchange that a cache could have given.
type tally struct{ hits, misses int }

// add counts one call; result is nil where there is an error instead. What the
// gateway knows itself is neither a hit nor a miss.
func (t *tally) add(result *Result) {
	if result == nil {
		return
	}
	switch result.Source {
	case FromCache:
		t.hits++
	case FromUpstream, FromFlight:
		t.misses++
	case FromNobody, FromGateway:
	}
}

// single tells about the answer to a single call.
func (o *originTeller) single(x *exchange, result *Result) {
	var t tally
	t.add(result)
	o.tell(x, t, x.call.Took)
	if o.level == ExecutionAll && result != nil {
		o.tellAnswer(x, result)
	}
}

// tellAnswer tells what is known of one answer: which node gave it and at which
// attempt, or how long ago, in seconds, a node was asked for it, and what may
// still happen to it.
func (o *originTeller) tellAnswer(x *exchange, result *Result) {
	if result.Upstream != "" {
		x.line(upstreamLine, "X-Erpc-Upstream", string(result.Upstream))
	}
	if result.Attempts > 0 {
		x.line(attemptsLine, "X-Erpc-Attempts", strconv.Itoa(result.Attempts))
	}
	if result.Asked != 0 {
		x.line(finalityLine, "X-Erpc-Finality", result.Finality.String())
		age := max(0, time.Since(time.UnixMilli(result.Asked)))
		x.line(ageLine, "X-Erpc-Age", strconv.FormatInt(int64(age/time.Second), 10))
	} else if x.call.Key != "" && result.Source != FromGateway && len(result.Error) == 0 {
		finality := cache.FinalityOf(x.call.Facts, result.Value, x.network.tracker.Head())
		x.line(finalityLine, "X-Erpc-Finality", finality.String())
	}
}

// batch tells about the answers to a batch, which may have several upstreams.
func (o *originTeller) batch(x *exchange, elements []element, took time.Duration) {
	var t tally
	for i := range elements {
		t.add(elements[i].result)
	}
	o.tell(x, t, took)
}

func (o *originTeller) tell(x *exchange, t tally, took time.Duration) {
	if o.level == ExecutionOff {
		return
	}
	header := x.w.Header()
	header["X-Erpc-Version"] = o.version
	o.tellCache(header, t)
	if o.level == ExecutionAll {
		x.line(durationLine, "X-Erpc-Duration", strconv.FormatInt(took.Milliseconds(), 10))
	}
}

// tellCache names the number of hits where there are hits and misses.
func (o *originTeller) tellCache(header http.Header, t tally) {
	switch {
	case t.hits == 0 && t.misses == 0:
	case t.misses == 0:
		header["X-Erpc-Cache"] = o.hit
	case t.hits == 0:
		header["X-Erpc-Cache"] = o.miss
	default:
		header["X-Erpc-Cache"] = []string{"PARTIAL:" + strconv.Itoa(t.hits)}
	}
}
