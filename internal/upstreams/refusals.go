package upstreams

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
)

const (
	// refusalHolds is for how long a node is believed that it has no such
	// method. It may be restarted with another one enabled.
	refusalHolds = 5 * time.Minute
	// maxRefusals bounds the methods outside the catalogue that are remembered:
	// clients invent their names.
	maxRefusals = 64
)

// refusals remembers which methods a node said it does not have.
type refusals struct {
	until []atomic.Int64 // by methods.Method.Index; time since the pool was made

	mu     sync.Mutex
	others map[string]time.Duration
}

// note remembers an error of a node when it says that the method is not there.
func (r *refusals) note(q question, errorObj []byte) {
	if !isMethodRefusal(errorObj) {
		return
	}
	until := q.now + refusalHolds
	if q.facts.Method.Known() {
		r.until[q.facts.Method.Index].Store(int64(until))
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.others) >= maxRefusals || r.others == nil {
		r.others = map[string]time.Duration{}
	}
	r.others[q.method] = until
}

// holds says whether the node has lately said that it has no such method.
func (r *refusals) holds(q question) bool {
	if q.facts.Method.Known() {
		return time.Duration(r.until[q.facts.Method.Index].Load()) > q.now
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.others[q.method] > q.now
}

// isMethodRefusal tells "no such method" from the limits of a node, which
// depend on the request.
func isMethodRefusal(errorObj []byte) bool {
	if len(errorObj) == 0 {
		return false
	}
	const besuNotEnabled = -32604
	e := jsonrpc.DecodeError(errorObj)
	return e.Code == jsonrpc.CodeMethodNotFound || e.Code == besuNotEnabled ||
		strings.Contains(strings.ToLower(e.Message), "method not found")
}

func (u *Upstream) refuses(q question) bool {
	return !u.endpoint.KeepAsking && u.refused.holds(q)
}
