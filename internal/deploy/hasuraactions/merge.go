package hasuraactions

import (
	"fmt"
	"maps"
	"slices"

	"sigs.k8s.io/yaml"

	"github.com/slipwayhq/slipway/deploy/hasura"
)

// object is a part of the metadata, with all that is not known here.
type object = map[string]any

// ours are the actions and types as the metadata API takes them.
func ours() (actions []object, types map[string][]object, err error) {
	var file struct {
		Actions []object `json:"actions"`
	}
	if err := yaml.Unmarshal(hasura.Actions, &file); err != nil {
		return nil, nil, fmt.Errorf("read actions.yaml: %w", err)
	}
	schema, err := parse(hasura.Types)
	if err != nil {
		return nil, nil, err
	}
	for _, action := range file.Actions {
		name, _ := action["name"].(string)
		definition, _ := action["definition"].(object)
		operation, found := schema.operations[name]
		if !found || definition == nil {
			return nil, nil, fmt.Errorf("action %q is not the same in actions.yaml and actions.graphql", name)
		}
		definition["arguments"], definition["output_type"], definition["type"] = operation.arguments, operation.result, operation.kind
		if operation.kind == "query" {
			delete(definition, "kind") // only mutations have one
		}
	}
	types = make(map[string][]object)
	for _, name := range slices.Sorted(maps.Keys(schema.types)) {
		t := schema.types[name]
		custom := object{"name": name}
		if t.description != "" {
			custom["description"] = t.description
		}
		if t.section != "scalars" {
			custom["fields"] = t.fields
		}
		types[t.section] = append(types[t.section], custom)
	}
	return file.Actions, types, nil
}

// merge puts actions and types into metadata, in place of those of the same
// name. Permissions that an action has there stay.
func merge(metadata object, actions []object, types map[string][]object) {
	there, _ := metadata["actions"].([]any)
	for _, action := range actions {
		delete(action, "permissions") // there are none of ours
		if old := named(there, action["name"]); old["permissions"] != nil {
			action["permissions"] = old["permissions"]
		}
	}
	metadata["actions"] = replaced(there, actions)
	custom, _ := metadata["custom_types"].(object)
	if custom == nil {
		custom = object{}
	}
	for section, own := range types {
		list, _ := custom[section].([]any)
		custom[section] = replaced(list, own)
	}
	metadata["custom_types"] = custom
}

// replaced is a list with items in place of those of the same name, the others
// in their order.
func replaced(list []any, items []object) []any {
	out := slices.Clone(list)
	for _, item := range items {
		at := slices.IndexFunc(out, func(v any) bool { old, _ := v.(object); return old["name"] == item["name"] })
		if at < 0 {
			out = append(out, item)
			continue
		}
		out[at] = item
	}
	return out
}

func named(list []any, name any) object {
	for _, v := range list {
		if item, _ := v.(object); item["name"] == name {
			return item
		}
	}
	return nil
}
