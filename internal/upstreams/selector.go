package upstreams

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// SelectorError says that a request's choice of nodes cannot be read.
type SelectorError struct{ Reason string }

// Error implements error.
func (e *SelectorError) Error() string { return "selector of upstreams: " + e.Reason }

const (
	maxSelector      = 256 // bytes
	maxSelectorDepth = 16
	// maxSelectors bounds the selectors that are kept: clients write them.
	maxSelectors = 256
)

// selector is a choice of nodes: patterns of ids and tags with * for any run of
// characters, joined by & and |, with ! and parentheses. & binds more tightly
// than |.
type selector interface {
	matches(names []string) bool
}

type (
	selectName string
	selectNot  struct{ of selector }
	selectAll  []selector // &
	selectAny  []selector // |
)

func (s selectName) matches(names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return matchName(string(s), name) })
}

func (s selectNot) matches(names []string) bool { return !s.of.matches(names) }

func (s selectAll) matches(names []string) bool {
	return !slices.ContainsFunc(s, func(of selector) bool { return !of.matches(names) })
}

func (s selectAny) matches(names []string) bool {
	return slices.ContainsFunc(s, func(of selector) bool { return of.matches(names) })
}

// matchName compares a name with a pattern, part for part between the stars.
func matchName(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == name
	}
	name, ok := strings.CutPrefix(name, parts[0])
	if !ok {
		return false
	}
	last := len(parts) - 1
	for _, part := range parts[1:last] {
		at := strings.Index(name, part)
		if at < 0 {
			return false
		}
		name = name[at+len(part):]
	}
	return strings.HasSuffix(name, parts[last])
}

// parseSelector reads a selector.
func parseSelector(text string) (selector, error) {
	if len(text) > maxSelector {
		return nil, &SelectorError{fmt.Sprintf("longer than %d bytes", maxSelector)}
	}
	r := selectorReader{rest: text}
	s, err := r.anyOf(0)
	if err == nil && r.peek() != 0 {
		err = &SelectorError{"a ) without its ("}
	}
	return s, err
}

// selectorReader reads by descending: any of all of one.
type selectorReader struct{ rest string }

// peek skips spaces and gives the next byte, 0 at the end.
func (r *selectorReader) peek() byte {
	r.rest = strings.TrimLeft(r.rest, " \t")
	if r.rest == "" {
		return 0
	}
	return r.rest[0]
}

func (r *selectorReader) anyOf(depth int) (selector, error) {
	return r.joined('|', func(list []selector) selector { return selectAny(list) }, func() (selector, error) {
		return r.joined('&', func(list []selector) selector { return selectAll(list) }, func() (selector, error) { return r.one(depth) })
	})
}

func (r *selectorReader) joined(sign byte, join func([]selector) selector, read func() (selector, error)) (selector, error) {
	var list []selector
	for {
		s, err := read()
		if err != nil {
			return nil, err
		}
		list = append(list, s)
		if r.peek() != sign {
			break
		}
		r.rest = r.rest[1:]
	}
	if len(list) == 1 {
		return list[0], nil
	}
	return join(list), nil
}

func (r *selectorReader) one(depth int) (selector, error) {
	if depth > maxSelectorDepth {
		return nil, &SelectorError{"nested too deeply"}
	}
	switch r.peek() {
	case '!':
		r.rest = r.rest[1:]
		s, err := r.one(depth + 1)
		return selectNot{s}, err
	case '(':
		r.rest = r.rest[1:]
		s, err := r.anyOf(depth + 1)
		if err == nil && r.peek() != ')' {
			err = &SelectorError{"a ( without its )"}
		}
		if err != nil {
			return nil, err
		}
		r.rest = r.rest[1:]
		return s, nil
	}
	end := strings.IndexAny(r.rest, "|&!()")
	if end < 0 {
		end = len(r.rest)
	}
	name := strings.TrimSpace(r.rest[:end])
	if name == "" {
		return nil, &SelectorError{"a name is missing"}
	}
	r.rest = r.rest[end:]
	return selectName(name), nil
}

// selectorCache keeps which nodes a selector means. It is bounded; when it is
// full, it begins afresh.
type selectorCache struct {
	mu     sync.RWMutex
	chosen map[string][]bool
}

// of says which nodes a selector means, by their places; nil means all.
func (c *selectorCache) of(text string, upstreams []*Upstream) ([]bool, error) {
	if text == "" {
		return nil, nil
	}
	c.mu.RLock()
	chosen, ok := c.chosen[text]
	c.mu.RUnlock()
	if ok {
		return chosen, nil
	}
	s, err := parseSelector(text)
	if err != nil {
		return nil, err
	}
	chosen = make([]bool, len(upstreams))
	for i, u := range upstreams {
		chosen[i] = s.matches(append([]string{string(u.id)}, u.endpoint.Tags...))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.chosen == nil || len(c.chosen) >= maxSelectors {
		c.chosen = map[string][]bool{}
	}
	c.chosen[text] = chosen
	return chosen, nil
}
