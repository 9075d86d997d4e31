package gateway

import (
	"net/http"
	"time"

	"github.com/slipwayhq/slipway/internal/cache"
	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/telemetry"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

// Call is one request on its way through the stages. The stage describe
// completes it; from there on only its record is added.
type Call struct {
	Method string
	Params []byte
	Facts  methods.Facts
	// Key is the same for calls that mean the same; empty for what is not a read.
	Key cache.Key
	// Directives change how the call is answered.
	Directives Directives
	// Client is who calls; nil may call everything.
	Client *client
	// Trace is that of the HTTP request, shared by all calls of a batch; nil has none.
	Trace *telemetry.Trace
	// forwarded is what of the client's header goes on to the nodes; nil for nothing.
	forwarded *forwarded
	// unpinned is the request as it came, where it asked for the newest block and
	// that block's number has been written into it since.
	unpinned *upstreams.Request
	// asked and newest are when the cache did not know the answer, in Unix
	// milliseconds, and the newest block at that time.
	asked  int64
	newest uint64
	// Subscriber is the connection's, nil where there can be no subscriptions.
	Subscriber *subscriber
	// Took is how long the call took, known when it was recorded.
	Took time.Duration

	span    *telemetry.Span // of this call alone; nil where there is none
	outcome Outcome         // known when it was recorded
}

// Source says who gave an answer. Its text is a metric label.
type Source uint8

// The sources.
const (
	FromNobody Source = iota
	FromGateway
	FromCache
	FromUpstream
	FromFlight // another request's forward
)

// String is the source as metric label.
func (s Source) String() string {
	return [...]string{"none", "gateway", "cache", "upstream", "joined"}[s]
}

// Result is an answer: exactly one of Value, Parts and Error is set. Their bytes
// may be shared with the cache and with other requests and are never changed.
type Result struct {
	Value []byte // a JSON value
	// Parts are a JSON value as well, one part after the other. So the answers to
	// the pieces of a search are one answer without being copied together.
	Parts [][]byte
	Error []byte // the node's error object, passed on as it is
	// IsTooLarge says that Error is a node's limit on searches.
	IsTooLarge bool
	Source     Source
	// Upstream is the node that answered; empty for what no node was asked.
	Upstream upstreams.ID
	// Head is the newest block the answering node had shown.
	Head uint64
	// Attempts is how many attempts it took; 0 for what no node was asked.
	Attempts int
	// Asked is when a node was asked for an answer from the cache, in Unix
	// milliseconds; 0 where that was not kept. Only with it, Finality is what the
	// cache knows of the answer.
	Asked    int64
	Finality cache.Finality
}

// caller is what the calls of one request body have in common.
type caller struct {
	client     client
	directives Directives
	trace      telemetry.Trace
	subscriber *subscriber
	forwarded  *forwarded
	isDetailed bool // each call has a span of its own
}

// takeForwarded notes what of a request's header goes on to the nodes.
func (c *caller) takeForwarded(p *project, r *http.Request) {
	if len(p.forward.names) > 0 {
		c.forwarded = p.forward.of(r.Header)
	}
}

func (c *caller) newCall(r jsonrpc.Request) Call {
	call := Call{Method: r.Method, Params: r.Params, Directives: c.directives, Client: &c.client, Trace: &c.trace, Subscriber: c.subscriber, forwarded: c.forwarded}
	if c.trace.Span != nil && c.isDetailed {
		own := c.trace.Call(r.Method)
		call.Trace, call.span = &own, own.Span
	}
	return call
}
