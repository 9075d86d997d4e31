package jsonrpc

import (
	"errors"
	"unicode/utf8"
)

// ScanBatch splits a batch into its elements, each one JSON value that is yet
// to be scanned with ScanRequest or ScanResponse. At most limit elements are
// allowed; an empty batch is an invalid request (JSON-RPC 2.0, section 6).
func ScanBatch(body []byte, limit int) ([][]byte, *Error) {
	if !utf8.Valid(body) { // of one element, too, it makes the whole text no JSON
		return nil, parseError(errNotUTF8)
	}
	s := scanner{b: body}
	s.skipSpace()
	if s.i >= len(s.b) || s.b[s.i] != '[' {
		return nil, NewError(CodeParse, "parse error: not a batch")
	}
	s.i++
	s.skipSpace()
	if s.i < len(s.b) && s.b[s.i] == ']' {
		return nil, NewError(CodeInvalidRequest, "invalid request: empty batch")
	}
	var elements [][]byte
	for {
		v, err := s.value()
		if err != nil {
			return nil, parseError(err)
		}
		if len(elements) == limit {
			return nil, NewError(CodeInvalidRequest, "invalid request: the batch has too many elements")
		}
		elements = append(elements, v)
		more, err := s.comma(']')
		if err != nil {
			return nil, parseError(err)
		}
		if !more {
			break
		}
	}
	if err := s.end(); err != nil {
		return nil, parseError(err)
	}
	return elements, nil
}

func parseError(err error) *Error {
	if errors.Is(err, errTooDeep) || errors.Is(err, errNotUTF8) {
		return NewError(CodeParse, "parse error: "+err.Error())
	}
	return NewError(CodeParse, "parse error: invalid JSON")
}
