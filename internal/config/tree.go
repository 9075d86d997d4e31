package config

import (
	"errors"
	"fmt"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of a file's tree: aliases can make a small file large.
const (
	maxDepth = 64
	maxNodes = 200_000
)

// place is where something stands in the file; the zero place is nowhere.
type place struct{ line, column int }

// form is what a node looks like.
type form uint8

// The forms.
const (
	empty form = iota
	scalar
	list
	section
)

// String names the form as operators know it.
func (f form) String() string {
	return [...]string{"nothing", "a single value", "a list", "a section"}[f]
}

// node is a value of the file, without anchors, aliases, merges and tags.
type node struct {
	form   form
	at     place
	text   string // of a scalar
	quoted bool   // a scalar that can only be a text
	fields []field
	items  []*node
	size   int // nodes below and including this one
}

// field is one key of a section and its value.
type field struct {
	key   string
	at    place
	value *node
}

// parse reads the text of a file. What it finds wrong goes to the report.
func parse(text []byte, r *report) *node {
	file, err := parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		r.failAt(syntaxError(err))
		return &node{}
	}
	t := &treeBuilder{report: r, anchors: map[string]*node{}}
	root := &node{}
	for _, doc := range file.Docs {
		n := t.build(doc.Body, 0)
		if root.form != empty && n.form != empty {
			r.failAt(n.at, "a second document; a file is one document")
			break
		}
		if n.form != empty {
			root = n
		}
	}
	return root
}

// syntaxError is where a text stops being YAML, and why. The library's excerpt
// of the text is left out: lines of a configuration may hold passwords.
func syntaxError(err error) (place, string) {
	var positioned yaml.Error
	if errors.As(err, &positioned) {
		return placeOf(positioned.GetToken()), positioned.GetMessage()
	}
	return place{}, "this is not YAML"
}

func placeOf(t *token.Token) place {
	if t == nil || t.Position == nil {
		return place{}
	}
	return place{t.Position.Line, t.Position.Column}
}

type treeBuilder struct {
	report  *report
	anchors map[string]*node
	nodes   int
	stopped bool
}

// spend counts nodes; it is false when the file has too many.
func (t *treeBuilder) spend(count int, at place) bool {
	t.nodes += count
	if t.nodes <= maxNodes || t.stopped {
		return !t.stopped
	}
	t.stopped = true
	t.report.failAt(at, fmt.Sprintf("more than %d values, aliases included", maxNodes))
	return false
}

func (t *treeBuilder) build(from ast.Node, depth int) *node {
	if from == nil {
		return &node{}
	}
	at := placeOf(from.GetToken())
	if depth > maxDepth {
		t.report.failAt(at, fmt.Sprintf("nested more than %d levels deep", maxDepth))
		return &node{at: at}
	}
	if !t.spend(1, at) {
		return &node{at: at}
	}
	switch n := from.(type) {
	case *ast.MappingNode:
		return t.section(n.Values, at, depth)
	case *ast.MappingValueNode:
		return t.section([]*ast.MappingValueNode{n}, at, depth)
	case *ast.SequenceNode:
		return t.list(n, at, depth)
	case *ast.AnchorNode:
		built := t.build(n.Value, depth+1)
		if n.Name != nil {
			t.anchors[n.Name.GetToken().Value] = built
		}
		return built
	case *ast.AliasNode:
		return t.alias(n, at)
	case *ast.TagNode:
		return t.build(n.Value, depth+1)
	case *ast.NullNode, *ast.CommentGroupNode, *ast.DirectiveNode:
		return &node{at: at}
	default:
		return &node{form: scalar, at: at, text: scalarText(from), quoted: isText(from), size: 1}
	}
}

// isText says whether a scalar is a text, and no number or truth value.
func isText(from ast.Node) bool {
	switch from.(type) {
	case *ast.StringNode, *ast.LiteralNode:
		return true
	default:
		return false
	}
}

func scalarText(from ast.Node) string {
	switch n := from.(type) {
	case *ast.StringNode:
		return n.Value
	case *ast.LiteralNode:
		if n.Value != nil {
			return n.Value.Value
		}
	}
	if t := from.GetToken(); t != nil {
		return t.Value
	}
	return ""
}

func (t *treeBuilder) list(from *ast.SequenceNode, at place, depth int) *node {
	out := &node{form: list, at: at, size: 1}
	for _, value := range from.Values {
		item := t.build(value, depth+1)
		out.items = append(out.items, item)
		out.size += item.size
	}
	return out
}

func (t *treeBuilder) alias(from *ast.AliasNode, at place) *node {
	if from.Value != nil {
		if built, ok := t.anchors[from.Value.GetToken().Value]; ok && t.spend(built.size, at) {
			return built
		}
	}
	if !t.stopped {
		t.report.failAt(at, "this alias has no anchor before it")
	}
	return &node{at: at}
}

func (t *treeBuilder) section(values []*ast.MappingValueNode, at place, depth int) *node {
	out := &node{form: section, at: at, size: 1}
	seen := map[string]place{}
	var merged []*node
	for _, pair := range values {
		value := t.build(pair.Value, depth+1)
		out.size += value.size
		if pair.Key.IsMergeKey() {
			merged = append(merged, value)
			continue
		}
		key, keyAt := keyOf(pair.Key)
		if len(out.fields) == 0 {
			out.at = keyAt
		}
		if first, twice := seen[key]; twice {
			t.report.failAt(keyAt, fmt.Sprintf("the key %sstands twice, first in line %d", quoted(key), first.line))
			continue
		}
		seen[key] = keyAt
		out.fields = append(out.fields, field{key, keyAt, value})
	}
	for _, from := range merged {
		t.merge(out, from, seen)
	}
	return out
}

// merge adds the keys of a "<<" that the section does not have itself.
func (t *treeBuilder) merge(into, from *node, seen map[string]place) {
	switch from.form {
	case section:
		for _, f := range from.fields {
			if _, has := seen[f.key]; !has {
				seen[f.key] = f.at
				into.fields = append(into.fields, f)
			}
		}
	case list:
		for _, item := range from.items {
			if item.form == section {
				t.merge(into, item, seen)
			}
		}
	case empty:
	case scalar:
		t.report.failAt(from.at, "only sections can be merged")
	}
}

func keyOf(from ast.MapKeyNode) (string, place) {
	if explicit, ok := from.(*ast.MappingKeyNode); ok && explicit.Value != nil {
		return scalarText(explicit.Value), placeOf(explicit.Value.GetToken())
	}
	return scalarText(from), placeOf(from.GetToken())
}
