package config

import (
	"encoding/json"
	"maps"
	"math"
	"slices"

	"github.com/slipwayhq/slipway/internal/methods"
)

// MethodsFile is a network's section methods.
type MethodsFile struct {
	// Methods by name. What a definition leaves out stays as it is; a method that the gateway does not know becomes a read.
	Definitions map[string]MethodFile `yaml:"definitions,omitempty"`
}

// MethodFile is the definition of a method.
type MethodFile struct {
	// Whether an answer never changes.
	Finalized bool `yaml:"finalized,omitempty"`
	// Whether an answer holds until the next block at most.
	Realtime bool `yaml:"realtime,omitempty"`
	// Whether the node that was asked first keeps state for it: all calls go to that node.
	Stateful bool `yaml:"stateful,omitempty"`
	// Where the block stands in the parameters: [[1]], [[0, blockNumber]], [[0, fromBlock], [0, toBlock]], or [["*"]] where it does not matter.
	ReqRefs JSONValue `yaml:"reqRefs,omitempty"`
	// Where the block stands in the answer: [[number], [hash]], [[blockNumber], [blockHash]], or [[]] for an answer that is one.
	RespRefs JSONValue `yaml:"respRefs,omitempty"`
	// Whether latest may be written as the number of the newest block; left out: true where reqRefs names a block.
	TranslateLatestTag *bool `yaml:"translateLatestTag,omitempty"`
	// Whether safe and finalized may be written as the number of their block; left out: true.
	TranslateFinalizedTag *bool `yaml:"translateFinalizedTag,omitempty"`
	// Whether nodes that do not have the block by blockAvailability are asked later; left out: true.
	EnforceBlockAvailability *bool `yaml:"enforceBlockAvailability,omitempty"`
}

// definitions maps the methods of a network, in the order of their names.
func (f *MethodsFile) definitions(path string, r *report) []methods.Definition {
	if f == nil {
		return nil
	}
	own := methods.New()
	var out []methods.Definition
	for _, name := range slices.Sorted(maps.Keys(f.Definitions)) {
		m, at := f.Definitions[name], path+".definitions."+name
		d := methods.Definition{
			Name: name, Finalized: m.Finalized, Realtime: m.Realtime, Stateful: m.Stateful,
			PinsLatest: m.TranslateLatestTag, PinsFinalized: m.TranslateFinalizedTag, MindsBounds: m.EnforceBlockAvailability,
		}
		d.Block = blockRef(m.ReqRefs, at+".reqRefs", r)
		d.TellsBlock = tellsBlock(m.RespRefs, at+".respRefs", r)
		if err := d.Validate(); err != nil {
			r.fail(at, "%s", err)
			continue
		}
		if !own.IsOpen(name) {
			if !m.isNothingNew() {
				r.warn("projects[].networks[].methods.definitions."+name, r.places[at], "has no effect, the gateway answers, sends or refuses the method in its own way")
			}
			continue
		}
		out = append(out, d)
	}
	return out
}

// isNothingNew says of a method with a way of its own that the definition, as
// eRPC's own table has it, only says what holds anyway.
func (m MethodFile) isNothingNew() bool { return !m.Stateful && m.ReqRefs == "" }

// blockRef reads where the parameters name the block.
func blockRef(text JSONValue, at string, r *report) *methods.BlockRef {
	paths, ok := refs(text)
	if ok && len(paths) == 0 {
		return nil
	}
	if ok {
		if ref := refOf(paths); ref != nil {
			return ref
		}
	}
	r.fail(at, `must be a parameter as [[1]], a member of one as [[0, blockNumber]], a range as [[0, fromBlock], [0, toBlock]], or [["*"]]`)
	return nil
}

// refs reads a list of paths.
func refs(text JSONValue) (paths [][]any, ok bool) {
	if text == "" || text == "null" {
		return nil, true
	}
	return paths, json.Unmarshal([]byte(text), &paths) == nil
}

func refOf(paths [][]any) *methods.BlockRef {
	if len(paths) == 1 && len(paths[0]) == 1 && paths[0][0] == "*" {
		return &methods.BlockRef{IsAny: true}
	}
	var position int8
	var members []string
	for i, path := range paths {
		n, isNumber := float64(-1), false
		if len(path) > 0 {
			n, isNumber = path[0].(float64)
		}
		if !isNumber || n != math.Trunc(n) || n < 0 || n > math.MaxInt8 || i > 0 && int8(n) != position || len(path) > 2 {
			return nil
		}
		position = int8(n)
		if len(path) == 2 {
			member, isText := path[1].(string)
			if !isText || member == "" {
				return nil
			}
			members = append(members, member)
		}
	}
	slices.Sort(members)
	switch {
	case len(paths) == 1 && len(members) == 0:
		return &methods.BlockRef{Position: position}
	case len(paths) == 1:
		return &methods.BlockRef{Position: position, Member: members[0]}
	case len(members) != len(paths):
		return nil
	case slices.Equal(members, []string{"fromBlock", "toBlock"}), slices.Equal(members, []string{"blockHash", "fromBlock", "toBlock"}):
		return &methods.BlockRef{Position: position, IsRange: true}
	default:
		return nil
	}
}

// tellsBlock says whether an answer names its block in a way that is understood.
func tellsBlock(text JSONValue, at string, r *report) bool {
	paths, ok := refs(text)
	if ok && len(paths) == 0 {
		return false
	}
	known, isValue := []string{"number", "hash", "blockNumber", "blockHash"}, len(paths) == 1 && len(paths[0]) == 0
	for _, path := range paths {
		name := ""
		if len(path) == 1 {
			name, _ = path[0].(string)
		}
		ok = ok && (isValue || slices.Contains(known, name))
	}
	if !ok {
		r.fail(at, "must be [[number], [hash]], [[blockNumber], [blockHash]] or [[]]")
	}
	return ok && !isValue
}
