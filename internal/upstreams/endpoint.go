package upstreams

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/secret"
)

// TagFallback marks a node that is asked only when no other healthy one is left.
const TagFallback = "tier:fallback"

// Endpoint is one node. Only its URL is needed.
type Endpoint struct {
	// ID names the node in logs, metrics and health answers. Default: host and port of the URL.
	ID string
	// URL of the node's JSON-RPC endpoint. It may carry a password or a key and is never printed.
	URL secret.String
	// WebSocketURL is where the node takes subscriptions, such as ws://host:8546
	// (Besu's --rpc-ws-port); empty when it shall not be followed. Never printed.
	WebSocketURL secret.String
	// Header is added to every request, by name. Its values may be secret and are never printed.
	Header map[string]secret.String
	// Tags are labels such as "region:eu", which selectors name. TagFallback has a meaning of its own.
	Tags []string
	// Weight is the node's share of the requests among nodes that are otherwise
	// alike. When no node has one, the first of them gets all. When some have,
	// the others count as 1.
	Weight float64
	// Multipliers change Weight, and how the node's score is reckoned, for some
	// calls; the first that means a call and names a thing holds for it.
	Multipliers []Multiplier
	// Allow and Ignore say which methods the node is asked. What Allow means is
	// asked in any case, what Ignore means is not; Allow without Ignore
	// excludes everything else.
	Allow, Ignore []methods.Pattern
	// KeepAsking asks the node a method again at once that it said it does not have.
	KeepAsking bool
	// PollInterval replaces that of the pool; 0 does not.
	PollInterval time.Duration
	// SkipWhenSyncing leaves the node out while it says that it is syncing.
	// Otherwise it is then asked after the others.
	SkipWhenSyncing bool
	// IgnoreSyncing does not ask the node whether it is syncing.
	IgnoreSyncing bool
	// Blocks is what the node has of the chain.
	Blocks Availability
	// ReceiptChecks are made of the node's answers to eth_getBlockReceipts besides
	// those of the network; they need nothing but the answer.
	ReceiptChecks Checks
	// Rules hold for the tries at this node; the first that means a call holds.
	Rules []NodeRule
	// Budget names the budget of requests to the node, see Pool.SetBudgets; empty
	// has no limit. A refusal leads to the next node and counts against nobody.
	Budget string
}

// Budgets takes calls of some methods from the budget of a name, all or none, and
// says whether it did. It waits a short while at most.
type Budgets func(ctx context.Context, budget string, methods []string) bool

// SetBudgets says who keeps the budgets of the nodes. Without, none has a limit.
func (p *Pool) SetBudgets(b Budgets) { p.budgets.Store(&b) }

func (e Endpoint) isFallback() bool { return slices.Contains(e.Tags, TagFallback) }

// isWeighted says whether the node has a share of the load for some calls.
func (e Endpoint) isWeighted() bool {
	return e.Weight > 0 || slices.ContainsFunc(e.Multipliers, func(m Multiplier) bool { return m.Share != nil })
}

func (e Endpoint) header() http.Header {
	out := make(http.Header, len(e.Header))
	for name, value := range e.Header {
		out.Set(name, value.Reveal())
	}
	return out
}

// mayServe says whether the node is to be asked a method.
func (e Endpoint) mayServe(method string) bool {
	means := func(p methods.Pattern) bool { return p.Match(method) }
	switch {
	case slices.ContainsFunc(e.Allow, means):
		return true
	case slices.ContainsFunc(e.Ignore, means):
		return false
	default:
		return len(e.Allow) == 0 || len(e.Ignore) > 0
	}
}

// maxMultiplier keeps scores and shares in numbers that can be told apart.
const maxMultiplier = 1000

func (e Endpoint) validate(of string) error {
	var errs []error
	if e.Weight < 0 {
		errs = append(errs, fmt.Errorf("%s: weight: must not be negative", of))
	}
	if e.PollInterval < 0 {
		errs = append(errs, fmt.Errorf("%s: poll interval: must not be negative", of))
	}
	for i, m := range e.Multipliers {
		for _, n := range []*float64{m.Share, m.Failures, m.Throttled, m.Latency, m.Lag} {
			if n != nil && (*n < 0 || *n > maxMultiplier) {
				errs = append(errs, fmt.Errorf("%s: multiplier %d: its numbers must be between 0 and %d", of, i+1, maxMultiplier))
			}
		}
	}
	for name, value := range e.Header {
		if !isHeader(name, value.Reveal()) {
			errs = append(errs, fmt.Errorf("%s: a header has a name or a value that HTTP does not allow", of))
		}
	}
	for i, r := range e.Rules {
		errs = append(errs, r.validate(fmt.Sprintf("%s: failsafe rule %d", of, i+1)))
	}
	return errors.Join(errs...)
}

// isHeader says whether HTTP allows a header field (RFC 9110, 5.5 and 5.6.2).
func isHeader(name, value string) bool {
	const permitted = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
	isOdd := func(c rune) bool { return !strings.ContainsRune(permitted, c) }
	isControl := func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }
	return name != "" && !strings.ContainsFunc(strings.ToLower(name), isOdd) && !strings.ContainsFunc(value, isControl)
}
