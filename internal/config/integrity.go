package config

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/slipwayhq/slipway/internal/gateway"
	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

// EVMIntegrityFile is the section integrity of a network's section evm.
type EVMIntegrityFile struct {
	// As in directiveDefaults, which wins.
	EnforceGetLogsBlockRange *bool `yaml:"enforceGetLogsBlockRange,omitempty"`
}

// IntegrityFile is a network's section integrity.
type IntegrityFile struct {
	// How closely answers are looked at: off is what directiveDefaults say, intrinsic is everything that needs nothing but the answer, corroborated the same, authoritative also what needs the block of a receipt, which is asked for unless it was seen just before.
	Level string `yaml:"level,omitempty"`
	// Single checks, over what the level says, by eRPC's name of the check. Of a block: blockHashRecompute, headerFieldShapes, transactionsRootConsistency, transactionsRootRecompute, txFieldUniqueness, txBlockInfo. Of its transactions, and of one: senderRecovery. Of receipts: sameBlockHash, txHashUniqueness, transactionIndexConsistency, contractCreation, logFieldShapes, logIndexContiguity, bloomEmptiness, bloomMatch. Of a search for logs: getLogsFilterSanity, logFieldShapes, logIndexContiguity. Of receipts beside their block: receiptsRootRecompute, receiptTransactionMatch.
	Checks map[string]IntegrityCheckFile `yaml:"checks,omitempty"`
	// What the checks may cost.
	Budget IntegrityBudgetFile `yaml:"budget,omitempty"`
	// Whether answers that fail a check are only counted, and passed on all the same.
	ObserveOnly bool `yaml:"observeOnly,omitempty"`
}

// IntegrityCheckFile is one of the checks.
type IntegrityCheckFile struct {
	// Whether the check is made; left out: as the level says.
	Enabled *bool `yaml:"enabled,omitempty"`
	// What happens to an answer that fails it: reject (left out; another node is asked), soft-flag (it is only counted) or off (the check is not made).
	OnFailure string `yaml:"onFailure,omitempty"`
}

// IntegrityBudgetFile is the section budget.
type IntegrityBudgetFile struct {
	// How many blocks are asked for at a time to compare answers with, an answer beyond is not compared; left out: 16.
	MaxConcurrent *int `yaml:"maxConcurrent,omitempty"`
}

// UpstreamIntegrityFile is a node's section evm.integrity.
type UpstreamIntegrityFile struct {
	// Checks of its answers to eth_getBlockReceipts.
	BlockReceipts ReceiptIntegrityFile `yaml:"eth_getBlockReceipts,omitempty"` //nolint:tagliatelle // as eRPC spells it
}

// ReceiptIntegrityFile is the section eth_getBlockReceipts.
type ReceiptIntegrityFile struct {
	// Whether any of them is made.
	Enabled bool `yaml:"enabled,omitempty"`
	// Whether logs must be numbered from 0 without a gap; left out: yes.
	CheckLogIndexStrictIncrements *bool `yaml:"checkLogIndexStrictIncrements,omitempty"`
	// Whether filters are recomputed from logs; left out: yes.
	CheckLogsBloom *bool `yaml:"checkLogsBloom,omitempty"`
}

func (f ReceiptIntegrityFile) checks() upstreams.Checks {
	var out upstreams.Checks
	if !f.Enabled {
		return out
	}
	if f.CheckLogIndexStrictIncrements == nil || *f.CheckLogIndexStrictIncrements {
		out |= upstreams.CheckSet(upstreams.CheckLogOrder)
	}
	if f.CheckLogsBloom == nil || *f.CheckLogsBloom {
		out |= upstreams.CheckSet(upstreams.CheckLogsBloom)
	}
	return out
}

// StaticResponseFile is an answer that is given without a node.
type StaticResponseFile struct {
	// Method it is for.
	Method string `yaml:"method"`
	// Parameters it is for; left out, it is for calls without.
	Params JSONValue `yaml:"params,omitempty"`
	// What is answered.
	Response StaticBodyFile `yaml:"response"`
}

// StaticBodyFile is what is answered: one of the two.
type StaticBodyFile struct {
	// Value of the answer.
	Result JSONValue `yaml:"result,omitempty"`
	// Error that is answered instead.
	Error *StaticErrorFile `yaml:"error,omitempty"`
}

// StaticErrorFile is an error that is answered.
type StaticErrorFile struct {
	// Code of the error.
	Code int `yaml:"code"`
	// Text of the error.
	Message string `yaml:"message"`
	// More about it.
	Data JSONValue `yaml:"data,omitempty"`
}

// JSONValue is a value of any shape, as JSON text; empty when it is left out.
type JSONValue string

// MarshalYAML writes the value as it is.
func (v JSONValue) MarshalYAML() (any, error) {
	if v == "" {
		return nil, nil //nolint:nilnil // nothing is written
	}
	decoder := json.NewDecoder(strings.NewReader(string(v)))
	decoder.UseNumber()
	var out any
	err := decoder.Decode(&out)
	return wholeNumbers(out), err
}

// wholeNumbers writes 5 as 5, not as 5.0.
func wholeNumbers(value any) any {
	switch v := value.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		return v
	case []any:
		for i := range v {
			v[i] = wholeNumbers(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = wholeNumbers(v[name])
		}
	}
	return value
}

func (v JSONValue) bytes() []byte {
	if v == "" {
		return nil
	}
	return []byte(v)
}

// jsonOf writes a value of the file as JSON. A number that JSON does not have,
// such as 0x10, is the text it was written with.
func jsonOf(n *node) JSONValue {
	text, err := json.Marshal(n.plain())
	if err != nil {
		return ""
	}
	return JSONValue(text)
}

func (n *node) plain() any {
	switch n.form {
	case list:
		out := make([]any, len(n.items))
		for i, item := range n.items {
			out[i] = item.plain()
		}
		return out
	case section:
		out := make(map[string]any, len(n.fields))
		for _, f := range n.fields {
			out[f.key] = f.value.plain()
		}
		return out
	case scalar:
		if !n.quoted && json.Valid([]byte(n.text)) {
			return json.RawMessage(n.text)
		}
		return n.text
	default:
		return nil
	}
}

// search is what the network's keys make of the defaults.
func (n NetworkFile) search() gateway.Search {
	s, evm := gateway.DefaultSearch(), n.EVM
	if evm.GetLogsMaxAllowedRange != nil {
		s.MaxRange = uint64(max(0, *evm.GetLogsMaxAllowedRange))
	}
	take(&s.MaxAddresses, evm.GetLogsMaxAllowedAddresses)
	take(&s.MaxTopics, evm.GetLogsMaxAllowedTopics)
	take(&s.Logs.OnError, evm.GetLogsSplitOnError)
	take(&s.Logs.Concurrency, evm.GetLogsSplitConcurrency)
	take(&s.Traces.OnError, evm.TraceFilterSplitOnError)
	take(&s.Traces.Concurrency, evm.TraceFilterSplitConcurrency)
	take(&s.EnforceRange, or(n.DirectiveDefaults.EnforceGetLogsBlockRange, evm.Integrity.EnforceGetLogsBlockRange))
	return s
}

func take[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

// split makes the pieces of searches as long as every node allows.
func (e EVMUpstreamFile) split(s *gateway.Search, isFirst bool) {
	d := gateway.DefaultSearch()
	leastChunk(&s.Logs.Chunk, e.GetLogsAutoSplittingRangeThreshold, d.Logs.Chunk, isFirst)
	leastChunk(&s.Traces.Chunk, e.TraceFilterAutoSplittingRangeThreshold, d.Traces.Chunk, isFirst)
}

// leastChunk takes a node's threshold over where it is the least; 0 is none.
func leastChunk(chunk *uint64, threshold *int, fallback uint64, isFirst bool) {
	own := fallback
	if threshold != nil {
		own = uint64(max(0, *threshold))
	}
	if isFirst || *chunk == 0 || own != 0 && own < *chunk {
		*chunk = own
	}
}

func (n NetworkFile) checkIntegrity(path string, r *report) {
	switch n.Integrity.Level {
	case "", "off", "intrinsic", "corroborated", "authoritative":
	default:
		r.fail(path+".integrity.level", "must be off, intrinsic, corroborated or authoritative")
	}
	at := path + ".evm."
	atLeast(n.EVM.GetLogsMaxAllowedRange, 0, at+"getLogsMaxAllowedRange", r)
	atLeast(n.EVM.GetLogsMaxAllowedAddresses, 0, at+"getLogsMaxAllowedAddresses", r)
	atLeast(n.EVM.GetLogsMaxAllowedTopics, 0, at+"getLogsMaxAllowedTopics", r)
	atLeast(n.EVM.GetLogsSplitConcurrency, 1, at+"getLogsSplitConcurrency", r)
	atLeast(n.EVM.TraceFilterSplitConcurrency, 1, at+"traceFilterSplitConcurrency", r)
	atLeast(n.EVM.BroadcastTransactions, 1, at+"broadcastTransactions", r)
}

// integrity is what the level, the directives and the single checks make of the
// default, in this order.
func (n NetworkFile) integrity(path string, r *report) upstreams.Integrity {
	out := upstreams.DefaultIntegrity()
	take(&out.MaxLookups, n.Integrity.Budget.MaxConcurrent)
	atLeast(n.Integrity.Budget.MaxConcurrent, 0, path+".integrity.budget.maxConcurrent", r)
	switch n.Integrity.Level {
	case "", "off":
	case "authoritative":
		out.Checks |= upstreams.IntrinsicChecks() | upstreams.CorroboratedChecks()
	default:
		out.Checks |= upstreams.IntrinsicChecks()
	}
	n.DirectiveDefaults.addChecks(&out.Checks)
	for _, name := range slices.Sorted(maps.Keys(n.Integrity.Checks)) {
		n.Integrity.Checks[name].apply(name, path+".integrity.checks."+name, &out, r)
	}
	if n.Integrity.ObserveOnly {
		out.Observed = out.Checks
	}
	return out
}

// addChecks adds the checks that the directives ask for; validateTransactionsRoot
// alone can take some away.
func (d DirectiveDefaultsFile) addChecks(checks *upstreams.Checks) {
	for _, c := range []struct {
		is    bool
		check upstreams.Check
	}{
		{d.ValidateHeaderFieldLengths, upstreams.CheckHeaderFields},
		{d.ValidateTransactionFields, upstreams.CheckTransactionFields},
		{d.ValidateTransactionBlockInfo, upstreams.CheckTransactionBlock},
		{d.EnforceLogIndexStrictIncrements, upstreams.CheckLogOrder},
		{d.ValidateTxHashUniqueness, upstreams.CheckTransactionUnique},
		{d.ValidateTransactionIndex, upstreams.CheckTransactionIndex},
		{d.ValidateLogFields, upstreams.CheckLogFields},
		{d.ValidateLogsBloomEmptiness, upstreams.CheckBloomEmptiness},
		{d.ValidateLogsBloomMatch, upstreams.CheckLogsBloom},
		{d.ValidateReceiptTransactionMatch, upstreams.CheckReceiptTransactions},
		{d.ValidateContractCreation, upstreams.CheckContractCreation},
	} {
		if c.is {
			*checks |= upstreams.CheckSet(c.check)
		}
	}
	if root := upstreams.CheckSet(upstreams.CheckTransactionsPresent, upstreams.CheckTransactionsRoot); d.ValidateTransactionsRoot != nil {
		*checks = checks.Without(root)
		if *d.ValidateTransactionsRoot {
			*checks |= root
		}
	}
}

// apply changes what holds for one check.
func (f IntegrityCheckFile) apply(name, path string, to *upstreams.Integrity, r *report) {
	check, isKnown := upstreams.CheckNamed(name)
	if !isKnown {
		r.warn(path, r.places[path], "has no effect: the gateway has no such check")
		return
	}
	set := upstreams.CheckSet(check)
	if f.Enabled != nil {
		to.Checks = to.Checks.Without(set)
		if *f.Enabled {
			to.Checks |= set
		}
	}
	switch f.OnFailure {
	case "", "reject":
	case "soft-flag":
		to.Observed |= set
	case "off":
		to.Checks = to.Checks.Without(set)
	default:
		r.fail(path+".onFailure", "must be reject, soft-flag or off")
	}
}

func (n NetworkFile) static(path string, r *report) []gateway.StaticResponse {
	var out []gateway.StaticResponse
	for i, f := range n.StaticResponses {
		at := path + ".staticResponses[" + strconv.Itoa(i) + "]"
		if f.Method == "" {
			r.fail(at+".method", "is needed")
		}
		if (f.Response.Result == "") == (f.Response.Error == nil) {
			r.fail(at+".response", "must have a result or an error")
		}
		s := gateway.StaticResponse{Method: f.Method, Params: f.Params.bytes(), Result: f.Response.Result.bytes()}
		if e := f.Response.Error; e != nil {
			s.Error = &jsonrpc.Error{Code: jsonrpc.Code(e.Code), Message: e.Message, Data: e.Data.bytes()}
		}
		out = append(out, s)
	}
	return out
}
