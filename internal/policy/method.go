package policy

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
)

// method is what a rule's text says of a call.
type method struct {
	selector []byte // empty: a call without data
	inputs   abi.Arguments
}

// selectorBytes is the length of a selector.
const selectorBytes = 4

// newMethod reads a selector or a signature, and looks whether the arguments
// that are bound exist.
func newMethod(text string, bounds []Argument) (method, error) {
	if text == "" || strings.HasPrefix(text, "0x") {
		raw, err := hex.DecodeString(strings.TrimPrefix(text, "0x"))
		if err != nil || text != "" && len(raw) != selectorBytes {
			return method{}, fmt.Errorf("methods %q: a selector is 0x and 8 hex digits", text)
		}
		if len(bounds) > 0 {
			return method{}, fmt.Errorf("methods %q: with arguments, a signature is needed", text)
		}
		return method{selector: raw}, nil
	}
	m, err := parseSignature(text)
	if err != nil {
		return method{}, err
	}
	for _, b := range bounds {
		if err := b.fits(m.inputs); err != nil {
			return method{}, fmt.Errorf("methods %q: argument %q: %w", text, b.At, err)
		}
	}
	return m, nil
}

// holds compares calldata with the method and its bounds.
func (m method) holds(data []byte, bounds []Argument) truth {
	if len(m.selector) == 0 {
		return truthOf(len(data) == 0)
	}
	if !bytes.HasPrefix(data, m.selector) {
		return no
	}
	if len(bounds) == 0 {
		return yes
	}
	values, err := m.inputs.UnpackValues(data[selectorBytes:])
	if err != nil {
		return unknown
	}
	all := yes
	for _, b := range bounds {
		path, err := b.path()
		if err != nil || path[0] >= len(values) {
			return unknown
		}
		all = and(all, b.holds(reflect.ValueOf(values[path[0]]), m.inputs[path[0]].Type, path[1:]))
	}
	return all
}

// path is the place of the argument, outermost first.
func (a Argument) path() ([]int, error) {
	var out []int
	for _, part := range strings.Split(a.At, ".") {
		n, err := strconv.ParseUint(part, 10, 8)
		if err != nil {
			return nil, fmt.Errorf("at: must be numbers from 0 with dots between them")
		}
		out = append(out, int(n))
	}
	return out, nil
}

// fits says whether the bound has a meaning for a method.
func (a Argument) fits(inputs abi.Arguments) error {
	path, err := a.path()
	if err != nil {
		return err
	}
	if path[0] >= len(inputs) {
		return fmt.Errorf("the method has %d arguments", len(inputs))
	}
	kind := element(&inputs[path[0]].Type)
	for _, at := range path[1:] {
		if kind.T != abi.TupleTy || at >= len(kind.TupleElems) {
			return fmt.Errorf("there is no such field")
		}
		kind = element(kind.TupleElems[at])
	}
	isNumber := kind.T == abi.IntTy || kind.T == abi.UintTy
	if (a.Min != nil || a.Max != nil) && !isNumber {
		return fmt.Errorf("min and max are for integers, it is %s", kind)
	}
	if a.Min == nil && a.Max == nil && len(a.OneOf) == 0 {
		return fmt.Errorf("min, max or oneOf must be given")
	}
	if kind.T == abi.TupleTy {
		return fmt.Errorf("is a tuple: name one of its fields")
	}
	for _, text := range a.OneOf {
		if _, err := canonical(text, *kind); err != nil {
			return err
		}
	}
	return nil
}

// element is the type of what a list holds, lists of lists included.
func element(kind *abi.Type) *abi.Type {
	for kind.T == abi.SliceTy || kind.T == abi.ArrayTy {
		kind = kind.Elem
	}
	return kind
}

// holds compares a decoded value with the bound. An empty list holds.
func (a Argument) holds(v reflect.Value, kind abi.Type, path []int) truth {
	switch kind.T {
	case abi.SliceTy, abi.ArrayTy:
		all := yes
		for i := range v.Len() {
			all = and(all, a.holds(v.Index(i), *kind.Elem, path))
		}
		return all
	case abi.TupleTy:
		if len(path) == 0 || path[0] >= v.NumField() {
			return unknown
		}
		return a.holds(v.Field(path[0]), *kind.TupleElems[path[0]], path[1:])
	default:
		return a.holdsScalar(v, kind)
	}
}

func (a Argument) holdsScalar(v reflect.Value, kind abi.Type) truth {
	n, isNumber := integer(v)
	if isNumber && (a.Min != nil && n.Cmp(&a.Min.v) < 0 || a.Max != nil && n.Cmp(&a.Max.v) > 0) {
		return no
	}
	if len(a.OneOf) == 0 {
		return yes
	}
	text := show(v)
	return truthOf(slices.ContainsFunc(a.OneOf, func(allowed string) bool {
		c, err := canonical(allowed, kind)
		return err == nil && c == text
	}))
}

func integer(v reflect.Value) (*big.Int, bool) {
	switch n := v.Interface().(type) {
	case *big.Int:
		return n, true
	case uint8, uint16, uint32, uint64:
		return new(big.Int).SetUint64(v.Uint()), true
	case int8, int16, int32, int64:
		return big.NewInt(v.Int()), true
	default:
		return nil, false
	}
}

// show is the form of a decoded value that values are compared in.
func show(v reflect.Value) string {
	if n, ok := integer(v); ok {
		return n.String()
	}
	switch value := v.Interface().(type) {
	case common.Address:
		return value.Hex()
	case string:
		return value
	case bool:
		return strconv.FormatBool(value)
	case []byte:
		return hex.EncodeToString(value)
	}
	if v.Kind() == reflect.Array && v.Type().Elem().Kind() == reflect.Uint8 { // bytes1 to bytes32
		raw := make([]byte, v.Len())
		reflect.Copy(reflect.ValueOf(raw), v)
		return hex.EncodeToString(raw)
	}
	return ""
}

// canonical brings a text of the configuration into the form of show.
func canonical(text string, kind abi.Type) (string, error) {
	switch kind.T {
	case abi.AddressTy:
		a, err := address(text)
		return a.Hex(), err
	case abi.IntTy, abi.UintTy:
		var n Integer
		err := n.UnmarshalText([]byte(text))
		return n.v.String(), err
	case abi.BoolTy:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return "", fmt.Errorf("%q is neither true nor false", text)
		}
		return strconv.FormatBool(b), nil
	case abi.StringTy:
		return text, nil
	case abi.BytesTy, abi.FixedBytesTy:
		raw, err := hex.DecodeString(strings.TrimPrefix(text, "0x"))
		if err != nil || kind.T == abi.FixedBytesTy && len(raw) != kind.Size {
			return "", fmt.Errorf("%q is not of type %s", text, kind)
		}
		return hex.EncodeToString(raw), nil
	default:
		return "", fmt.Errorf("values of type %s cannot be compared", kind)
	}
}
