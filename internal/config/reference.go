package config

import (
	"encoding"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/slipwayhq/slipway/internal/secret"
)

// modulePath is where the sources of a type are found below Section.Root.
const modulePath = "github.com/slipwayhq/slipway/"

// Section is one part of the configuration reference: a struct whose fields
// have yaml tags and doc comments, holding the defaults.
type Section struct {
	Title, Intro string
	// Root is the directory of the module's sources, for the doc comments.
	Root string
	// Defaults is the struct.
	Defaults any
}

// Reference writes sections as Markdown tables: key, type, default and what
// the field's doc comment says. A field without one is an error.
func Reference(sections []Section) (string, error) {
	var out strings.Builder
	for _, s := range sections {
		w := &referenceWriter{root: s.Root, docs: map[string]map[string]string{}}
		w.structure("", reflect.ValueOf(s.Defaults))
		if err := errors.Join(w.errs...); err != nil {
			return "", fmt.Errorf("reference of %s: %w", s.Title, err)
		}
		fmt.Fprintf(&out, "## %s\n\n%s\n\n| key | type | default | meaning |\n|---|---|---|---|\n%s\n", s.Title, s.Intro, w.rows.String())
	}
	return out.String(), nil
}

type referenceWriter struct {
	root string
	docs map[string]map[string]string // by package path; then by "Type.Field"
	rows strings.Builder
	errs []error
}

// structure writes the fields of a struct, each below prefix.
func (w *referenceWriter) structure(prefix string, value reflect.Value) {
	kind := value.Type()
	for i := range kind.NumField() {
		field := kind.Field(i)
		name, option, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if option == "inline" {
			w.structure(prefix, value.Field(i))
			continue
		}
		if name == "" || name == "-" {
			continue
		}
		doc, err := w.doc(kind, field.Name)
		if err != nil {
			w.errs = append(w.errs, err)
		}
		w.field(prefix+name, value.Field(i), withoutName(doc, field.Name))
	}
}

// withoutName drops the field's Go name, with which doc comments begin: readers
// of the reference know the key.
func withoutName(doc, name string) string {
	rest, found := strings.CutPrefix(doc, name+" ")
	if !found {
		return doc
	}
	rest = strings.TrimPrefix(strings.TrimPrefix(rest, "is "), "are ")
	return strings.ToUpper(rest[:1]) + rest[1:]
}

func (w *referenceWriter) field(key string, value reflect.Value, doc string) {
	if value.Kind() == reflect.Pointer {
		value = reflect.Zero(value.Type().Elem())
	}
	kind := value.Type()
	if kind.Kind() == reflect.Slice && kind.Elem().Kind() == reflect.Struct && !isScalar(kind.Elem()) {
		w.row(key, "list", "", doc)
		w.structure(key+"[].", reflect.Zero(kind.Elem()))
		return
	}
	if kind.Kind() == reflect.Map && kind.Elem().Kind() == reflect.Struct && !isScalar(kind.Elem()) {
		w.row(key, "sections by name", "", doc)
		w.structure(key+".<name>.", reflect.Zero(kind.Elem()))
		return
	}
	if kind.Kind() == reflect.Struct && !isScalar(kind) {
		w.row(key, "section", "", doc)
		w.structure(key+".", value)
		return
	}
	w.row(key, typeName(kind), defaultText(value), doc)
}

func (w *referenceWriter) row(key, kind, fallback, doc string) {
	if fallback != "" {
		fallback = "`" + fallback + "`"
	}
	fmt.Fprintf(&w.rows, "| `%s` | %s | %s | %s |\n", key, kind, fallback, strings.ReplaceAll(doc, "|", "\\|"))
}

// isScalar says whether a struct is written as one value.
func isScalar(kind reflect.Type) bool {
	return reflect.PointerTo(kind).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

func typeName(kind reflect.Type) string {
	switch kind {
	case reflect.TypeFor[time.Duration]():
		return "duration"
	case reflect.TypeFor[secret.String]():
		return "secret"
	case reflect.TypeFor[ByteSize]():
		return "size"
	case reflect.TypeFor[AdaptiveDuration]():
		return "duration"
	}
	switch kind.Kind() {
	case reflect.Bool:
		return "boolean"
	case reflect.Float64:
		return "number"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if isScalar(kind) {
			return "text"
		}
		return "number"
	case reflect.Slice:
		return "list of " + typeName(kind.Elem())
	case reflect.Map:
		return "map"
	default:
		return "text"
	}
}

func defaultText(value reflect.Value) string {
	if m, ok := value.Interface().(encoding.TextMarshaler); ok {
		text, err := m.MarshalText()
		if err != nil {
			return ""
		}
		return string(text)
	}
	if value.Type() == reflect.TypeFor[AdaptiveDuration]() {
		return ""
	}
	if value.IsZero() && value.Kind() != reflect.Bool || (value.Kind() == reflect.Slice || value.Kind() == reflect.Map) && value.Len() == 0 {
		return ""
	}
	return fmt.Sprint(value.Interface())
}

// doc finds the doc comment of a field in the sources.
func (w *referenceWriter) doc(kind reflect.Type, field string) (string, error) {
	of, ok := w.docs[kind.PkgPath()]
	if !ok {
		var err error
		if of, err = fieldDocs(filepath.Join(w.root, strings.TrimPrefix(kind.PkgPath(), modulePath))); err != nil {
			return "", err
		}
		w.docs[kind.PkgPath()] = of
	}
	doc := of[kind.Name()+"."+field]
	if doc == "" {
		return "", fmt.Errorf("%s.%s has no doc comment", kind.Name(), field)
	}
	return doc, nil
}

// fieldDocs reads the doc comments of all struct fields in a directory.
func fieldDocs(dir string) (map[string]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read the sources: %w", err)
	}
	docs := map[string]string{}
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, entry.Name()), nil, parser.ParseComments)
		if err != nil {
			return nil, fmt.Errorf("read the sources: %w", err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if s, ok := spec.Type.(*ast.StructType); ok {
				addFieldDocs(docs, spec.Name.Name, s)
			}
			return true
		})
	}
	return docs, nil
}

func addFieldDocs(docs map[string]string, kind string, s *ast.StructType) {
	for _, f := range s.Fields.List {
		text := f.Doc.Text()
		if text == "" {
			text = f.Comment.Text()
		}
		for _, name := range f.Names {
			docs[kind+"."+name.Name] = strings.Join(strings.Fields(text), " ")
		}
	}
}
