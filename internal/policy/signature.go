package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ethereum/go-ethereum/accounts/abi"
)

// maxSignature bounds a signature, in bytes.
const maxSignature = 1024

// maxNesting bounds tuples within tuples.
const maxNesting = 8

// parseSignature reads a name and types: transfer(address,uint256). Tuples are
// lists in parentheses. (go-ethereum's own reader panics on what is none.)
func parseSignature(text string) (method, error) {
	wrong := fmt.Errorf("methods %q: must be a selector or a signature such as transfer(address,uint256)", text)
	r := signatureReader{rest: strings.ReplaceAll(text, " ", "")}
	name := r.word()
	list, ok := r.tuple(0)
	if len(text) > maxSignature || name == "" || !ok || r.rest != "" {
		return method{}, wrong
	}
	if extent(list) > maxExtent {
		return method{}, fmt.Errorf("methods %q: its arrays are larger than calldata can be", text)
	}
	var inputs abi.Arguments
	for _, in := range list {
		kind, err := abi.NewType(in.Type, "", in.Components)
		if err != nil || !exists(in) {
			return method{}, fmt.Errorf("methods %q: has a type that does not exist", text)
		}
		inputs = append(inputs, abi.Argument{Name: in.Name, Type: kind})
	}
	made := abi.NewMethod(name, name, abi.Function, "", false, false, inputs, nil)
	return method{selector: made.ID, inputs: inputs}, nil
}

// signatureReader reads from the front of a text.
type signatureReader struct{ rest string }

func (r *signatureReader) take(c string) bool {
	after, ok := strings.CutPrefix(r.rest, c)
	r.rest = after
	return ok
}

// word reads letters, digits, _ and $.
func (r *signatureReader) word() string {
	n := 0
	for n < len(r.rest) && isWord(r.rest[n]) {
		n++
	}
	word := r.rest[:n]
	r.rest = r.rest[n:]
	return word
}

func isWord(c byte) bool {
	return c == '_' || c == '$' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// tuple reads a list of types in parentheses.
func (r *signatureReader) tuple(depth int) ([]abi.ArgumentMarshaling, bool) {
	if depth > maxNesting || !r.take("(") {
		return nil, false
	}
	var out []abi.ArgumentMarshaling
	if r.take(")") {
		return out, true
	}
	for {
		one := abi.ArgumentMarshaling{Name: fmt.Sprintf("field%d", len(out))}
		if strings.HasPrefix(r.rest, "(") {
			var ok bool
			if one.Components, ok = r.tuple(depth + 1); !ok || len(one.Components) == 0 {
				return nil, false
			}
			one.Type = "tuple"
		} else if one.Type = r.word(); one.Type == "" || one.Type == "tuple" {
			return nil, false
		}
		n := len(r.rest) - len(strings.TrimLeft(r.rest, "[]0123456789"))
		one.Type += r.rest[:n]
		r.rest = r.rest[n:]
		out = append(out, one)
		if r.take(")") {
			return out, true
		}
		if !r.take(",") {
			return nil, false
		}
	}
}

// maxExtent bounds the values that the arrays of fixed length hold together:
// 128 KiB of calldata have 4096 words.
const maxExtent = 4096

// extent counts the values of a list; a list of variable length is one.
func extent(list []abi.ArgumentMarshaling) int {
	sum := 0
	for _, in := range list {
		_, suffix := split(in.Type)
		n := max(1, extent(in.Components))
		for _, size := range strings.Split(strings.Trim(suffix, "[]"), "][") {
			length, err := strconv.ParseUint(size, 10, 16)
			if err != nil && size != "" {
				return maxExtent + 1
			}
			if n *= max(1, int(length)); n > maxExtent {
				return n
			}
		}
		if sum += n; sum > maxExtent {
			return sum
		}
	}
	return sum
}

// exists says whether Solidity has the elementary types of an argument.
// (go-ethereum reads uint257 and bytes33 without a word.)
func exists(in abi.ArgumentMarshaling) bool {
	base, _ := split(in.Type)
	if base == "tuple" {
		return !slices.ContainsFunc(in.Components, func(c abi.ArgumentMarshaling) bool { return !exists(c) })
	}
	switch base {
	case "address", "bool", "bytes", "string":
		return true
	}
	for _, kind := range []struct {
		name       string
		step, most int
	}{{"uint", 8, 256}, {"int", 8, 256}, {"bytes", 1, 32}} {
		if size, ok := strings.CutPrefix(base, kind.name); ok {
			n, err := strconv.Atoi(size)
			return err == nil && size == strconv.Itoa(n) && n > 0 && n <= kind.most && n%kind.step == 0
		}
	}
	return false
}

// split takes the arrays off a type.
func split(kind string) (base, arrays string) {
	if at := strings.IndexByte(kind, '['); at >= 0 {
		return kind[:at], kind[at:]
	}
	return kind, ""
}
