package jsonrpc

import (
	"encoding/json"
	"strconv"
)

// AppendRequest appends a request. The method must need no escaping, as all
// method names of Ethereum do not; other names are escaped by the way.
// Nil params are left out.
func AppendRequest(dst []byte, id ID, method string, params []byte) []byte {
	dst = append(dst, `{"jsonrpc":"2.0","id":`...)
	dst = append(dst, id...)
	dst = append(dst, `,"method":`...)
	dst = appendString(dst, method)
	if params != nil {
		dst = append(dst, `,"params":`...)
		dst = append(dst, params...)
	}
	return append(dst, '}')
}

// AppendResult appends a response with a result. A nil id is written as null.
func AppendResult(dst []byte, id ID, result []byte) []byte {
	dst = appendHead(dst, id)
	dst = append(dst, `,"result":`...)
	dst = append(dst, result...)
	return append(dst, '}')
}

// AppendRawError appends a response with an error object that is JSON already.
// A nil id is written as null.
func AppendRawError(dst []byte, id ID, errorObject []byte) []byte {
	dst = appendHead(dst, id)
	dst = append(dst, `,"error":`...)
	dst = append(dst, errorObject...)
	return append(dst, '}')
}

// AppendError appends a response with an error. A nil id is written as null.
func AppendError(dst []byte, id ID, e *Error) []byte {
	dst = appendHead(dst, id)
	dst = append(dst, `,"error":`...)
	dst = e.appendJSON(dst)
	return append(dst, '}')
}

func appendHead(dst []byte, id ID) []byte {
	dst = append(dst, `{"jsonrpc":"2.0","id":`...)
	if id == nil {
		return append(dst, "null"...)
	}
	return append(dst, id...)
}

func (e *Error) appendJSON(dst []byte) []byte {
	dst = append(dst, `{"code":`...)
	dst = strconv.AppendInt(dst, int64(e.Code), 10)
	dst = append(dst, `,"message":`...)
	dst = appendString(dst, e.Message)
	if e.Data != nil {
		dst = append(dst, `,"data":`...)
		dst = append(dst, e.Data...)
	}
	return append(dst, '}')
}

// appendString appends a JSON string; plain ASCII takes the short way.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			quoted, err := json.Marshal(s)
			if err != nil { // a string always marshals
				return append(dst, `""`...)
			}
			return append(dst, quoted...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}
