package strictjson

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"unicode/utf8"
)

// isFine says that Check, and that checkFit for t, find nothing wrong with the
// names and the nesting of a text; a nil t fits everything. It is one pass over
// the bytes and knows the plain cases only: false means that they have to look.
func isFine(text []byte, t reflect.Type) bool {
	if !utf8.Valid(text) || !json.Valid(text) {
		return false
	}
	w := walker{text: text}
	w.space()
	return w.value(t, 0)
}

// walker walks over well-formed JSON.
type walker struct {
	text []byte
	at   int
}

func (w *walker) space() {
	for w.at < len(w.text) && strings.IndexByte(" \t\r\n", w.text[w.at]) >= 0 {
		w.at++
	}
}

// next steps over one byte and the space behind it.
func (w *walker) next() {
	w.at++
	w.space()
}

func (w *walker) value(t reflect.Type, depth int) bool {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t != nil && reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
		t = nil // it reads itself
	}
	switch w.text[w.at] {
	case '{':
		return depth < MaxDepth && w.object(t, depth)
	case '[':
		return depth < MaxDepth && w.array(t, depth)
	case '"':
		w.word()
	default: // a number, true, false or null: up to what must follow
		if end := bytes.IndexAny(w.text[w.at:], ",]} \t\r\n"); end >= 0 {
			w.at += end
		} else {
			w.at = len(w.text)
		}
	}
	return true
}

func (w *walker) array(t reflect.Type, depth int) bool {
	var element reflect.Type
	if t != nil && t.Kind() == reflect.Slice {
		element = t.Elem()
	}
	w.next()
	for w.text[w.at] != ']' {
		if !w.value(element, depth+1) {
			return false
		}
		w.space()
		if w.text[w.at] == ',' {
			w.next()
		}
	}
	w.at++
	return true
}

// maxNames is how many names of an object are compared with each other here.
const maxNames = 32

func (w *walker) object(t reflect.Type, depth int) bool {
	isFree := t == nil || t.Kind() != reflect.Struct
	var seen [maxNames][]byte
	w.next()
	for n := 0; w.text[w.at] != '}'; n++ {
		name := w.word()
		if n == maxNames || bytes.IndexByte(name, '\\') >= 0 {
			return false
		}
		for _, earlier := range seen[:n] {
			if bytes.Equal(earlier, name) {
				return false
			}
		}
		seen[n] = name
		var field reflect.Type
		if !isFree {
			if field = fieldNamed(t, name); field == nil {
				return false
			}
		}
		w.space()
		w.next() // the colon
		if !w.value(field, depth+1) {
			return false
		}
		w.space()
		if w.text[w.at] == ',' {
			w.next()
		}
	}
	w.at++
	return true
}

// word steps over a string and returns what is between its quotes, as written.
func (w *walker) word() []byte {
	w.at++
	start := w.at
	for w.text[w.at] != '"' {
		if w.text[w.at] == '\\' {
			w.at++
		}
		w.at++
	}
	w.at++
	return w.text[start : w.at-1]
}

// fieldNamed is the type of the field with a name in JSON, nil where there is
// none. Its rules are those of fieldsOf: of two with one name the last counts.
func fieldNamed(t reflect.Type, name []byte) reflect.Type {
	for i := t.NumField() - 1; i >= 0; i-- {
		f := t.Field(i)
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case tag == "-":
		case f.Anonymous && tag == "":
			if inner := fieldNamed(f.Type, name); inner != nil {
				return inner
			}
		case tag != "" && tag == string(name):
			return f.Type
		}
	}
	return nil
}
