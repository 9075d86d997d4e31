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
func (b binder) bind(n *node, target any) { b.set(reflect.ValueOf(target).Elem(), n) }

func (b binder) set(target reflect.Value, n *node) {
	switch {
	case n.form == empty:
	case target.Kind() == reflect.Pointer:
		if target.IsNil() {
			target.Set(reflect.New(target.Type().Elem()))
		}
		b.set(target.Elem(), n)
	case target.Kind() == reflect.Slice:
		b.list(target, n)
	case n.form == scalar:
		if err := setScalar(target, n.text); err != nil {
			b.report.failAt(n.at, err.Error())
		}
	case n.form == section && target.Kind() == reflect.Struct:
		b.fields(target, n)
	}
}

func (b binder) list(target reflect.Value, n *node) {
	items := n.items
	if n.form != list {
		items = []*node{n}
	}
	out := reflect.MakeSlice(target.Type(), len(items), len(items))
	for i, item := range items {
		b.set(out.Index(i), item)
	}
	target.Set(out)
}

func (b binder) fields(target reflect.Value, n *node) {
	byKey := map[string]int{}
	for i := range target.NumField() {
		name, _, _ := strings.Cut(target.Type().Field(i).Tag.Get("yaml"), ",")
		byKey[name] = i
	}
	for _, f := range n.fields {
		if i, ok := byKey[f.key]; ok && f.key != "" && f.key != "-" {
			b.set(target.Field(i), f.value)
		}
	}
}

// setScalar sets one value. Its errors do not repeat secrets.
func setScalar(target reflect.Value, text string) error {
	if u, ok := target.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	if target.Type() == reflect.TypeFor[time.Duration]() {
		d, err := parseDuration(text)
		target.SetInt(int64(d))
		return err
	}
	switch target.Kind() {
	case reflect.String:
		target.SetString(text)
		return nil
	case reflect.Bool:
		v, err := parseBool(text)
		target.SetBool(v)
		return err
	case reflect.Int, reflect.Int64:
		v, err := parseInt(text)
		target.SetInt(v)
		return err
	case reflect.Uint64:
		v, err := strconv.ParseUint(text, 0, 64)
		if err != nil {
			return errors.New("must be a whole number that is not negative")
		}
		target.SetUint(v)
		return nil
	case reflect.Float64:
		v, err := parseNumber(text)
		target.SetFloat(v)
		return err
	default:
		return errors.New("must be a section")
	}
}
