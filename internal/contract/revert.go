package contract

import (
	"encoding/hex"
	"fmt"
	"math/big"
	"reflect"
	"strings"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
)

// Revert is what a contract said when it reverted.
type Revert struct {
	// Message is the reason in one line.
	Message string `json:"message"`
	// Name and Signature are those of the error; empty if it is not known.
	Name      string `json:"name,omitempty"`
	Signature string `json:"signature,omitempty"`
	// Arguments are those of the error.
	Arguments []Value `json:"arguments,omitempty"`
	// Data are the bytes the contract gave back, as 0x hex.
	Data string `json:"data"`
}

// Value is a decoded argument. Integers are decimal texts, bytes 0x texts,
// lists and tuples JSON lists.
type Value struct {
	Name  string `json:"name,omitempty"`
	Type  string `json:"type"`
	Value any    `json:"value"`
}

// maxRevertData bounds what is decoded; see isDecodable. Reasons have some
// hundred bytes.
const maxRevertData = 4 << 10

// Reverted decodes revert data: Error(string) and Panic(uint256) of Solidity,
// and the errors of the ABI. What it cannot read it shows as it is.
func (a ABI) Reverted(data []byte) Revert {
	out := Revert{Message: "reverted without a reason", Data: "0x" + hex.EncodeToString(data)}
	if len(data) == 0 {
		return out
	}
	out.Message = "reverted with data that the known errors do not explain"
	if len(data) < 4 || len(data) > maxRevertData {
		return out
	}
	for _, e := range append(builtin(), a.errors...) {
		if e.selector() != [4]byte(data[:4]) {
			continue
		}
		values, err := e.arguments.Unpack(data[4:])
		if err != nil || len(values) != len(e.parameters) {
			continue
		}
		out.Name, out.Signature = e.name, e.Signature()
		for i, v := range values {
			out.Arguments = append(out.Arguments, Value{e.parameters[i].Name, e.parameters[i].canonical(), show(reflect.ValueOf(v), e.arguments[i].Type)})
		}
		out.Message = e.message(values, out.Arguments)
		return out
	}
	return out
}

// builtin are the errors that Solidity makes by itself.
func builtin() []Method {
	var out []Method
	for _, signature := range []string{"error Error(string message)", "error Panic(uint256 code)"} {
		var a ABI
		if f, err := parseSignature(signature); err == nil && a.take(f) == nil {
			out = append(out, a.errors...)
		}
	}
	return out
}

// message is one line: the reason of Error, the meaning of Panic, or the error
// with its arguments.
func (m Method) message(values []any, args []Value) string {
	switch m.Signature() {
	case "Error(string)":
		if text, ok := values[0].(string); ok && text != "" {
			return strings.ToValidUTF8(text, "\uFFFD")
		}
		return "reverted with an empty reason"
	case "Panic(uint256)":
		if code, ok := values[0].(*big.Int); ok {
			return panicMeaning(code)
		}
	}
	parts := make([]string, len(args))
	for i, a := range args {
		parts[i] = fmt.Sprint(a.Value)
		if a.Name != "" {
			parts[i] = a.Name + ": " + parts[i]
		}
	}
	return m.name + "(" + strings.Join(parts, ", ") + ")"
}

// panicMeaning explains the codes that the Solidity documentation lists under
// "Panic via assert and Error via require".
func panicMeaning(code *big.Int) string {
	meaning := map[uint64]string{
		0x00: "panic of the compiler", 0x01: "an assertion failed", 0x11: "arithmetic overflow or underflow", 0x12: "division by zero",
		0x21: "a number that is no value of its enum", 0x22: "a wrongly encoded byte array in storage", 0x31: "pop of an empty array",
		0x32: "an index out of bounds", 0x41: "too much memory, or too large an array", 0x51: "a call of an uninitialised function",
	}
	text := "panic"
	if known, ok := meaning[code.Uint64()]; ok && code.IsUint64() {
		text = known
	}
	return fmt.Sprintf("%s (panic 0x%02x)", text, code)
}

// show turns a decoded value into what JSON holds exactly.
func show(v reflect.Value, t abi.Type) any {
	switch t.T {
	case abi.TupleTy:
		out := make([]any, len(t.TupleElems))
		for i, e := range t.TupleElems {
			out[i] = show(v.Field(i), *e)
		}
		return out
	case abi.SliceTy, abi.ArrayTy:
		out := make([]any, v.Len())
		for i := range out {
			out[i] = show(v.Index(i), *t.Elem)
		}
		return out
	case abi.BytesTy:
		return "0x" + hex.EncodeToString(v.Bytes())
	case abi.FixedBytesTy, abi.FunctionTy:
		raw := make([]byte, v.Len())
		reflect.Copy(reflect.ValueOf(raw), v)
		return "0x" + hex.EncodeToString(raw)
	case abi.IntTy, abi.UintTy:
		return fmt.Sprint(v.Interface())
	case abi.StringTy:
		return strings.ToValidUTF8(v.String(), "\uFFFD")
	default:
		if a, ok := v.Interface().(common.Address); ok {
			return a.Hex()
		}
		return v.Interface()
	}
}
