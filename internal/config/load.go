package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
)

// maxFileBytes bounds a configuration file.
const maxFileBytes = 4 << 20

// Load reads a YAML file into target, which holds the defaults.
func Load(path string, getenv func(string) string, target any) error {
	text, err := readFile(path)
	if err != nil {
		return err
	}
	r := newReport(path)
	expanded := expand(text, getenv, r)
	if err := r.err(); err != nil {
		return err
	}
	decoder := yaml.NewDecoder(bytes.NewReader(expanded), yaml.Strict())
	if err := decoder.Decode(target); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s:%s", path, describe(err))
	}
	return nil
}

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	if len(text) > maxFileBytes {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, maxFileBytes)
	}
	return text, nil
}

// describe puts a YAML error into "line:column: what". The source excerpt of
// the library is left out: lines of a configuration may hold passwords.
func describe(err error) string {
	var positioned yaml.Error
	if !errors.As(err, &positioned) || positioned.GetToken() == nil || positioned.GetToken().Position == nil {
		return " " + withoutContents(err.Error())
	}
	at := positioned.GetToken().Position
	return fmt.Sprintf("%d:%d: %s", at.Line, at.Column, withoutContents(positioned.GetMessage()))
}

// withoutContents takes out what a message repeats of a file, but for names that
// look like keys: who pastes a mnemonic at the wrong place must not find it in the
// log.
func withoutContents(message string) string {
	from, to := strings.IndexByte(message, '"'), strings.LastIndexByte(message, '"')
	if from < 0 || from == to {
		return message
	}
	isName := strings.HasPrefix(message, "unknown field ") || strings.HasPrefix(message, "mapping key ")
	if isName && quoted(message[from+1:to]) != "" {
		return message
	}
	return message[:from] + "…" + message[to+1:]
}

// expand replaces ${NAME} and ${NAME:-fallback}. Comments are expanded too, so
// a variable named there counts as used. All unset variables are reported.
func expand(text []byte, getenv func(string) string, r *report) []byte {
	var out bytes.Buffer
	rest := string(text)
	at := place{line: 1, column: 1}
	for {
		before, after, found := strings.Cut(rest, "${")
		out.WriteString(before)
		if !found {
			return out.Bytes()
		}
		at = at.after(before)
		inside, tail, closed := strings.Cut(after, "}")
		if !closed || strings.Contains(inside, "\n") {
			r.failAt(at, "${ without }")
			return nil
		}
		name, fallback, hasFallback := strings.Cut(inside, ":-")
		value := getenv(name)
		// Between quotes it is text, whatever is in it; elsewhere it may be a number or a list.
		if strings.HasSuffix(before, `"`) && strings.HasPrefix(tail, `"`) {
			value = strconv.Quote(value)
			value = value[1 : len(value)-1]
		}
		if value == "" {
			value = fallback
			if !hasFallback {
				r.failAt(at, "the environment variable "+name+" is not set")
			}
		}
		out.WriteString(value)
		at = at.after("${" + inside + "}")
		rest = tail
	}
}

// after is where a text ends that begins at p.
func (p place) after(text string) place {
	if end := strings.LastIndexByte(text, '\n'); end >= 0 {
		return place{p.line + strings.Count(text, "\n"), utf8.RuneCountInString(text[end:])}
	}
	return place{p.line, p.column + utf8.RuneCountInString(text)}
}
