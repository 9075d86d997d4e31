package cache

import (
	"fmt"
	"math/big"
	"strings"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/methods"
)

// ParamPattern chooses requests by one parameter: texts with * for any run of
// characters and alternatives separated by |, as methods.Pattern, or a
// comparison with a number: ">=0x10", "<100". The zero pattern means everything.
type ParamPattern struct {
	text    methods.Pattern
	compare string // "", "=", "<", "<=", ">" or ">="
	number  *big.Int
	written string
}

// ParseParamPattern reads a pattern.
func ParseParamPattern(text string) (ParamPattern, error) {
	p := ParamPattern{written: text}
	rest := strings.TrimSpace(text)
	for _, op := range []string{">=", "<=", ">", "<", "="} {
		after, ok := strings.CutPrefix(rest, op)
		if !ok {
			continue
		}
		number, ok := new(big.Int).SetString(strings.TrimSpace(after), 0)
		if !ok {
			return ParamPattern{}, fmt.Errorf("%q is no comparison: write a number such as 0x10 behind %s", text, op)
		}
		p.compare, p.number = op, number
		return p, nil
	}
	if rest == "" || rest == "*" {
		return p, nil
	}
	var err error
	if p.text, err = methods.ParsePattern(rest); err != nil {
		return ParamPattern{}, fmt.Errorf("%q is no pattern of a parameter: write a text with *, texts separated by |, or a comparison such as >=0x10", text)
	}
	return p, nil
}

// String is the pattern as it was written.
func (p ParamPattern) String() string { return p.written }

// match holds a parameter, as JSON text, against the pattern.
func (p ParamPattern) match(param []byte) bool {
	if p.compare == "" && p.text.String() == "" {
		return true
	}
	text := strings.Trim(string(param), `"`)
	if p.compare == "" {
		return p.text.Match(text)
	}
	number, ok := new(big.Int).SetString(text, 0)
	if !ok {
		return false
	}
	c := number.Cmp(p.number)
	switch p.compare {
	case "=":
		return c == 0
	case "<":
		return c < 0
	case "<=":
		return c <= 0
	case ">":
		return c > 0
	default:
		return c >= 0
	}
}

// meansParams says whether every pattern means the parameter at its place. A
// parameter that was left out is only meant by a pattern for everything.
func (p *Policy) meansParams(params []byte) bool {
	for i, pattern := range p.Params {
		if !pattern.match(jsonrpc.Element(params, i)) {
			return false
		}
	}
	return true
}
