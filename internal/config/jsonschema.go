package config

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// gatewaySchema is what JSONSchema makes; docgen writes it.
//
//go:embed gateway.schema.json
var gatewaySchema string

// GatewaySchema is the JSON Schema (draft 2020-12) of the gateway's file, for
// editors and for checks in pipelines.
func GatewaySchema() string { return gatewaySchema }

// JSONSchema makes the schema of the table of keys, and its descriptions of
// the doc comments of the structs. Root is the directory of the module's
// sources. The schema is never stricter than the loader: values may be
// variables of the environment, and keys may have no value.
func JSONSchema(root string) (string, error) {
	w := &schemaWriter{
		keys: parseSchema(keyTable), structs: map[string]reflect.Value{},
		docs: &referenceWriter{root: root, docs: map[string]map[string]string{}},
	}
	w.learn("Config", reflect.ValueOf(DefaultGatewayFile()))
	definitions := scalarSchemas()
	for name := range w.keys {
		definitions[name] = w.block(name)
	}
	if err := errors.Join(w.errs...); err != nil {
		return "", fmt.Errorf("JSON Schema: %w", err)
	}
	text, err := json.MarshalIndent(object{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Configuration file of the Slipway gateway",
		"$ref": definition("Config"), "$defs": definitions,
	}, "", "  ")
	if err != nil {
		return "", fmt.Errorf("JSON Schema: %w", err)
	}
	return string(text) + "\n", nil
}

// object is a JSON object.
type object = map[string]any

func definition(name string) string { return "#/$defs/" + name }

// scalarSchemas are the kinds of single values. A text with "${" in it is a
// variable, whose value is not known to an editor.
func scalarSchemas() object {
	texts := func(pattern string) object { return object{"type": "string", "pattern": pattern + `|\$\{`} }
	return object{
		"string":   object{"type": []string{"string", "number", "boolean", "null"}},
		"bool":     object{"anyOf": []object{{"type": []string{"boolean", "null"}}, texts(`^([tT]rue|TRUE|[fF]alse|FALSE)$`)}},
		"int":      object{"anyOf": []object{{"type": []string{"integer", "null"}}, texts(`^[+-]?[0-9][0-9a-fA-FxXoO_]*$`)}},
		"number":   object{"anyOf": []object{{"type": []string{"number", "null"}}, texts(`^[+-]?[0-9.]+([eE][+-]?[0-9]+)?$`)}},
		"duration": object{"anyOf": []object{{"const": 0}, {"type": "null"}, texts(`^([+]?0|[+]?([0-9.]+(ns|us|µs|μs|ms|s|m|h))+)$`)}},
		"size":     object{"anyOf": []object{{"type": []string{"integer", "null"}, "minimum": 0}, texts(`^\s*[0-9]+\s*([kKmMgG]?[bB])?\s*$`)}},
		"any":      object{},
	}
}

// schemaWriter writes the schema of blocks.
type schemaWriter struct {
	keys    schema
	structs map[string]reflect.Value // with the defaults, by the block that they hold
	docs    *referenceWriter
	errs    []error
}

// learn finds the structs of a block and of the blocks below it.
func (w *schemaWriter) learn(block string, value reflect.Value) {
	for value.Kind() == reflect.Pointer || value.Kind() == reflect.Slice || value.Kind() == reflect.Map {
		value = reflect.Zero(value.Type().Elem())
	}
	if _, isKnown := w.structs[block]; isKnown {
		return
	}
	w.structs[block] = value
	for i := range value.NumField() {
		name, _, _ := strings.Cut(value.Type().Field(i).Tag.Get("yaml"), ",")
		if k, ok := w.keys.find(block, name); ok && k.kind.block {
			w.learn(k.kind.base, value.Field(i))
		}
	}
}

func (w *schemaWriter) block(name string) object {
	properties := object{}
	for _, key := range w.keys.names(name) {
		properties[key] = w.property(name, key)
	}
	return object{"type": []string{"object", "null"}, "properties": properties, "additionalProperties": false}
}

// property is one key of a block: its kind, and what is to be said of it.
func (w *schemaWriter) property(block, name string) object {
	k, _ := w.keys.find(block, name)
	out := w.kind(k.kind)
	var said []string
	if doc, fallback := w.field(block, name); doc != "" {
		said = append(said, doc)
		if fallback != "" {
			out["default"] = fallback
		}
		if strings.HasPrefix(doc, "Older ") {
			out["deprecated"] = true
		}
	}
	if w.isLegacy(block, name) {
		out["deprecated"] = true
	}
	if k.instead != "" {
		said = append(said, remarkOf(k))
	}
	if len(said) > 0 {
		out["description"] = strings.Join(said, " ")
	}
	return out
}

// remarkOf says what a key does not do, as a sentence.
func remarkOf(k key) string {
	switch k.use {
	case refused:
		return "Refused: " + k.instead + "."
	case checked:
		return "Checked, without effect yet: " + k.instead + "."
	default:
		return "Without effect: " + k.instead + "."
	}
}

// isLegacy says whether a key comes from a block of old names.
func (w *schemaWriter) isLegacy(block, name string) bool {
	for _, other := range w.keys[block].others {
		if _, ok := w.keys.find(other, name); ok && strings.HasPrefix(other, "Legacy") {
			return true
		}
	}
	return strings.HasPrefix(block, "Legacy")
}

// field is the doc comment of a key's field and its default; both are empty for
// keys without a field.
func (w *schemaWriter) field(block, name string) (doc, fallback string) {
	value, ok := w.structs[block]
	if !ok {
		return "", ""
	}
	for i := range value.NumField() {
		field := value.Type().Field(i)
		if tag, _, _ := strings.Cut(field.Tag.Get("yaml"), ","); tag != name {
			continue
		}
		text, err := w.docs.doc(value.Type(), field.Name)
		if err != nil {
			w.errs = append(w.errs, err)
		}
		if kind := field.Type.Kind(); kind != reflect.Pointer && kind != reflect.Slice && (kind != reflect.Struct || isScalar(field.Type)) {
			fallback = defaultText(value.Field(i))
		}
		return withoutName(text, field.Name), fallback
	}
	return "", ""
}

func (w *schemaWriter) kind(k kind) object {
	one := object{"$ref": definition(k.base)}
	if alone := w.keys[k.base]; k.block && alone.scalar != "" {
		one = object{"anyOf": []object{one, {"$ref": definition(alone.scalar)}}}
	}
	switch {
	case k.byName:
		value := k
		value.byName = false
		return object{"type": []string{"object", "null"}, "additionalProperties": w.kind(value)}
	case k.list && (k.orOne || !k.block): // a list of single values may be one of them
		return object{"anyOf": []object{{"type": []string{"array", "null"}, "items": one}, one}}
	case k.list:
		return object{"type": []string{"array", "null"}, "items": one}
	default:
		return one
	}
}
