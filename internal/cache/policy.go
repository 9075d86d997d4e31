package cache

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/methods"
)

// Layer is one of the stores.
type Layer uint8

// The layers.
const (
	InMemory Layer = iota
	InRedis

	layers
)

// Empty says what a policy does with empty answers: "0x", "", [] and {}. null
// is never kept: it may stand for what is still to come.
type Empty uint8

// What is done with empty answers.
const (
	IgnoreEmpty Empty = iota
	AllowEmpty
	OnlyEmpty
)

// Policy says which answers a store keeps, and for how long. What it leaves out
// means every value, but for the finality, of which the zero value is finalized.
type Policy struct {
	// Layers are the stores the policy is for; none means all.
	Layers []Layer
	// Project, Network ("evm:1") and Method are patterns of names; the zero one means all.
	Project, Network, Method methods.Pattern
	// Params are patterns of the parameters, by position.
	Params   []ParamPattern
	Finality Finality
	Empty    Empty
	// NoGet and NoSet leave one of the two uses out.
	NoGet, NoSet bool
	// MinSize and MaxSize bound an answer in bytes; a MaxSize of 0 is no bound.
	MinSize, MaxSize int
	TTL              TTL

	series *series // nil until NewPolicies
}

// name is the policy as metric label: the patterns it has for networks and
// methods, and its finality, such as "evm:*/eth_getLogs/finalized".
func (p Policy) name() string {
	pattern := func(of methods.Pattern) string { return cmp.Or(of.String(), "*") }
	return pattern(p.Network) + "/" + pattern(p.Method) + "/" + p.Finality.String()
}

// TTL is how long an answer is kept.
type TTL struct {
	// Time is the time; 0 keeps a final answer for as long as there is room.
	Time time.Duration
	// Blocks times the time between blocks wins over Time, where that is known.
	Blocks float64
}

// String is the time to live as it is configured.
func (t TTL) String() string {
	switch {
	case t.Blocks > 0:
		return strconv.FormatFloat(t.Blocks, 'g', -1, 64) + " blocks"
	case t.Time == 0:
		return "forever"
	default:
		return t.Time.String()
	}
}

// at is the time to live; what may change is bounded however the file is written.
func (t TTL) at(f Finality, blockTime time.Duration) time.Duration {
	ttl := t.Time
	if t.Blocks > 0 && blockTime > 0 {
		ttl = time.Duration(t.Blocks * float64(blockTime))
	}
	if f != Finalized && (ttl == 0 || ttl > maxVolatileTTL) {
		return maxVolatileTTL
	}
	return ttl
}

// maxVolatileTTL bounds how long an answer is kept that may change: it is about
// as long as other replicas and restarts may be blind for a reorganisation.
const maxVolatileTTL = 10 * time.Minute

// PinnedTTL is how long Redis keeps answers to requests that asked for "latest"
// before their block was written into them: with the next block nobody asks for
// them any more, and each block leaves as many behind as there are questions.
const PinnedTTL = time.Minute

// Validate reports what makes no sense.
func (p Policy) Validate() error {
	if p.MinSize < 0 || p.MaxSize < 0 || p.MaxSize > 0 && p.MaxSize < p.MinSize {
		return errors.New("sizes: must not be negative, and the largest not below the least")
	}
	if p.TTL.Time < 0 || p.TTL.Blocks < 0 {
		return errors.New("time to live: must not be negative")
	}
	return nil
}

// DefaultPolicies keep what cannot change, in every store.
func DefaultPolicies() []Policy { return []Policy{{Empty: AllowEmpty}} }

// Policies are the policies that mean one network of one project, by method. It
// never changes.
type Policies struct {
	byMethod [][]Policy // by methods.Method.Index
}

// NewPolicies chooses the policies of a network.
func NewPolicies(all []Policy, project, network string, catalogue *methods.Catalogue) *Policies {
	p := &Policies{byMethod: make([][]Policy, catalogue.Len())}
	all = slices.Clone(all)
	for i := range all {
		all[i].series = newSeries(all[i], project, network)
	}
	for _, m := range catalogue.All() {
		for _, policy := range all {
			if means(policy.Project, project) && means(policy.Network, network) && means(policy.Method, m.Name) {
				p.byMethod[m.Index] = append(p.byMethod[m.Index], policy)
			}
		}
	}
	return p
}

func means(p methods.Pattern, name string) bool { return p.String() == "" || p.Match(name) }

// Plan says which stores may be used for a request, and how long they keep.
type Plan struct {
	uses   [layers]bool
	ttl    [layers]time.Duration
	series [layers]*series // of the policies that put the stores there
}

// NewPlan is a plan in which some stores keep for the same time; 0 is for ever.
func NewPlan(ttl time.Duration, in ...Layer) Plan {
	var p Plan
	(&Policy{Layers: in}).add(&p, ttl)
	return p
}

// Uses says whether a store may be used.
func (p Plan) Uses(l Layer) bool { return p.uses[l] }

// TTL is how long a store keeps the answer; 0 is for ever.
func (p Plan) TTL(l Layer) time.Duration { return p.ttl[l] }

func (p Plan) isEmpty() bool { return p.uses == [layers]bool{} }

// Ask is a request to the cache.
type Ask struct {
	Facts  methods.Facts
	Params []byte
	// Head is where the network stands.
	Head chain.Head
	// Newest is the newest block that was known when the request came.
	Newest uint64
	// IsPinned says that the request asked for the newest block.
	IsPinned bool
}

// LookUp says where an answer can be; false where looking for it is not worth while.
func (p *Policies) LookUp(a Ask) (Plan, bool) {
	finality := finalityOf(a.Facts, a.Head)
	var plan Plan
	if finality == volatile {
		return plan, false
	}
	for i := range p.byMethod[a.Facts.Method.Index] {
		policy := &p.byMethod[a.Facts.Method.Index][i]
		if policy.NoGet || !policy.holdsBefore(finality) || !policy.meansParams(a.Params) {
			continue
		}
		policy.add(&plan, 0)
	}
	return plan, !plan.isEmpty()
}

// holdsBefore says whether an answer of this finality may be the policy's. What
// is kept as unfinalized may be final by now.
func (p *Policy) holdsBefore(f Finality) bool {
	switch f {
	case told:
		return p.Finality == Finalized || p.Finality == Unfinalized
	case Finalized:
		return p.Finality == Finalized || p.Finality == Unfinalized
	default:
		return p.Finality == f
	}
}

// add puts the policy's stores into a plan, but those that an earlier policy has.
func (p *Policy) add(plan *Plan, ttl time.Duration) {
	for l := range layers {
		if !plan.uses[l] && (len(p.Layers) == 0 || slices.Contains(p.Layers, l)) {
			plan.uses[l], plan.ttl[l], plan.series[l] = true, ttl, p.series
		}
	}
}

// Answer is a node's answer.
type Answer struct {
	Value []byte
	// NodeHead is the newest block that the node had shown. Some nodes answer
	// with an empty result for blocks they do not have.
	NodeHead uint64
	// BlockTime is the time between blocks; 0 while it is not known.
	BlockTime time.Duration
}

// Keep says where an answer is kept, and as what. What is not safe is not kept
// by any policy.
func (p *Policies) Keep(a Ask, answer Answer) (Plan, Entry, bool) {
	entry, ok := judge(a, answer)
	if !ok {
		return Plan{}, Entry{}, false
	}
	var plan Plan
	for i := range p.byMethod[a.Facts.Method.Index] {
		policy := &p.byMethod[a.Facts.Method.Index][i]
		if policy.NoSet || policy.Finality != entry.Finality || !policy.meansAnswer(answer.Value) || !policy.meansParams(a.Params) {
			continue
		}
		policy.add(&plan, policy.TTL.at(entry.Finality, answer.BlockTime))
	}
	if ttl := plan.ttl[InRedis]; a.IsPinned && plan.uses[InRedis] && (ttl == 0 || ttl > PinnedTTL) {
		plan.ttl[InRedis] = PinnedTTL
	}
	return plan, entry, !plan.isEmpty()
}

// judge says what an answer would be kept as; false for what is not safe to keep.
func judge(a Ask, answer Answer) (Entry, bool) {
	value := answer.Value
	if len(value) == 0 || string(value) == "null" {
		return Entry{}, false
	}
	entry := Entry{Value: value, Finality: finalityOf(a.Facts, a.Head)}
	switch entry.Finality {
	case Finalized, Unfinalized:
		entry.Number = a.Facts.Number
		if entry.Number > answer.NodeHead {
			return Entry{}, false
		}
	case told:
		number, ok := blockOf(a.Facts, value)
		if !ok {
			return Entry{}, false
		}
		entry.Number, entry.Finality = number, finalityAtNumber(number, a.Head)
	case Realtime:
		entry.Number = a.Newest
		if !a.Head.IsKnown || entry.Number > answer.NodeHead {
			return Entry{}, false
		}
	case Unknown:
	case volatile:
		return Entry{}, false
	}
	if entry.Finality == Unfinalized {
		entry.Hash = hashOf(a.Facts, value)
	}
	return entry, a.Head.IsKnown
}

// meansAnswer says whether an answer has the shape that the policy wants.
func (p *Policy) meansAnswer(value []byte) bool {
	if len(value) < p.MinSize || p.MaxSize > 0 && len(value) > p.MaxSize {
		return false
	}
	return p.Empty == AllowEmpty || isEmpty(value) == (p.Empty == OnlyEmpty)
}

// isEmpty says whether an answer says "nothing".
func isEmpty(value []byte) bool {
	switch string(value) {
	case `""`, `"0x"`, `[]`, `{}`:
		return true
	default:
		return false
	}
}

// blockOf reads from an answer which block it belongs to. An answer that does
// not say it (a pending transaction, no logs at all) belongs to none.
func blockOf(facts methods.Facts, value []byte) (uint64, bool) {
	value = firstObject(facts, value)
	for _, name := range []string{"blockNumber", "number"} {
		if number, ok := methods.ParseQuantity(jsonrpc.Member(value, name)); ok {
			return number, true
		}
	}
	return 0, false
}

// hashOf reads from an answer the hash of its block; empty where it does not say it.
func hashOf(facts methods.Facts, value []byte) string {
	value = firstObject(facts, value)
	hash := jsonrpc.Member(value, "blockHash")
	if hash == nil && jsonrpc.Member(value, "parentHash") != nil {
		hash = jsonrpc.Member(value, "hash")
	}
	return string(bytes.Trim(hash, `"`))
}

// firstObject is an answer, or the first of several that share a block.
func firstObject(facts methods.Facts, value []byte) []byte {
	value = bytes.TrimSpace(value)
	if len(value) > 0 && value[0] == '[' && (facts.Method.Cache == methods.CacheLogs && facts.Ref == methods.RefHash || facts.Method.Name == "eth_getBlockReceipts") {
		return jsonrpc.Element(value, 0)
	}
	return value
}

// String is the name of a layer in metrics.
func (l Layer) String() string {
	switch l {
	case InMemory:
		return "memory"
	case InRedis:
		return "redis"
	default:
		return fmt.Sprintf("layer %d", uint8(l))
	}
}
