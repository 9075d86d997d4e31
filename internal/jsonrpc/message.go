package jsonrpc

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"
)

// ID is a request id as the client wrote it: the JSON text of a string, a
// number or null. A nil ID is an absent one.
type ID []byte

// Request is one call as it came from the wire. Its slices point into the text
// it was scanned from.
type Request struct {
	ID     ID     // nil when absent: then the request is a notification
	Method string // unescaped
	Params []byte // a JSON array or object, nil when absent or null
}

// IsNotification says whether the client wants no answer.
func (r Request) IsNotification() bool { return r.ID == nil }

// Response is one answer as it came from the wire: exactly one of Result and
// Error is set. Its slices point into the text it was scanned from.
type Response struct {
	ID     ID
	Result []byte // a JSON value
	Error  []byte // a JSON object; see DecodeError
}

// IsBatch says whether a body is a batch: its first byte that is not white
// space opens an array.
func IsBatch(body []byte) bool {
	s := scanner{b: body}
	s.skipSpace()
	return s.i < len(s.b) && s.b[s.i] == '['
}

// ScanRequest reads one request. On an error the returned request still has
// the id, where it could be read, so that the answer can carry it.
func ScanRequest(text []byte) (Request, *Error) {
	var r Request
	if !utf8.Valid(text) {
		return r, parseError(errNotUTF8)
	}
	members, err := scanEnvelope(text)
	switch {
	case errors.Is(err, errNotObject):
		return r, NewError(CodeInvalidRequest, "invalid request: not an object")
	case errors.Is(err, errDuplicate):
		return r, NewError(CodeInvalidRequest, "invalid request: a member stands twice")
	case err != nil:
		return r, NewError(CodeParse, "parse error: "+err.Error())
	}

	// What is passed on as it stands must not be another call for who reads it.
	if members.isAmbiguous {
		return r, NewError(CodeInvalidRequest, "invalid request: the name of a member is ambiguous")
	}
	if id := members.id; id != nil {
		if !isID(id) {
			return r, NewError(CodeInvalidRequest, "invalid request: the id must be a string, a number or null")
		}
		r.ID = id
	}
	if v := members.version; v != nil && string(v) != `"2.0"` {
		return r, NewError(CodeInvalidRequest, `invalid request: "jsonrpc" must be "2.0"`)
	}
	method, ok := unquote(members.method)
	if !ok || method == "" {
		return r, NewError(CodeInvalidRequest, "invalid request: the method must be a non-empty string")
	}
	r.Method = method
	if p := members.params; p != nil && string(p) != "null" {
		if p[0] != '[' && p[0] != '{' {
			return r, NewError(CodeInvalidRequest, "invalid request: params must be an array or an object")
		}
		r.Params = p
	}
	return r, nil
}

// ErrNotResponse says that a text is not a JSON-RPC response.
var ErrNotResponse = errors.New("not a JSON-RPC response")

// ScanResponse reads one response. A "result" of null is a result; an "error"
// of null beside a result is what some nodes write, and is ignored.
func ScanResponse(text []byte) (Response, error) {
	var r Response
	members, err := scanEnvelope(text)
	if err != nil {
		return r, ErrNotResponse
	}
	if isNull(members.err) && members.result != nil {
		members.err = nil
	}
	if isNull(members.result) && members.err != nil {
		members.result = nil
	}
	if (members.result == nil) == (members.err == nil) {
		return r, ErrNotResponse
	}
	if members.err != nil && members.err[0] != '{' {
		return r, ErrNotResponse
	}
	return Response{ID: members.id, Result: members.result, Error: members.err}, nil
}

func isNull(v []byte) bool { return string(v) == "null" }

// envelope holds the raw members of a request or a response.
type envelope struct {
	version, id, method, params, result, err []byte

	isAmbiguous bool // a name that is none of these may be read as one of them
}

var (
	errNotObject = errors.New("not an object")
	errDuplicate = errors.New("duplicate member")
)

func scanEnvelope(text []byte) (envelope, error) {
	var e envelope
	s := scanner{b: text}
	s.skipSpace()
	if s.i >= len(s.b) {
		return e, errSyntax
	}
	if s.b[s.i] != '{' {
		if !Valid(text) {
			return e, errSyntax
		}
		return e, errNotObject
	}
	s.i++
	s.skipSpace()
	if s.i < len(s.b) && s.b[s.i] == '}' {
		s.i++
		return e, s.end()
	}
	var duplicate bool
	for {
		start := s.i
		if err := s.key(); err != nil {
			return e, err
		}
		slot := e.slot(nameOf(s.b[start:s.i]))
		v, err := s.value()
		if err != nil {
			return e, err
		}
		if slot != nil {
			duplicate = duplicate || *slot != nil
			*slot = v
		}
		more, err := s.comma('}')
		if err != nil {
			return e, err
		}
		if !more {
			break
		}
	}
	if err := s.end(); err != nil {
		return e, err
	}
	if duplicate {
		return e, errDuplicate
	}
	return e, nil
}

// nameOf cuts a member's name out of its scanned key (quotes, colon, space).
// A name with escapes is none of the envelope's: returned as it stands, it
// matches no slot.
func nameOf(key []byte) []byte {
	key = key[1:]
	return key[:bytes.IndexByte(key, '"')]
}

// isAmbiguous says whether other programs may read an unknown name as the method or the
// parameters: with its escapes decoded, or in another case.
func isAmbiguous(name []byte) bool {
	if bytes.IndexByte(name, '\\') >= 0 {
		return true
	}
	for _, known := range [][]byte{[]byte("method"), []byte("params")} {
		if bytes.EqualFold(name, known) {
			return true
		}
	}
	return false
}

// slot is where the value of a known name goes; nil for other names.
func (e *envelope) slot(name []byte) *[]byte {
	switch string(name) {
	case "jsonrpc":
		return &e.version
	case "id":
		return &e.id
	case "method":
		return &e.method
	case "params":
		return &e.params
	case "result":
		return &e.result
	case "error":
		return &e.err
	default:
		e.isAmbiguous = e.isAmbiguous || isAmbiguous(name)
		return nil
	}
}

// isID says whether a JSON value may stand as id. JSON-RPC 2.0 allows strings,
// numbers and null.
func isID(v []byte) bool {
	switch v[0] {
	case '"', '-', 'n', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return true
	default:
		return false
	}
}

// unquote turns a JSON string into a Go string.
func unquote(v []byte) (string, bool) {
	if len(v) < 2 || v[0] != '"' {
		return "", false
	}
	if bytes.IndexByte(v, '\\') < 0 {
		return string(v[1 : len(v)-1]), true
	}
	var out string
	err := json.Unmarshal(v, &out)
	return out, err == nil
}
