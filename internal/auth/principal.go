package auth

import (
	"fmt"
	"slices"
	"time"

	"github.com/slipwayhq/slipway/internal/methods"
)

// Principal is a client that is known. It does not change and may be shared by
// many requests.
type Principal struct {
	// User names the client: the id of a secret, the subject of a token, an
	// address. It is empty where everybody is let in.
	User string
	// Strategy is the kind of strategy that knows the client; empty where
	// everybody is let in.
	Strategy Kind
	// Budget is the rate limit budget of the client; empty for none.
	Budget string
	// Expires is when a token ends; zero for never.
	Expires time.Time

	methods MethodFilter
	claims  map[string][]string
}

// Claim is the texts of a claim that JWT.KeepClaims names.
func (p *Principal) Claim(name string) []string { return p.claims[name] }

// Permits says whether the client may call a method.
func (p *Principal) Permits(method string) bool { return p.methods.Permits(method) }

// MethodFilter chooses methods as eRPC does: what is allowed wins over what is
// ignored, and allowing something without ignoring anything ignores the rest.
// The zero MethodFilter permits everything.
type MethodFilter struct{ allow, ignore []methods.Pattern }

// NewMethodFilter reads the patterns of allowMethods and ignoreMethods. A nil
// list was left out.
func NewMethodFilter(allow, ignore []string) (MethodFilter, error) {
	var f MethodFilter
	var err error
	if f.allow, err = patterns(allow); err != nil {
		return MethodFilter{}, fmt.Errorf("allowMethods: %w", err)
	}
	if f.ignore, err = patterns(ignore); err != nil {
		return MethodFilter{}, fmt.Errorf("ignoreMethods: %w", err)
	}
	return f, nil
}

func patterns(texts []string) ([]methods.Pattern, error) {
	var out []methods.Pattern
	for _, text := range texts {
		p, err := methods.ParsePattern(text)
		if err != nil {
			return nil, err //nolint:wrapcheck // the caller names the list
		}
		out = append(out, p)
	}
	return out, nil
}

// Permits says whether a method passes.
func (f MethodFilter) Permits(method string) bool {
	if matchesAny(f.allow, method) {
		return true
	}
	if len(f.allow) > 0 && len(f.ignore) == 0 {
		return false
	}
	return !matchesAny(f.ignore, method)
}

func matchesAny(list []methods.Pattern, method string) bool {
	return slices.ContainsFunc(list, func(p methods.Pattern) bool { return p.Match(method) })
}
