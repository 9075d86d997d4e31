package jsonrpc

import (
	"encoding/json"
	"fmt"
)

// Code is a JSON-RPC error code.
type Code int

// Codes of JSON-RPC 2.0, section 5.1, and of EIP-1474.
const (
	CodeParse            Code = -32700
	CodeInvalidRequest   Code = -32600
	CodeMethodNotFound   Code = -32601
	CodeInvalidParams    Code = -32602
	CodeInternal         Code = -32603
	CodeServer           Code = -32000 // "invalid input" in EIP-1474; nodes use it for nearly everything
	CodeResourceNotFound Code = -32001
	CodeUnavailable      Code = -32002 // "resource unavailable"
	CodeRejected         Code = -32003 // "transaction rejected"
	CodeNotSupported     Code = -32004
	CodeLimitExceeded    Code = -32005
	CodeReverted         Code = 3      // execution reverted, with the revert bytes as data
	CodeTimeout          Code = -32015 // as eRPC's
	CodeUnauthorized     Code = -32016 // as eRPC's
	CodeTooLarge         Code = -32012 // the range or the answer is too large; as eRPC has it
)

// Error is the error object of a response.
type Error struct {
	Code    Code            `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data,omitempty"` // any JSON value, nil when absent
}

// NewError makes an error without data.
func NewError(code Code, message string) *Error { return &Error{Code: code, Message: message} }

// Error says code and message; data, which may be large, is left out.
func (e *Error) Error() string { return fmt.Sprintf("JSON-RPC error %d: %s", e.Code, e.Message) }

// DecodeError reads an error object. Text that is none gives CodeInternal.
func DecodeError(object []byte) *Error {
	var e Error
	if err := json.Unmarshal(object, &e); err != nil {
		return NewError(CodeInternal, "unreadable error object")
	}
	return &e
}
