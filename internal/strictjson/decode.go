package strictjson

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Decode reads one JSON value into a pointer, after Check. A name that the
// target does not have, in exactly that spelling, is an error.
func Decode(text []byte, into any) error {
	if isFine(text, reflect.TypeOf(into).Elem()) && json.Unmarshal(text, into) == nil {
		return nil
	}
	return decode(text, into)
}

// decode finds what is wrong, and where.
func decode(text []byte, into any) error {
	if err := check(text); err != nil {
		return err
	}
	f := fit{}
	if err := f.check(text, reflect.TypeOf(into).Elem(), ""); err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil { // all of it was read before
		return wrong("", "the body could not be read")
	}
	return nil
}

// fit checks that values fit types. It holds the fields of the structs that it
// has met, which lists have many of.
type fit map[reflect.Type]map[string]reflect.Type

// check says whether a value fits a type, and where it does not: every name must
// be one of the struct that it fills, every value of its kind.
func (f fit) check(text []byte, t reflect.Type, at string) error {
	readsItself := reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]())
	switch {
	case string(text) == "null":
		return nil
	case readsItself:
		return checkKind(text, t, at)
	case t.Kind() == reflect.Pointer:
		return f.check(text, t.Elem(), at)
	case t.Kind() == reflect.Slice:
		return f.elements(text, t, at)
	case t.Kind() == reflect.Struct:
		return f.fields(text, t, at)
	default:
		return checkKind(text, t, at)
	}
}

// checkKind reads a value for trial.
func checkKind(text []byte, t reflect.Type, at string) error {
	err := json.Unmarshal(text, reflect.New(t).Interface())
	var wrongType *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrongType):
		kind, _, _ := strings.Cut(wrongType.Value, " ") // "number 1.5" without the number
		return wrong(at, "must not be a JSON "+kind)
	default:
		return wrong(at, "could not be read")
	}
}

func (f fit) elements(text []byte, t reflect.Type, at string) error {
	var elements []json.RawMessage
	if json.Unmarshal(text, &elements) != nil {
		return checkKind(text, t, at)
	}
	for i, e := range elements {
		if err := f.check(e, t.Elem(), Index(at, i)); err != nil {
			return err
		}
	}
	return nil
}

func (f fit) fields(text []byte, t reflect.Type, at string) error {
	var object map[string]json.RawMessage
	if json.Unmarshal(text, &object) != nil {
		return checkKind(text, t, at)
	}
	if f[t] == nil {
		f[t] = fieldsOf(t)
	}
	for _, name := range sortedNames(object) {
		field, known := f[t][name]
		if !known {
			return wrong(Field(at, name), unknown(name, sortedNames(f[t])))
		}
		if err := f.check(object[name], field, Field(at, name)); err != nil {
			return err
		}
	}
	return nil
}

// fieldsOf lists the JSON names of a struct, those of embedded structs included.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	out := map[string]reflect.Type{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-":
		case f.Anonymous && name == "":
			for n, inner := range fieldsOf(f.Type) {
				out[n] = inner
			}
		case name != "":
			out[name] = f.Type
		}
	}
	return out
}

func sortedNames[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// longestName bounds what an error repeats of an unknown name.
const longestName = 40

func unknown(name string, known []string) string {
	shown := name
	if len(shown) > longestName {
		shown = strings.ToValidUTF8(shown[:longestName], "") + "…"
	}
	text := fmt.Sprintf("unknown field %q", shown)
	if near := Nearest(name, known); near != "" {
		text += fmt.Sprintf("; did you mean %q?", near)
	}
	return text
}

// Nearest returns the known name that a misspelt one most likely means, "" when
// none is near.
func Nearest(name string, known []string) string {
	if len(name) > longestName {
		return ""
	}
	best, distance := "", 1+max(1, len(name)/3)
	for _, k := range known {
		if d := editDistance(strings.ToLower(name), strings.ToLower(k)); d < distance {
			best, distance = k, d
		}
	}
	return best
}

// editDistance counts the letters to insert, delete, replace or swap with their
// neighbour (the optimal string alignment distance).
func editDistance(a, b string) int {
	older, before := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range before {
		before[j] = j
	}
	for i := 1; i <= len(a); i++ {
		now := make([]int, len(b)+1)
		now[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			now[j] = min(before[j]+1, now[j-1]+1, before[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				now[j] = min(now[j], older[j-2]+1)
			}
		}
		older, before = before, now
	}
	return before[len(b)]
}
