package config

import (
	"encoding"
	"errors"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// binder sets the fields of a struct to what a tree says. Keys that the struct
// does not have are left alone: the checker has spoken of them. What is left
// out in the tree keeps its value.
type binder struct{ report *report }

// bind sets the struct that target points at.
func (b binder) bind(n *node, target any) { b.set(reflect.ValueOf(target).Elem(), n, spot{}) }

func (b binder) set(target reflect.Value, n *node, at spot) {
	if whole, ok := target.Addr().Interface().(*JSONValue); ok {
		*whole = jsonOf(n)
		return
	}
	switch {
	case n.form == empty:
	case target.Kind() == reflect.Pointer:
		if target.IsNil() {
			target.Set(reflect.New(target.Type().Elem()))
		}
		b.set(target.Elem(), n, at)
	case target.Kind() == reflect.Slice:
		b.list(target, n, at)
	case target.Kind() == reflect.Map && n.form == section:
		b.named(target, n, at)
	case n.form == scalar:
		if err := setScalar(target, n.text); err != nil {
			b.report.failValue(at.path, n.at, err.Error())
		}
	case n.form == section && target.Kind() == reflect.Struct:
		b.fields(target, n, at)
	case n.form == section && target.Kind() == reflect.Map:
		b.named(target, n, at)
	}
}

func (b binder) list(target reflect.Value, n *node, at spot) {
	if n.form != list { // one value alone
		out := reflect.MakeSlice(target.Type(), 1, 1)
		b.set(out.Index(0), n, at)
		target.Set(out)
		return
	}
	out := reflect.MakeSlice(target.Type(), len(n.items), len(n.items))
	for i, item := range n.items {
		b.set(out.Index(i), item, at.item(i))
	}
	target.Set(out)
}

// named sets a map, whose keys are names of the operator's choice.
func (b binder) named(target reflect.Value, n *node, at spot) {
	out := reflect.MakeMapWithSize(target.Type(), len(n.fields))
	for _, f := range n.fields {
		value := reflect.New(target.Type().Elem()).Elem()
		b.set(value, f.value, at.field(f.key))
		out.SetMapIndex(reflect.ValueOf(f.key), value)
	}
	target.Set(out)
}

func (b binder) fields(target reflect.Value, n *node, at spot) {
	byKey := map[string]int{}
	for i := range target.NumField() {
		name, _, _ := strings.Cut(target.Type().Field(i).Tag.Get("yaml"), ",")
		byKey[name] = i
	}
	for _, f := range n.fields {
		if i, ok := byKey[f.key]; ok && f.key != "" && f.key != "-" {
			b.set(target.Field(i), f.value, at.field(f.key))
		}
	}
}

// setScalar sets one value, or leaves it as it is and says why. Its errors do
// not repeat secrets.
func setScalar(target reflect.Value, text string) error {
	if u, ok := target.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	if target.Type() == reflect.TypeFor[time.Duration]() {
		return put(text, parseDuration, func(d time.Duration) { target.SetInt(int64(d)) })
	}
	switch target.Kind() {
	case reflect.String:
		target.SetString(text)
		return nil
	case reflect.Bool:
		return put(text, parseBool, target.SetBool)
	case reflect.Int:
		return put(text, parseInt, target.SetInt)
	case reflect.Uint64:
		return put(text, parseUint, target.SetUint)
	case reflect.Float64:
		return put(text, parseNumber, target.SetFloat)
	default:
		return errors.New("must be a section")
	}
}

func put[T any](text string, read func(string) (T, error), set func(T)) error {
	value, err := read(text)
	if err == nil {
		set(value)
	}
	return err
}

func parseUint(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 0, 64)
	if err != nil {
		return 0, errors.New("must be a whole number that is not negative")
	}
	return n, nil
}
