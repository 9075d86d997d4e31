package config

import (
	_ "embed"
	"strings"
)

// keyTable lists every key of the gateway's file; its head explains the form.
//
//go:embed erpc_keys.txt
var keyTable string

// use is what becomes of a key.
type use byte

// The uses.
const (
	read    use = '+'
	checked use = '~' // read, but without effect yet
	ignored use = '-'
	refused use = '!' // known, and too dangerous to ignore: an error
)

// kind is what values a key takes.
type kind struct {
	base   string // string, bool, int, number, duration, size, any; or the name of a block
	block  bool
	list   bool
	orOne  bool // a list may be one value alone
	byName bool // a section with names of the operator's choice
}

// key is one key of a block.
type key struct {
	name    string
	use     use
	kind    kind
	natural string // the value for which the gateway behaves as asked anyway
	instead string // what happens instead, if the key has no effect
}

// block is a section of the file.
type block struct {
	scalar string // the kind of a single value that may stand for the section
	keys   map[string]key
	others []string // blocks whose keys are its own
}

// schema is all blocks, by name.
type schema map[string]*block

// parseSchema reads a table of keys.
func parseSchema(table string) schema {
	s := schema{}
	var current *block
	for line := range strings.Lines(table) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '@':
			current.others = append(current.others, line[1:])
		case line[0] == byte(read) || line[0] == byte(checked) || line[0] == byte(ignored) || line[0] == byte(refused):
			k := parseKey(line)
			current.keys[k.name] = k
		default:
			name, alone, _ := strings.Cut(line, " ")
			current = &block{scalar: strings.Trim(alone, "()"), keys: map[string]key{}}
			s[name] = current
		}
	}
	return s
}

// parseKey reads "+name kind =natural: what happens instead".
func parseKey(line string) key {
	head, instead, _ := strings.Cut(line, ": ")
	k := key{use: use(head[0]), instead: instead}
	words := strings.Fields(head[1:])
	k.name = words[0]
	k.kind = parseKind(words[1])
	if len(words) > 2 {
		k.natural = strings.TrimPrefix(words[2], "=")
	}
	return k
}

func parseKind(text string) kind {
	var k kind
	text, k.orOne = strings.CutSuffix(text, "?")
	text, k.list = strings.CutSuffix(text, "[]")
	text, k.byName = strings.CutSuffix(text, "{}")
	k.block = strings.HasPrefix(text, "<")
	k.base = strings.Trim(text, "<>")
	return k
}

// find looks up a key of a block.
func (s schema) find(blockName, name string) (key, bool) {
	b, ok := s[blockName]
	if !ok {
		return key{}, false
	}
	if k, ok := b.keys[name]; ok {
		return k, true
	}
	for _, other := range b.others {
		if k, ok := s.find(other, name); ok {
			return k, true
		}
	}
	return key{}, false
}

// names lists the keys of a block.
func (s schema) names(blockName string) []string {
	b, ok := s[blockName]
	if !ok {
		return nil
	}
	var out []string
	for name := range b.keys {
		out = append(out, name)
	}
	for _, other := range b.others {
		out = append(out, s.names(other)...)
	}
	return out
}

// nearest is the name most like a mistyped one; empty if none is like it.
func nearest(mistyped string, names []string) string {
	best, least := "", 1+min(3, len(mistyped)/2)
	for _, name := range names {
		d := distance(strings.ToLower(mistyped), strings.ToLower(name))
		if d < least || d == least && best != "" && name < best {
			best, least = name, d
		}
	}
	return best
}

// distance is the number of letters to add, drop, change or swap with their
// neighbour to make b of a.
func distance(a, b string) int {
	before, previous := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := range len(a) {
		current := make([]int, len(b)+1)
		current[0] = i + 1
		for j := range len(b) {
			change := previous[j]
			if a[i] != b[j] {
				change++
			}
			current[j+1] = min(previous[j+1]+1, current[j]+1, change)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				current[j+1] = min(current[j+1], before[j-1]+1)
			}
		}
		before, previous = previous, current
	}
	return previous[len(b)]
}
