package hasuraactions

import (
	"fmt"
	"regexp"
	"strings"
)

// document is what actions.graphql says, as the metadata API takes it.
type document struct {
	operations map[string]operation // by name
	types      map[string]customType
}

// operation is a field of Mutation or Query.
type operation struct {
	kind      string // mutation or query
	arguments []field
	result    string
}

// customType is a type of the actions' arguments or results.
type customType struct {
	section     string // of custom_types: input_objects, objects or scalars
	description string
	fields      []field
}

type field struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

var (
	beginning = regexp.MustCompile(`^(type|input) (\w+) \{$`)
	scalar    = regexp.MustCompile(`^scalar (\w+)$`)
	member    = regexp.MustCompile(`^(\w+)(?:\((.*)\))?: (\S+)$`)
	argument  = regexp.MustCompile(`^(\w+): (\S+)$`)
)

// parse reads the part of GraphQL's language that actions.graphql is written
// in: one definition or field a line, descriptions in quotes before it.
func parse(text string) (document, error) {
	out := document{operations: make(map[string]operation), types: make(map[string]customType)}
	at, description := "", ""
	for number, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		begun, named, inside := beginning.FindStringSubmatch(line), scalar.FindStringSubmatch(line), member.FindStringSubmatch(line)
		switch {
		case line == "":
			continue
		case strings.HasPrefix(line, `"`):
			description = strings.Trim(line, `"`)
			continue
		case line == "}":
			at = ""
		case begun != nil:
			at = begun[2]
			if at != "Mutation" && at != "Query" {
				out.types[at] = customType{section: map[string]string{"type": "objects", "input": "input_objects"}[begun[1]], description: description}
			}
		case named != nil:
			out.types[named[1]] = customType{section: "scalars", description: description}
		case at != "" && inside != nil:
			if err := out.add(at, inside[1], inside[2], inside[3]); err != nil {
				return document{}, fmt.Errorf("actions.graphql:%d: %w", number+1, err)
			}
		default:
			return document{}, fmt.Errorf("actions.graphql:%d: it is not understood", number+1)
		}
		description = ""
	}
	return out, nil
}

// add adds a field to the type at.
func (d *document) add(at, name, arguments, result string) error {
	kind := strings.ToLower(at)
	if kind != "mutation" && kind != "query" {
		t := d.types[at]
		t.fields = append(t.fields, field{name, result})
		d.types[at] = t
		return nil
	}
	o := operation{kind: kind, result: result, arguments: []field{}}
	for text := range strings.SplitSeq(arguments, ", ") {
		found := argument.FindStringSubmatch(text)
		if found == nil {
			return fmt.Errorf("arguments of %s are not understood", name)
		}
		o.arguments = append(o.arguments, field{found[1], found[2]})
	}
	d.operations[name] = o
	return nil
}
