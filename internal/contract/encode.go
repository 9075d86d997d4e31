package contract

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"strings"

	"github.com/ethereum/go-ethereum/accounts/abi"

	"github.com/slipwayhq/slipway/internal/strictjson"
)

// Call makes calldata: the selector and the arguments.
func (m Method) Call(args json.RawMessage, at string) ([]byte, error) {
	encoded, err := m.Encode(args, at)
	if err != nil {
		return nil, err
	}
	selector := m.selector()
	return append(selector[:], encoded...), nil
}

// Encode encodes arguments: a list in the order of the parameters, or an object
// with their names. Nothing (or null) stands for none. Its errors are
// *strictjson.Error with a pointer below at.
func (m Method) Encode(args json.RawMessage, at string) ([]byte, error) {
	if len(args) == 0 || string(args) == "null" {
		args = json.RawMessage("[]")
	}
	parts, err := elements(args, m.parameters, at)
	if err != nil {
		return nil, err
	}
	values := make([]any, len(parts))
	for i, p := range parts {
		v := reflect.New(m.arguments[i].Type.GetType()).Elem()
		if err := convert(p.text, m.arguments[i].Type, m.parameters[i], v, p.at); err != nil {
			return nil, err
		}
		values[i] = v.Interface()
	}
	out, err := m.arguments.Pack(values...)
	if err != nil { // every value was made for its type
		return nil, &strictjson.Error{Pointer: at, Reason: "the arguments could not be encoded"}
	}
	return out, nil
}

func fail(at, format string, args ...any) error {
	return &strictjson.Error{Pointer: at, Reason: fmt.Sprintf(format, args...)}
}

// element is the JSON of one value and its place.
type element struct {
	text json.RawMessage
	at   string
}

// elements brings the values of a tuple, given as a list or by name, into the
// order of its parameters.
func elements(text json.RawMessage, list []parameter, at string) ([]element, error) {
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		return byName(text, list, at)
	}
	var values []json.RawMessage
	if json.Unmarshal(text, &values) != nil || values == nil {
		return nil, fail(at, "must be a list with the values of %s, or an object with their names", shorten(canonical(list)))
	}
	if len(values) != len(list) {
		return nil, fail(at, "has %d values, but %s takes %d", len(values), shorten(canonical(list)), len(list))
	}
	out := make([]element, len(values))
	for i, v := range values {
		out[i] = element{v, strictjson.Index(at, i)}
	}
	return out, nil
}

func byName(text json.RawMessage, list []parameter, at string) ([]element, error) {
	var values map[string]json.RawMessage
	if json.Unmarshal(text, &values) != nil {
		return nil, fail(at, "must be a JSON object")
	}
	out := make([]element, len(list))
	names := make([]string, len(list))
	for i, p := range list {
		v, given := values[p.Name]
		switch {
		case p.Name == "" || slices.Contains(names[:i], p.Name):
			return nil, fail(at, "must be a list: the parameters of %s have no names of their own", shorten(canonical(list)))
		case !given:
			return nil, fail(at, "%q is missing", shorten(p.Name))
		}
		out[i], names[i] = element{v, strictjson.Field(at, p.Name)}, p.Name
	}
	for _, name := range sorted(values) {
		if !slices.Contains(names, name) {
			return nil, fail(strictjson.Field(at, name), "there is no such parameter")
		}
	}
	return out, nil
}

func sorted(m map[string]json.RawMessage) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// convert reads a value of a type into v.
func convert(text json.RawMessage, t abi.Type, p parameter, v reflect.Value, at string) error {
	switch t.T {
	case abi.TupleTy:
		return convertTuple(text, t, p, v, at)
	case abi.SliceTy, abi.ArrayTy:
		return convertList(text, t, p, v, at)
	case abi.IntTy, abi.UintTy:
		return convertInteger(text, t, v, at)
	case abi.BoolTy:
		if s := string(text); s != "true" && s != "false" {
			return fail(at, "must be true or false")
		}
		v.SetBool(string(text) == "true")
		return nil
	case abi.StringTy:
		s, err := textOf(text, t, at)
		v.SetString(s)
		return err
	case abi.AddressTy:
		s, err := textOf(text, t, at)
		if err != nil {
			return err
		}
		a, err := Address(s)
		if err != nil {
			return fail(at, "%s", err.Error())
		}
		v.Set(reflect.ValueOf(a))
		return nil
	default:
		return convertBytes(text, t, v, at)
	}
}

func convertTuple(text json.RawMessage, t abi.Type, p parameter, v reflect.Value, at string) error {
	parts, err := elements(text, p.Components, at)
	if err != nil {
		return err
	}
	for i, part := range parts {
		if err := convert(part.text, *t.TupleElems[i], p.Components[i], v.Field(i), part.at); err != nil {
			return err
		}
	}
	return nil
}

func convertList(text json.RawMessage, t abi.Type, p parameter, v reflect.Value, at string) error {
	var values []json.RawMessage
	if json.Unmarshal(text, &values) != nil || values == nil {
		return fail(at, "must be a list, for %s", shorten(t.String()))
	}
	if t.T == abi.ArrayTy && len(values) != t.Size {
		return fail(at, "has %d values, but %s takes %d", len(values), shorten(t.String()), t.Size)
	}
	for i, text := range values {
		var element reflect.Value
		if t.T == abi.ArrayTy {
			element = v.Index(i)
		} else { // one by one: there is room only for what was read
			element = reflect.New(v.Type().Elem()).Elem()
		}
		if err := convert(text, *t.Elem, p, element, strictjson.Index(at, i)); err != nil {
			return err
		}
		if t.T == abi.SliceTy {
			v.Set(reflect.Append(v, element))
		}
	}
	return nil
}

// textOf reads a JSON text.
func textOf(text json.RawMessage, t abi.Type, at string) (string, error) {
	var s *string
	if json.Unmarshal(text, &s) != nil || s == nil {
		return "", fail(at, "must be a text, for %s", t.String())
	}
	return *s, nil
}

func convertBytes(text json.RawMessage, t abi.Type, v reflect.Value, at string) error {
	s, err := textOf(text, t, at)
	if err != nil {
		return err
	}
	digits, hasPrefix := strings.CutPrefix(s, "0x")
	raw, err := hex.DecodeString(digits)
	if err != nil || !hasPrefix {
		return fail(at, "must be 0x and an even number of hex digits, for %s", t.String())
	}
	if t.T == abi.BytesTy {
		v.SetBytes(raw)
		return nil
	}
	if len(raw) != v.Len() { // a shorter one would have to be padded, and nobody said on which side
		return fail(at, "has %d bytes, but %s takes %d", len(raw), t.String(), v.Len())
	}
	reflect.Copy(v, reflect.ValueOf(raw))
	return nil
}

func convertInteger(text json.RawMessage, t abi.Type, v reflect.Value, at string) error {
	n, err := Integer(text)
	if err != nil {
		return fail(at, "%s, for %s", err.Error(), t.String())
	}
	if !inRange(n, t) {
		return fail(at, "is out of the range of %s", t.String())
	}
	switch v.Kind() {
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(n.Int64())
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(n.Uint64())
	default:
		v.Set(reflect.ValueOf(n))
	}
	return nil
}

// inRange says whether a number is one of an integer type.
func inRange(n *big.Int, t abi.Type) bool {
	if t.T == abi.UintTy {
		return n.Sign() >= 0 && n.BitLen() <= t.Size
	}
	if n.Sign() < 0 { // -2^(size-1) is the least
		return new(big.Int).Not(n).BitLen() < t.Size
	}
	return n.BitLen() < t.Size
}
