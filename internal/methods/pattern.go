package methods

import (
	"fmt"
	"strings"
)

// Pattern chooses methods by name: names with * for any run of characters,
// alternatives separated by |, such as "trace_*|debug_*". A leading ! means
// every method but those. The zero Pattern matches nothing.
type Pattern struct {
	globs []string
	isNot bool
}

// AnyMethod is the pattern that means everything.
func AnyMethod() Pattern { return Pattern{globs: []string{"*"}} }

// ParsePattern reads a pattern.
func ParsePattern(text string) (Pattern, error) {
	rest, isNot := strings.CutPrefix(strings.TrimSpace(text), "!")
	p := Pattern{isNot: isNot}
	for glob := range strings.SplitSeq(rest, "|") {
		glob = strings.TrimSpace(glob)
		if glob == "" || strings.ContainsAny(glob, "!&() \t") {
			return Pattern{}, fmt.Errorf("%q is no pattern of methods: write names with *, separated by |, or ! before all of them", text)
		}
		p.globs = append(p.globs, glob)
	}
	return p, nil
}

// Match says whether the pattern means a method.
func (p Pattern) Match(method string) bool {
	for _, glob := range p.globs {
		if matchGlob(glob, method) {
			return !p.isNot
		}
	}
	return p.isNot
}

// String is the pattern as it was written.
func (p Pattern) String() string {
	text := strings.Join(p.globs, "|")
	if p.isNot {
		return "!" + text
	}
	return text
}

// matchGlob compares a name with a glob in which * stands for any run of
// characters. It goes back only to the last star, so it takes at most
// len(glob) times len(name) steps.
func matchGlob(glob, name string) bool {
	star, resume := -1, 0
	g, n := 0, 0
	for n < len(name) {
		switch {
		case g < len(glob) && glob[g] == '*':
			star, resume = g, n
			g++
		case g < len(glob) && glob[g] == name[n]:
			g++
			n++
		case star >= 0:
			resume++
			g, n = star+1, resume
		default:
			return false
		}
	}
	return strings.Trim(glob[g:], "*") == ""
}
