package config

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

// UpstreamFile is one node.
type UpstreamFile struct {
	// Name in logs, metrics and health answers; empty takes host and port.
	ID string `yaml:"id"`
	// URL of the node's JSON-RPC endpoint; never printed.
	Endpoint secret.String `yaml:"endpoint"`
	// Budget of the requests to the node, of those under rateLimiters; when it is used up, other nodes are asked.
	RateLimitBudget string `yaml:"rateLimitBudget,omitempty"`
	// URL of the node's WebSocket, such as ws://besu-0:8546, to be followed for subscriptions; without one the node is polled. eRPC has no such key. Never printed.
	Websocket secret.String `yaml:"websocket,omitempty"`
	// What is known of the node's chain.
	EVM EVMUpstreamFile `yaml:"evm,omitempty"`
	// Rules for the tries at the node: timeout, retry at the same node, and circuitBreaker; a list or one alone.
	Failsafe []FailsafeFile `yaml:"failsafe,omitempty"`
	// Labels such as region:eu, which selectors name. The label tier:fallback marks a node that is asked only when no other healthy one is left.
	Tags []string `yaml:"tags,omitempty"`
	// Older form of the tag tier:<group>.
	Group string `yaml:"group,omitempty"`
	// Share of the requests among nodes that are otherwise alike. When no node has one, the first gets all; the others count as 1 when some have.
	Weight *float64 `yaml:"weight,omitempty"`
	// Methods the node is asked even if ignoreMethods means them; without ignoreMethods it is asked no others.
	AllowMethods []string `yaml:"allowMethods,omitempty"`
	// Methods the node is not asked.
	IgnoreMethods []string `yaml:"ignoreMethods,omitempty"`
	// Whether a method that the node says it does not have is not asked there for five minutes; left out: yes.
	AutoIgnoreUnsupportedMethods *bool `yaml:"autoIgnoreUnsupportedMethods,omitempty"`
	// How requests to the node look.
	JSONRPC JSONRPCUpstreamFile `yaml:"jsonRpc,omitempty"`
	// Shares of the load, as eRPC writes them.
	Routing RoutingFile `yaml:"routing,omitempty"`
}

// JSONRPCUpstreamFile is an upstream's section jsonRpc.
type JSONRPCUpstreamFile struct {
	// Header fields added to every request; their values are never printed.
	Headers map[string]secret.String `yaml:"headers,omitempty"`
}

// RoutingFile is an upstream's section routing.
type RoutingFile struct {
	// What counts when the node is compared with others, by network, method and finality; for each weight the first entry holds that means the call and has it.
	ScoreMultipliers []ScoreMultiplierFile `yaml:"scoreMultipliers,omitempty"`
}

// ScoreMultiplierFile is one entry of a node's scoreMultipliers.
type ScoreMultiplierFile struct {
	// Network the entry is for, such as evm:1; left out: all.
	Network string `yaml:"network,omitempty"`
	// Methods the entry is for: names with *, joined by |. Left out: all.
	Method string `yaml:"method,omitempty"`
	// Kinds of data the entry is for: finalized, unfinalized, realtime, unknown. Left out: all.
	Finality []string `yaml:"finality,omitempty"`
	// Share of the requests, as weight, which wins.
	Overall *float64 `yaml:"overall,omitempty"`
	// How much failures count: 4 is as usual, 8 twice as much, 0 not at all.
	ErrorRate *float64 `yaml:"errorRate,omitempty"`
	// How much slow answers count: 8 is as usual.
	RespLatency *float64 `yaml:"respLatency,omitempty"`
	// How much it counts that the node wants fewer requests: 3 is as usual.
	ThrottledRate *float64 `yaml:"throttledRate,omitempty"`
	// How much each block counts that the node is behind; 2 is as much as an answer that takes four times longer. Left out: not at all, nodes more than 2 blocks behind are asked last anyway.
	BlockHeadLag *float64 `yaml:"blockHeadLag,omitempty"`
}

// EVMUpstreamFile is an upstream's section evm.
type EVMUpstreamFile struct {
	// Chain id of the node, which says to which network it belongs; it may be left out when there is only one.
	ChainID uint64 `yaml:"chainId,omitempty"`
	// Time between two looks at the node's head; 0 or left out: the gateway's own.
	StatePollerInterval time.Duration `yaml:"statePollerInterval,omitempty"`
	// Whether the node is left out while it says that it is syncing; otherwise it is then asked after the others.
	SkipWhenSyncing bool `yaml:"skipWhenSyncing,omitempty"`
	// Whether the node is not asked if it is syncing.
	SkipSyncingCheck bool `yaml:"skipSyncingCheck,omitempty"`
	// Kind of node: archive (every block's state) or full (the last maxAvailableRecentBlocks); left out: not known, it counts as archive.
	NodeType string `yaml:"nodeType,omitempty"`
	// How many blocks below its head the node has; with nodeType full alone 128, for requests about state.
	MaxAvailableRecentBlocks *uint64 `yaml:"maxAvailableRecentBlocks,omitempty"`
	// What of the node's answers is looked at besides what the network says.
	Integrity UpstreamIntegrityFile `yaml:"integrity,omitempty"`
	// Which blocks the node has; for others it is asked after the nodes that have them.
	BlockAvailability BlockAvailabilityFile `yaml:"blockAvailability,omitempty"`
	// Blocks above which an eth_getLogs is asked for in pieces, of so many each; the least of all nodes holds, 0 or less is none. Left out: 5000.
	GetLogsAutoSplittingRangeThreshold *int `yaml:"getLogsAutoSplittingRangeThreshold,omitempty"`
	// The same for trace_filter. Left out: 1000.
	TraceFilterAutoSplittingRangeThreshold *int `yaml:"traceFilterAutoSplittingRangeThreshold,omitempty"`
}

// BlockAvailabilityFile is an upstream's section evm.blockAvailability.
type BlockAvailabilityFile struct {
	// First block.
	Lower *BlockBoundFile `yaml:"lower,omitempty"`
	// Last block.
	Upper *BlockBoundFile `yaml:"upper,omitempty"`
}

// BlockBoundFile is one end; exactly one of its keys is needed.
type BlockBoundFile struct {
	// Number of the block.
	ExactBlock *uint64 `yaml:"exactBlock,omitempty"`
	// Distance from the node's head.
	LatestBlockMinus *uint64 `yaml:"latestBlockMinus,omitempty"`
	// Distance from block 0.
	EarliestBlockPlus *uint64 `yaml:"earliestBlockPlus,omitempty"`
}

// choose completes a node with what its section says of when it is asked.
func (u UpstreamFile) choose(e *upstreams.Endpoint, path string, r *report) {
	e.Tags = append([]string(nil), u.Tags...)
	if u.Group != "" && !slices.Contains(e.Tags, "tier:"+u.Group) {
		e.Tags = append(e.Tags, "tier:"+u.Group)
	}
	e.Weight, e.Multipliers = u.share(path, r), u.multipliers(path, r)
	e.Allow = methodPatterns(u.AllowMethods, path+".allowMethods", r)
	e.Ignore = methodPatterns(u.IgnoreMethods, path+".ignoreMethods", r)
	e.KeepAsking = u.AutoIgnoreUnsupportedMethods != nil && !*u.AutoIgnoreUnsupportedMethods
	e.Header = u.JSONRPC.Headers
	e.PollInterval = u.EVM.StatePollerInterval
	e.SkipWhenSyncing, e.IgnoreSyncing = u.EVM.SkipWhenSyncing, u.EVM.SkipSyncingCheck
	e.Blocks = u.EVM.blocks(path+".evm", r)
	e.ReceiptChecks = u.EVM.Integrity.BlockReceipts.checks()
	e.Rules = nodeRules(rules(u.Failsafe), path+".failsafe", r)
}

// multiplierUnits are eRPC's defaults of its weights. A weight of a file means as
// many times the usual as it is of them; of blocks behind, where nothing is
// usual, one point for each at the default.
const (
	usualErrorRate, usualRespLatency, usualThrottledRate, usualBlockHeadLag = 4, 8, 3, 2
)

// multipliers maps those of a node that are for its network.
func (u UpstreamFile) multipliers(path string, r *report) []upstreams.Multiplier {
	var out []upstreams.Multiplier
	for i, m := range u.Routing.ScoreMultipliers {
		at := spot{path: path + ".routing.scoreMultipliers"}.item(i).path
		made := upstreams.Multiplier{
			Share: m.Overall, Failures: part(m.ErrorRate, usualErrorRate), Latency: part(m.RespLatency, usualRespLatency),
			Throttled: part(m.ThrottledRate, usualThrottledRate), Lag: part(m.BlockHeadLag, usualBlockHeadLag),
		}
		var err error
		if made.Methods, err = methods.ParsePattern(cmp.Or(m.Method, "*")); err != nil {
			r.fail(at+".method", "%s", err)
		}
		for _, finality := range m.Finality {
			checkFinality(finality, at+".finality", r)
			made.Finalities = append(made.Finalities, upstreams.Finality(finality))
		}
		isMeant := m.Network == "" || m.Network == "*" || m.Network == "evm:*" || u.EVM.ChainID == 0 ||
			m.Network == "evm:"+strconv.FormatUint(u.EVM.ChainID, 10)
		m.check(at, r)
		if isMeant {
			out = append(out, made)
		}
	}
	return out
}

func (m ScoreMultiplierFile) check(at string, r *report) {
	if m.Overall != nil && *m.Overall <= 0 {
		r.fail(at+".overall", noShare)
	}
	for _, weight := range []struct {
		key   string
		value *float64
	}{{"overall", m.Overall}, {"errorRate", m.ErrorRate}, {"respLatency", m.RespLatency}, {"throttledRate", m.ThrottledRate}, {"blockHeadLag", m.BlockHeadLag}} {
		if v := weight.value; v != nil && (*v < 0 || *v > mostMultiplier) {
			r.fail(at+"."+weight.key, "must be between 0 and %d", mostMultiplier)
		}
	}
}

const (
	noShare        = "must be more than zero; a node that is asked only when no other is left has the tag " + upstreams.TagFallback
	mostMultiplier = 1000
)

func part(weight *float64, usual float64) *float64 {
	if weight == nil {
		return nil
	}
	times := *weight / usual
	return &times
}

// share is the node's weight; 0 when it has none.
func (u UpstreamFile) share(path string, r *report) float64 {
	if u.Weight == nil {
		return 0
	}
	if *u.Weight <= 0 {
		r.fail(path+".weight", noShare)
	}
	return *u.Weight
}

func methodPatterns(texts []string, path string, r *report) []methods.Pattern {
	var out []methods.Pattern
	for i, text := range texts {
		p, err := methods.ParsePattern(text)
		if err != nil {
			r.fail(spot{path: path}.item(i).path, "%s", err)
			continue
		}
		out = append(out, p)
	}
	return out
}

// fullNodeBlocks is how many recent states a node keeps that calls itself full
// and says no number: that of geth. Besu with Bonsai keeps 512.
const fullNodeBlocks = 128

func (f EVMUpstreamFile) blocks(path string, r *report) upstreams.Availability {
	var out upstreams.Availability
	switch f.NodeType {
	case "", "unknown", "archive":
	case "full":
		out = upstreams.Availability{Lower: upstreams.Bound{Kind: upstreams.BehindLatest, Blocks: fullNodeBlocks}, StateOnly: true}
	default:
		r.fail(path+".nodeType", "must be full or archive, is %q", f.NodeType)
	}
	if f.MaxAvailableRecentBlocks != nil && *f.MaxAvailableRecentBlocks > 0 && f.NodeType != "archive" {
		out.Lower = upstreams.Bound{Kind: upstreams.BehindLatest, Blocks: *f.MaxAvailableRecentBlocks}
		out.StateOnly = false
	}
	if bound, ok := f.BlockAvailability.Lower.bound(path+".blockAvailability.lower", r); ok {
		out.Lower, out.StateOnly = bound, false
	}
	if bound, ok := f.BlockAvailability.Upper.bound(path+".blockAvailability.upper", r); ok {
		out.Upper, out.StateOnly = bound, false
	}
	return out
}

func (b *BlockBoundFile) bound(path string, r *report) (out upstreams.Bound, isSet bool) {
	if b == nil {
		return out, false
	}
	given := 0
	for _, form := range []struct {
		blocks *uint64
		kind   upstreams.BoundKind
	}{{b.ExactBlock, upstreams.AtBlock}, {b.EarliestBlockPlus, upstreams.AtBlock}, {b.LatestBlockMinus, upstreams.BehindLatest}} {
		if form.blocks != nil {
			out = upstreams.Bound{Kind: form.kind, Blocks: *form.blocks}
			given++
		}
	}
	if given != 1 {
		r.fail(path, "needs exactly one of exactBlock, latestBlockMinus and earliestBlockPlus")
	}
	return out, given == 1
}

// nodeRules turns a node's rules into the pool's. A second node is a matter of
// the network, so a hedge that a node's rule asks for is not.
func nodeRules(list []FailsafeRule, path string, r *report) []upstreams.NodeRule {
	var out []upstreams.NodeRule
	for i, rule := range list {
		at := spot{path: path}.item(i).path
		pattern, err := methods.ParsePattern(rule.MatchMethod)
		if err != nil {
			r.fail(at+".matchMethod", "%s", err)
			continue
		}
		base := rule.poolRule(pattern)
		made := upstreams.NodeRule{Methods: pattern, Finalities: base.Finalities, Timeout: base.Timeout, Attempts: base.Rounds, Pause: base.Pause}
		if rule.CircuitBreaker != nil {
			made.Breaker = rule.CircuitBreaker.breaker()
		}
		if rule.Hedge != nil && (rule.Hedge.MaxCount == nil || *rule.Hedge.MaxCount > 0) {
			r.warn("projects[].upstreams[].failsafe[].hedge", r.placeOfRule(path, i), "has no effect at a node, hedge in the failsafe of the network says when a second node is asked")
		}
		out = append(out, made)
	}
	return out
}

// breaker fills in what the rule leaves out.
func (c CircuitBreakerRule) breaker() *upstreams.Breaker {
	b := upstreams.DefaultBreaker()
	both(&b.Failures, &b.Of, c.FailureThresholdCount, c.FailureThresholdCapacity)
	both(&b.Successes, &b.Trials, c.SuccessThresholdCount, c.SuccessThresholdCapacity)
	if c.HalfOpenAfter != nil {
		b.OpenFor = *c.HalfOpenAfter
	}
	return &b
}

// both sets a count and how many it is taken of; the one that is left out gives
// way to the other.
func both(count, of, ownCount, ownOf *int) {
	switch {
	case ownCount != nil && ownOf != nil:
		*count, *of = *ownCount, *ownOf
	case ownCount != nil:
		*count, *of = *ownCount, max(*of, *ownCount)
	case ownOf != nil:
		*count, *of = min(*count, *ownOf), *ownOf
	}
}

// warnOfNetworkBreakers says that a circuit breaker belongs to a node.
func warnOfNetworkBreakers(list []FailsafeRule, path string, r *report) {
	for i, rule := range list {
		if rule.CircuitBreaker != nil {
			r.warn("projects[].networks[].failsafe[].circuitBreaker", r.placeOfRule(path, i),
				"has no effect for a network, a circuit breaker belongs into the failsafe of upstreams")
		}
	}
}

// placeOfRule is where a rule stands; one that is alone stands for the list.
func (r *report) placeOfRule(path string, i int) place {
	if at, isList := r.places[spot{path: path}.item(i).path]; isList {
		return at
	}
	return r.places[path]
}
