package methods

import (
	"github.com/slipwayhq/slipway/internal/jsonrpc"
)

// Tag is a block named by its role.
type Tag uint8

// The tags.
const (
	NoTag Tag = iota
	Latest
	Pending
	Safe
	Finalized
)

// RefKind says how a request names its block.
type RefKind uint8

// The kinds of reference.
const (
	RefNone    RefKind = iota // no block, or one that only the node can judge
	RefTag                    // latest, pending, safe or finalized
	RefNumber                 // a number; "earliest" is number 0
	RefHash                   // a block or transaction hash
	RefDefault                // the parameter was left out; nodes take latest
)

// Facts is what the gateway knows of a request. It is a small value that may
// be compared and copied.
type Facts struct {
	Method *Method
	Ref    RefKind
	Tag    Tag    // set when Ref is RefTag; of a range, the tag that decides
	Number uint64 // set when Ref is RefNumber; of a range, its end
	// HasTag says that safe or finalized stands somewhere in the parameters,
	// so that ReplaceTags has something to replace.
	HasTag bool
}

// IsWrite says whether the request may change the chain or a node.
func (f Facts) IsWrite() bool { return f.Method.Kind == Send || f.Method.Kind == Unknown }

// Repeatable says whether a request that may have reached a node may be sent
// to another one.
func (f Facts) Repeatable() bool { return f.Method.Kind == Read || f.Method.Kind == Send }

// Joinable says whether equal requests in flight may share one forward.
func (f Facts) Joinable() bool { return f.Method.Kind == Read }

// Describe says what is known of a request. It never fails: parameters it does
// not understand are the node's to judge.
func (c *Catalogue) Describe(method string, params []byte) Facts {
	m := c.Find(method)
	f := Facts{Method: m}
	switch {
	case m.Cache == CacheLogs:
		describeRange(&f, jsonrpc.Element(params, int(m.Block)))
	case m.Block != none:
		ref := jsonrpc.Element(params, int(m.Block))
		if ref == nil && len(params) > 0 && params[0] == '{' {
			return f // parameters by name: no node of this family reads them
		}
		if m.BlockMember != "" {
			f.Ref, f.Tag, f.Number = parseBlock(jsonrpc.Member(ref, m.BlockMember))
			return f
		}
		describeBlock(&f, ref)
	case m.Cache == CacheByContent:
		f.Ref = RefHash
	}
	f.HasTag = f.HasTag && !m.KeepsFinalized
	return f
}

func describeBlock(f *Facts, ref []byte) {
	if len(ref) > 0 && ref[0] == '{' { // EIP-1898
		if jsonrpc.Member(ref, "blockHash") != nil {
			f.Ref = RefHash
			return
		}
		ref = jsonrpc.Member(ref, "blockNumber")
		if ref == nil {
			return
		}
	}
	f.Ref, f.Tag, f.Number = parseBlock(ref)
	f.HasTag = f.Tag == Safe || f.Tag == Finalized
}

// describeRange reads the filter of eth_getLogs. The end of the range decides
// whether a node can answer and whether the answer is final; a tag anywhere
// wins over a number, because its block is not known here.
func describeRange(f *Facts, filter []byte) {
	if len(filter) == 0 || filter[0] != '{' {
		return
	}
	if hash := jsonrpc.Member(filter, "blockHash"); hash != nil {
		f.Ref = RefHash
		return
	}
	fromKind, fromTag, from := parseBlock(jsonrpc.Member(filter, "fromBlock"))
	toKind, toTag, to := parseBlock(jsonrpc.Member(filter, "toBlock"))
	f.HasTag = isRewritten(fromTag) || isRewritten(toTag)
	switch {
	case fromKind == RefNumber && toKind == RefNumber:
		f.Ref, f.Number = RefNumber, max(from, to)
	case toKind == RefTag:
		f.Ref, f.Tag = RefTag, toTag
	case fromKind == RefTag:
		f.Ref, f.Tag = RefTag, fromTag
	case fromKind == RefDefault || toKind == RefDefault:
		f.Ref = RefDefault
	}
}

func isRewritten(t Tag) bool { return t == Safe || t == Finalized }

// parseBlock reads a block parameter. What it does not understand is RefNone.
func parseBlock(ref []byte) (RefKind, Tag, uint64) {
	switch string(ref) {
	case "", "null":
		return RefDefault, NoTag, 0
	case `"latest"`:
		return RefTag, Latest, 0
	case `"pending"`:
		return RefTag, Pending, 0
	case `"safe"`:
		return RefTag, Safe, 0
	case `"finalized"`:
		return RefTag, Finalized, 0
	case `"earliest"`:
		return RefNumber, NoTag, 0
	}
	if len(ref) == 68 && ref[0] == '"' { // a 32-byte hash with 0x and quotes
		return RefHash, NoTag, 0
	}
	n, ok := ParseQuantity(ref)
	if !ok {
		return RefNone, NoTag, 0
	}
	return RefNumber, NoTag, n
}

// ParseQuantity reads a quoted hex quantity ("0x1b4"), as JSON text.
func ParseQuantity(text []byte) (uint64, bool) {
	const maxDigits = 16
	if len(text) < 5 || len(text) > maxDigits+4 || string(text[:3]) != `"0x` || text[len(text)-1] != '"' {
		return 0, false
	}
	var n uint64
	for _, c := range text[3 : len(text)-1] {
		var digit byte
		switch {
		case c >= '0' && c <= '9':
			digit = c - '0'
		case c >= 'a' && c <= 'f':
			digit = c - 'a' + 10
		case c >= 'A' && c <= 'F':
			digit = c - 'A' + 10
		default:
			return 0, false
		}
		n = n<<4 | uint64(digit)
	}
	return n, true
}
