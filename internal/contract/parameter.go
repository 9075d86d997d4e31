package contract

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/ethereum/go-ethereum/accounts/abi"
)

// parameter is one parameter of a method, or one component of a tuple.
type parameter struct {
	Name       string      `json:"name"`
	Type       string      `json:"type"`
	Components []parameter `json:"components"`
	// Indexed parameters of events stand in topics.
	Indexed bool `json:"indexed"`
}

const (
	// maxDepth bounds how deep tuples and arrays may nest.
	maxDepth = 16
	// maxElements bounds what the fixed arrays of one method may hold in all: the
	// encoder makes room for them before it has seen a value.
	maxElements = 1 << 14
	// maxParameters bounds a list of parameters or components.
	maxParameters = 256
)

// elementary are the types that hold no others. fixed and ufixed are in the
// specification, but no compiler makes them.
var elementary = regexp.MustCompile(`^(address|bool|string|function|bytes([1-9]|[12][0-9]|3[0-2])?|u?int(8|16|24|32|40|48|56|64|72|80|88|96|104|112|120|128|136|144|152|160|168|176|184|192|200|208|216|224|232|240|248|256))$`)

// brackets are the array parts of a type.
var brackets = regexp.MustCompile(`^(\[([1-9][0-9]{0,4})?\])*$`)

var (
	errTooDeep = errors.New("the types nest too deep")
	errTooMany = errors.New("too many parameters")
	errTooBig  = errors.New("the fixed arrays hold too many elements")
)

// argument makes the encoder's form of a parameter. The encoder reads types
// loosely ("uint256 x" is a uint256 with another selector) and may panic on
// sizes, so that the type is checked here first. The names of components play
// no part in the encoding and are left out: some would not pass.
func (p parameter) argument() (abi.Argument, error) {
	m, err := p.marshaling(0)
	if err != nil {
		return abi.Argument{}, err
	}
	t, err := abi.NewType(m.Type, "", m.Components)
	if err != nil { // the check above lets nothing through that fails here
		return abi.Argument{}, fmt.Errorf("unknown type %q", shorten(p.Type))
	}
	return abi.Argument{Name: p.Name, Type: t}, nil
}

func (p parameter) marshaling(depth int) (abi.ArgumentMarshaling, error) {
	base, arrays := p.split()
	out := abi.ArgumentMarshaling{Type: base + arrays}
	if !brackets.MatchString(arrays) || (base != "tuple" && !elementary.MatchString(base)) {
		return out, fmt.Errorf("unknown type %q", shorten(p.Type))
	}
	if depth += strings.Count(arrays, "["); depth > maxDepth {
		return out, errTooDeep
	}
	if len(p.Components) > maxParameters {
		return out, errTooMany
	}
	if base == "tuple" {
		for i, c := range p.Components {
			m, err := c.marshaling(depth + 1)
			if err != nil {
				return out, err
			}
			m.Name = "c" + strconv.Itoa(i)
			out.Components = append(out.Components, m)
		}
	}
	return out, nil
}

// extent measures parameters: how many values their fixed arrays and tuples
// hold in all, and how deep arrays nest.
func extent(list []parameter) (values, arrays int) {
	for _, p := range list {
		base, suffix := p.split()
		n, depth := 1, 0
		if base == "tuple" {
			n, depth = extent(p.Components)
		}
		for _, size := range sizesOf(suffix) {
			n = min(n, maxElements+1) * max(1, size)
			depth++
		}
		values = min(values+n, maxElements+1)
		arrays = max(arrays, depth)
	}
	return values, arrays
}

// split takes a type apart: "uint[2][]" is "uint256" and "[2][]". The two names
// without a size stand for 256 bits, as in Solidity.
func (p parameter) split() (base, arrays string) {
	base = p.Type
	if i := strings.IndexByte(base, '['); i >= 0 {
		base, arrays = base[:i], base[i:]
	}
	if base == "uint" || base == "int" {
		base += "256"
	}
	return base, arrays
}

// sizesOf lists the sizes of the arrays in a type, 0 for those of any length.
func sizesOf(arrays string) []int {
	if arrays == "" {
		return nil
	}
	var out []int
	for _, part := range strings.Split(arrays[1:len(arrays)-1], "][") {
		n, err := strconv.Atoi(part)
		if err != nil {
			n = 0
		}
		out = append(out, n)
	}
	return out
}

// canonical is the type as it stands in a signature.
func (p parameter) canonical() string {
	base, arrays := p.split()
	if base == "tuple" {
		base = canonical(p.Components)
	}
	return base + arrays
}

func canonical(list []parameter) string {
	types := make([]string, len(list))
	for i, p := range list {
		types[i] = p.canonical()
	}
	return "(" + strings.Join(types, ",") + ")"
}

func arguments(list []parameter) (abi.Arguments, error) {
	if len(list) > maxParameters {
		return nil, errTooMany
	}
	for _, p := range list {
		if _, err := p.marshaling(0); err != nil {
			return nil, err
		}
	}
	if values, _ := extent(list); values > maxElements {
		return nil, errTooBig // before the library makes types of them
	}
	out := make(abi.Arguments, len(list))
	for i, p := range list {
		a, err := p.argument()
		if err != nil {
			return nil, err
		}
		out[i] = a
	}
	return out, nil
}

// longestShown bounds what an error repeats of a type or a name.
const longestShown = 60

func shorten(s string) string {
	if len(s) <= longestShown {
		return s
	}
	return strings.ToValidUTF8(s[:longestShown], "") + "…"
}
