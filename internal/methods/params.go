package methods

import (
	"bytes"
	"strconv"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
)

// ReplaceTags writes block numbers in place of "safe" and "finalized" at the
// block parameter of a method. Everything else stays byte for byte; without
// such a tag the parameters come back as they are.
func (f Facts) ReplaceTags(params []byte, number uint64) []byte {
	if !f.HasTag {
		return params
	}
	element := jsonrpc.Element(params, int(f.Method.Block))
	if element == nil {
		return params
	}
	if element[0] != '{' {
		return splice(params, element, number)
	}
	for _, name := range []string{"blockNumber", "fromBlock", "toBlock"} {
		// The parameters are new bytes after a replacement, so each member is
		// looked up again.
		member := jsonrpc.Member(jsonrpc.Element(params, int(f.Method.Block)), name)
		if _, tag, _ := parseBlock(member); isRewritten(tag) {
			params = splice(params, member, number)
		}
	}
	return params
}

// splice replaces part, which is a slice of text, with a quoted quantity.
func splice(text, part []byte, number uint64) []byte {
	at := cap(text) - cap(part) // both end where the underlying array ends
	out := make([]byte, 0, len(text)+16)
	out = append(out, text[:at]...)
	out = AppendQuantity(out, number)
	return append(out, text[at+len(part):]...)
}

// AppendQuantity appends a number as JSON-RPC quantity: a quoted "0x" text.
func AppendQuantity(dst []byte, number uint64) []byte {
	dst = append(dst, `"0x`...)
	dst = strconv.AppendUint(dst, number, 16)
	return append(dst, '"')
}

// FirstString returns the first parameter when it is a JSON string without
// escapes, unquoted.
func FirstString(params []byte) (string, bool) {
	v := jsonrpc.Element(params, 0)
	if len(v) < 2 || v[0] != '"' || bytes.IndexByte(v, '\\') >= 0 {
		return "", false
	}
	return string(v[1 : len(v)-1]), true
}
