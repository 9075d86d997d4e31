package config

import (
	"encoding/json"
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
	// What is recomputed: off is nothing, intrinsic is hashes, roots, filters and every log of a search. The higher levels of eRPC, corroborated and authoritative, are taken as intrinsic.
	Level string `yaml:"level,omitempty"`
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

func (n NetworkFile) checks() upstreams.Checks {
	isOn := n.Integrity.Level != "" && n.Integrity.Level != "off"
	return upstreams.Checks{
		HeaderHash: isOn, Logs: isOn,
		TransactionsRoot: isOn || n.DirectiveDefaults.ValidateTransactionsRoot,
		LogsBloom:        isOn || n.DirectiveDefaults.ValidateLogsBloomMatch,
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
