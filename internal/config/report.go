package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// report collects what is wrong with a file, or without effect in it, with its
// place.
type report struct {
	file     string
	places   map[string]place // by path: projects[0].networks[0].evm
	problems []finding
	warnings []*finding
	byKey    map[string]*finding // warnings, by key
	wrong    map[string]bool     // paths of which something was said already
}

// finding is one remark about a file.
type finding struct {
	at    place
	text  string
	count int
}

func newReport(file string) *report {
	return &report{file: file, places: map[string]place{}, byKey: map[string]*finding{}, wrong: map[string]bool{}}
}

// failAt adds a problem at a place. Of several at one place the first is kept:
// the others follow from it.
func (r *report) failAt(at place, text string) {
	if at != (place{}) && slices.ContainsFunc(r.problems, func(f finding) bool { return f.at == at }) {
		return
	}
	r.problems = append(r.problems, finding{at: at, text: text})
}

// failValue adds a problem of the value at path, which stands at a place. What
// follows from it is not reported.
func (r *report) failValue(path string, at place, text string) {
	if !r.wrong[path] {
		r.wrong[path] = true
		r.failAt(at, strings.TrimPrefix(path+": ", ": ")+text)
	}
}

// fail adds a problem of the value at path. It stands where the value stands,
// or the nearest section around it.
func (r *report) fail(path, format string, args ...any) {
	if r.wrong[path] {
		return
	}
	at, isExact := r.places[path]
	for outer := path; !isExact && at == (place{}); {
		end := strings.LastIndexAny(outer, ".[")
		if end < 0 {
			break
		}
		outer = outer[:end]
		at = r.places[outer]
	}
	text := path + ": " + fmt.Sprintf(format, args...)
	if isExact {
		r.failAt(at, text)
		return
	}
	r.problems = append(r.problems, finding{at: at, text: text})
}

// warn adds a warning about a key: once, at its first place.
func (r *report) warn(key string, at place, text string) {
	if known, ok := r.byKey[key]; ok {
		known.count++
		return
	}
	f := &finding{at: at, text: key + ": " + text, count: 1}
	r.byKey[key] = f
	r.warnings = append(r.warnings, f)
}

// err is all problems in the order of the file, one in a line.
func (r *report) err() error {
	slices.SortStableFunc(r.problems, func(a, b finding) int { return compare(a.at, b.at) })
	errs := make([]error, 0, len(r.problems))
	for _, p := range r.problems {
		errs = append(errs, errors.New(r.line(p)))
	}
	return errors.Join(errs...)
}

// texts is all warnings in the order of the file.
func (r *report) texts() []string {
	slices.SortStableFunc(r.warnings, func(a, b *finding) int { return compare(a.at, b.at) })
	var out []string
	for _, w := range r.warnings {
		text := r.line(*w)
		if w.count > 1 {
			text += fmt.Sprintf(" (%d times)", w.count)
		}
		out = append(out, text)
	}
	return out
}

func (r *report) line(f finding) string {
	if f.at == (place{}) {
		return r.file + ": " + f.text
	}
	return fmt.Sprintf("%s:%d:%d: %s", r.file, f.at.line, f.at.column, f.text)
}

func compare(a, b place) int {
	return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.column, b.column))
}

// quoted shows a key, followed by a space. What does not look like a key is not
// shown: it may be a secret that stands in the wrong place.
func quoted(key string) string {
	const most = 40
	for _, c := range key {
		isPlain := c == '_' || c == '-' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !isPlain {
			return ""
		}
	}
	if key == "" || len(key) > most {
		return ""
	}
	return `"` + key + `" `
}
