package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/goccy/go-yaml"
)

// maxFileBytes bounds a configuration file.
const maxFileBytes = 4 << 20

// load reads a YAML file into target, which holds the defaults.
func load(path string, getenv func(string) string, target any) error {
	text, err := readFile(path)
	if err != nil {
		return err
	}
	expanded, err := expand(text, getenv)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
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
		return " " + err.Error()
	}
	at := positioned.GetToken().Position
	return fmt.Sprintf("%d:%d: %s", at.Line, at.Column, positioned.GetMessage())
}

// expand replaces ${NAME} and ${NAME:-fallback}. Comments are expanded too, so
// a variable named there counts as used. All unset variables are reported
// together.
func expand(text []byte, getenv func(string) string) ([]byte, error) {
	var out bytes.Buffer
	var missing []error
	rest := string(text)
	for line := 1; ; {
		before, after, found := strings.Cut(rest, "${")
		out.WriteString(before)
		line += strings.Count(before, "\n")
		if !found {
			return out.Bytes(), errors.Join(missing...)
		}
		inside, tail, closed := strings.Cut(after, "}")
		if !closed || strings.Contains(inside, "\n") {
			return nil, fmt.Errorf("line %d: ${ without }", line)
		}
		name, fallback, hasFallback := strings.Cut(inside, ":-")
		value := getenv(name)
		if value == "" {
			value = fallback
			if !hasFallback {
				missing = append(missing, fmt.Errorf("line %d: the environment variable %s is not set", line, name))
			}
		}
		out.WriteString(value)
		rest = tail
	}
}
