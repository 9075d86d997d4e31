package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"
)

// section is a mapping of a values file with the comments of its keys.
type section struct {
	include []string // groups of workload.yaml whose keys it has as well
	fields  []field
}

// field is a key of a section.
type field struct {
	key     string
	text    string         // what the comment says, in one line
	extra   map[string]any // what @schema adds
	section section        // of a mapping
	node    *yaml.Node
}

func (f field) isMapping() bool { return f.node.Kind == yaml.MappingNode }

// hasKnownKeys says whether it is a section whose keys are all described. Those
// whose keys are the user's are empty, or say so with additionalProperties.
func (f field) hasKnownKeys() bool {
	_, open := f.extra["additionalProperties"]
	return f.isMapping() && !open && len(f.section.fields)+len(f.section.include) > 0
}

// value is the default.
func (f field) value() any {
	if f.isMapping() {
		return f.section.value()
	}
	var out any
	if err := f.node.Decode(&out); err != nil {
		panic(err) // it was decoded from text before
	}
	return out
}

func (s section) value() map[string]any {
	out := make(map[string]any, len(s.fields))
	for _, f := range s.fields {
		out[f.key] = f.value()
	}
	return out
}

func readSection(path string) (section, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return section{}, fmt.Errorf("read values: %w", err)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return section{}, fmt.Errorf("%s: %w", path, err)
	}
	if len(document.Content) == 0 || document.Content[0].Kind != yaml.MappingNode {
		return section{}, nil
	}
	out, err := parseSection(document.Content[0])
	if err != nil {
		return section{}, fmt.Errorf("%s: %w", path, err)
	}
	_, out.include, _, err = parseComment(document.HeadComment)
	if err != nil {
		return section{}, fmt.Errorf("%s: %w", path, err)
	}
	return out, nil
}

func parseSection(node *yaml.Node) (section, error) {
	var out section
	for i := 0; i < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		text, include, extra, err := parseComment(key.HeadComment)
		if err != nil {
			return section{}, fmt.Errorf("%s: %w", key.Value, err)
		}
		f := field{key: key.Value, text: text, extra: extra, node: value}
		if f.isMapping() {
			if f.section, err = parseSection(value); err != nil {
				return section{}, fmt.Errorf("%s.%w", key.Value, err)
			}
			f.section.include = include
		}
		out.fields = append(out.fields, f)
	}
	return out, nil
}

// parseComment splits a comment into its text and what its lines with @ say:
// "@include a, b" and "@schema {...}", which is JSON.
func parseComment(comment string) (text string, include []string, extra map[string]any, err error) {
	var words []string
	for line := range strings.Lines(comment) {
		line = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "#"))
		if rest, found := strings.CutPrefix(line, "@include "); found {
			for group := range strings.SplitSeq(rest, ",") {
				include = append(include, strings.TrimSpace(group))
			}
		} else if rest, found := strings.CutPrefix(line, "@schema "); found {
			if err := json.Unmarshal([]byte(rest), &extra); err != nil {
				return "", nil, nil, fmt.Errorf("@schema: %w", err)
			}
		} else if line != "" {
			words = append(words, line)
		}
	}
	return strings.Join(words, " "), include, extra, nil
}

func data2JSON(value any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return nil, fmt.Errorf("write JSON: %w", err)
	}
	return bytes.TrimSpace(out.Bytes()), nil
}
