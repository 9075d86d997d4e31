package gateway

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/slipwayhq/slipway/internal/methods"
)

// Directives change how a call is answered. The zero Directives change nothing.
type Directives struct {
	// SkipCacheRead asks a node even if the answer is kept.
	SkipCacheRead bool
	// SkipInterpolation leaves block tags as they are.
	SkipInterpolation bool
	// SkipConsensus takes the answer of one node.
	SkipConsensus bool
	// RetryEmpty asks all other nodes when one answers with nothing, not just one more.
	RetryEmpty bool
	// RetryPending asks again while a transaction is pending.
	RetryPending bool
	// UseUpstream chooses nodes by id or tag; empty takes all.
	UseUpstream string
}

// directive is one directive as a client writes it: as header field
// X-ERPC-<name>, or as parameter of the query.
type directive struct {
	header, query string
	set           func(*Directives, string)
}

func flag(field func(*Directives) *bool) func(*Directives, string) {
	return func(d *Directives, text string) { *field(d) = text == "true" }
}

func directives() []directive {
	return []directive{
		{"X-Erpc-Skip-Cache-Read", "skip-cache-read", flag(func(d *Directives) *bool { return &d.SkipCacheRead })},
		{"X-Erpc-Skip-Interpolation", "skip-interpolation", flag(func(d *Directives) *bool { return &d.SkipInterpolation })},
		{"X-Erpc-Skip-Consensus", "skip-consensus", flag(func(d *Directives) *bool { return &d.SkipConsensus })},
		{"X-Erpc-Retry-Empty", "retry-empty", flag(func(d *Directives) *bool { return &d.RetryEmpty })},
		{"X-Erpc-Retry-Pending", "retry-pending", flag(func(d *Directives) *bool { return &d.RetryPending })},
		{"X-Erpc-Use-Upstream", "use-upstream", func(d *Directives, text string) { d.UseUpstream = text }},
	}
}

// directiveReader reads the directives that the clients of a project may set.
type directiveReader struct{ known []directive }

// newDirectiveReader lets the directives through whose name, as in the query,
// the pattern means.
func newDirectiveReader(allowed methods.Pattern) directiveReader {
	var r directiveReader
	for _, d := range directives() {
		if allowed.Match(d.query) {
			r.known = append(r.known, d)
		}
	}
	return r
}

// read completes what holds anyway with what a request says; the query wins
// over the header.
func (r *directiveReader) read(d *Directives, request *http.Request) {
	for i := range r.known {
		if values := request.Header[r.known[i].header]; len(values) > 0 {
			r.known[i].set(d, values[0])
		}
	}
	if request.URL.RawQuery == "" || !strings.Contains(request.URL.RawQuery, "-") {
		return
	}
	query, err := url.ParseQuery(request.URL.RawQuery)
	if err != nil {
		return
	}
	for i := range r.known {
		if values := query[r.known[i].query]; len(values) > 0 {
			r.known[i].set(d, values[0])
		}
	}
}
