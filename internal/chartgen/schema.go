package main

import (
	"fmt"
	"maps"
)

// object is a JSON object.
type object map[string]any

func (o object) properties() object {
	properties, _ := o["properties"].(object)
	return properties
}

// closed is the schema of an object that has no other keys.
func closed(properties object) object {
	return object{"type": "object", "additionalProperties": false, "properties": properties}
}

// schema says which values a section may have.
func (s shared) schema(values section) (object, error) {
	properties := make(object)
	for _, name := range values.include {
		group, err := s.group(name)
		if err != nil {
			return nil, err
		}
		included, err := s.schema(group)
		if err != nil {
			return nil, err
		}
		maps.Copy(properties, included.properties())
	}
	for _, f := range values.fields {
		if _, included := properties[f.key]; included && f.text == "" {
			continue // a default of its own for a key of the group
		}
		schema, err := s.fieldSchema(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.key, err)
		}
		properties[f.key] = schema
	}
	return closed(properties), nil
}

func (s shared) group(name string) (section, error) {
	for _, f := range s.groups.fields {
		if f.key == name {
			return f.section, nil
		}
	}
	return section{}, fmt.Errorf("there is no group %q in workload.yaml", name)
}

func (s shared) fieldSchema(f field) (object, error) {
	out := object{}
	switch {
	case f.hasKnownKeys():
		inner, err := s.schema(f.section)
		if err != nil {
			return nil, err
		}
		out = inner
	case f.isMapping():
		out["type"] = "object" // whatever Kubernetes has there
	default:
		if name := typeOf(f.node.Tag); name != "" {
			out["type"] = name
		}
	}
	if f.text == "" {
		return nil, fmt.Errorf("line %d: a comment is missing", f.node.Line)
	}
	out["description"] = f.text
	maps.Copy(out, f.extra)
	return out, nil
}

// typeOf is the type of JSON for a tag of YAML.
func typeOf(tag string) string {
	switch tag {
	case "!!str":
		return "string"
	case "!!int":
		return "integer"
	case "!!float":
		return "number"
	case "!!bool":
		return "boolean"
	case "!!seq":
		return "array"
	}
	return ""
}
