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

// IsAtLatest says whether a request asks for the newest block in a way that
// PinLatest can write as its number.
func (f Facts) IsAtLatest() bool {
	return f.Method.PinsLatest && (f.Ref == RefTag && f.Tag == Latest || f.Ref == RefDefault && f.Method.DefaultsLatest)
}

// PinLatest writes the number of the newest block in place of "latest", and
// where a block that was left out means it. It is false, with the parameters as
// they are, where the request cannot be written so: other tags stand beside it,
// or a range of logs begins behind that block.
func (f Facts) PinLatest(params []byte, number uint64) ([]byte, bool) {
	if !f.IsAtLatest() {
		return params, false
	}
	if f.Method.Cache == CacheLogs {
		return pinRange(params, number)
	}
	element := jsonrpc.Element(params, int(f.Method.Block))
	if element == nil {
		return appendParam(params, int(f.Method.Block), number)
	}
	if element[0] == '{' { // EIP-1898
		element = jsonrpc.Member(element, "blockNumber")
	}
	return splice(params, element, number), true
}

// appendParam adds a parameter at a position, behind those that stand there.
func appendParam(params []byte, position int, number uint64) ([]byte, bool) {
	if position == 0 || jsonrpc.Element(params, position-1) == nil {
		return params, false
	}
	end := bytes.LastIndexByte(params, ']')
	out := append(make([]byte, 0, len(params)+24), params[:end]...)
	out = append(out, ',')
	out = AppendQuantity(out, number)
	return append(out, ']'), true
}

// pinRange writes the newest block's number into a filter of logs.
func pinRange(params []byte, number uint64) ([]byte, bool) {
	for _, name := range []string{"fromBlock", "toBlock"} {
		filter := jsonrpc.Element(params, 0)
		member := jsonrpc.Member(filter, name)
		kind, tag, n := parseBlock(member)
		switch {
		case kind == RefDefault && member == nil:
			params = addMember(params, filter, name, number)
		case kind == RefDefault, kind == RefTag && tag == Latest:
			params = splice(params, member, number)
		case kind != RefNumber, n > number:
			return params, false
		}
	}
	return params, true
}

// addMember puts a member first into an object, which is a slice of params.
func addMember(params, object []byte, name string, number uint64) []byte {
	at := cap(params) - cap(object) + 1
	out := append(make([]byte, 0, len(params)+len(name)+32), params[:at]...)
	out = append(append(append(out, '"'), name...), '"', ':')
	out = AppendQuantity(out, number)
	if rest := bytes.TrimLeft(params[at:], " \t\r\n"); rest[0] != '}' {
		out = append(out, ',')
	}
	return append(out, params[at:]...)
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
