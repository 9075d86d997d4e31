// Package secret holds values that must never be printed.
package secret

import (
	"encoding/json"
	"log/slog"
)

const redacted = "[redacted]"

// String is a secret text. It prints, logs and marshals as "[redacted]";
// Reveal is the only way to its value, so that every use can be found.
//
// The text is held behind a pointer: package fmt prints unexported fields of
// other structs without asking their methods, and of a pointer it prints the
// address.
type String struct{ value *string }

// New wraps a secret text.
func New(value string) String { return String{value: &value} }

// Reveal returns the secret itself.
func (s String) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsEmpty says whether there is no secret.
func (s String) IsEmpty() bool { return s.Reveal() == "" }

// String implements fmt.Stringer.
func (s String) String() string {
	if s.IsEmpty() {
		return ""
	}
	return redacted
}

// GoString implements fmt.GoStringer, for %#v.
func (s String) GoString() string { return s.String() }

// LogValue implements slog.LogValuer.
func (s String) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON implements json.Marshaler.
func (s String) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// MarshalText implements encoding.TextMarshaler, which YAML encoders use.
func (s String) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler, for configuration files
// and environment variables.
func (s *String) UnmarshalText(text []byte) error {
	*s = New(string(text))
	return nil
}
