package contract

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// errSignature says that a text is no signature.
var errSignature = errors.New(`must be a signature such as "transfer(address,uint256)"`)

// parseSignature reads what people write: an optional kind (function, error,
// constructor, event), a name, parameters with or without names, and after them
// anything Solidity allows there, which plays no part in the encoding.
func parseSignature(text string) (fragment, error) {
	f := fragment{Type: "function"}
	rest := strings.TrimSpace(text)
	for _, kind := range []string{"function", "error", "event"} {
		if after, ok := strings.CutPrefix(rest, kind+" "); ok {
			f.Type, rest = kind, strings.TrimSpace(after)
			break
		}
	}
	f.Name, rest = word(rest)
	if f.Name == "constructor" && f.Type == "function" {
		f.Type, f.Name = "constructor", ""
	} else if f.Name == "" {
		return fragment{}, errSignature
	}
	if !strings.HasPrefix(rest, "(") {
		return fragment{}, errSignature
	}
	r := &reader{rest: rest}
	var err error
	if f.Inputs, err = r.tuple(0); err != nil {
		return fragment{}, err
	}
	if !isTail(r.rest) {
		return fragment{}, fmt.Errorf("%w: after the parameters stands something else", errSignature)
	}
	f.Anonymous = slices.Contains(strings.Fields(strings.TrimRight(r.rest, "; \t\n")), "anonymous")
	return f, nil
}

// isTail says whether a text is what Solidity allows after the parameters.
func isTail(text string) bool {
	text, _, _ = strings.Cut(text, "returns")
	for _, w := range strings.Fields(strings.TrimRight(text, "; \t\n")) {
		switch w {
		case "external", "public", "payable", "nonpayable", "view", "pure", "virtual", "override", "anonymous":
		default:
			return false
		}
	}
	return true
}

// reader reads lists of parameters.
type reader struct{ rest string }

func (r *reader) space() { r.rest = strings.TrimLeft(r.rest, " \t\n") }

func (r *reader) take(c string) bool {
	r.space()
	after, ok := strings.CutPrefix(r.rest, c)
	if ok {
		r.rest = after
	}
	return ok
}

// tuple reads a list in parentheses.
func (r *reader) tuple(depth int) ([]parameter, error) {
	if depth > maxDepth {
		return nil, errTooDeep
	}
	list := []parameter{}
	if !r.take("(") {
		return nil, errSignature
	}
	if r.take(")") {
		return list, nil
	}
	for {
		p, err := r.parameter(depth)
		if err != nil {
			return nil, err
		}
		if list = append(list, p); len(list) > maxParameters {
			return nil, errTooMany
		}
		if r.take(")") {
			return list, nil
		}
		if !r.take(",") {
			return nil, fmt.Errorf("%w: a comma or a closing parenthesis is missing", errSignature)
		}
	}
}

// parameter reads a type and the words after it, of which the last that is no
// keyword is the name.
func (r *reader) parameter(depth int) (parameter, error) {
	var p parameter
	r.space()
	if after, ok := strings.CutPrefix(r.rest, "tuple("); ok {
		r.rest = "(" + after
	}
	if strings.HasPrefix(r.rest, "(") {
		var err error
		if p.Components, err = r.tuple(depth + 1); err != nil {
			return p, err
		}
		p.Type = "tuple"
	} else {
		p.Type, r.rest = word(r.rest)
	}
	end := len(r.rest) - len(strings.TrimLeft(r.rest, "[]0123456789"))
	p.Type, r.rest = p.Type+r.rest[:end], r.rest[end:]
	for {
		r.space()
		var w string
		if w, r.rest = word(r.rest); w == "" {
			return p, nil
		}
		switch w {
		case "indexed":
			p.Indexed = true
		case "memory", "calldata", "storage", "payable":
		default:
			if p.Name != "" {
				return p, fmt.Errorf("%w: a parameter has one type and one name", errSignature)
			}
			p.Name = w
		}
	}
}

// word splits an identifier off the front.
func word(s string) (word, rest string) {
	for i := range len(s) {
		c := s[i]
		isLetter := c == '_' || c == '$' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
		if !isLetter && (i == 0 || c < '0' || c > '9') {
			return s[:i], s[i:]
		}
	}
	return s, ""
}
