package jsonrpc

import (
	"bytes"
	"errors"
)

// MaxDepth is the deepest nesting of arrays and objects the scanner follows.
// Ethereum's deepest answers (traces of nested calls: one level of object and
// one of array for each of at most 1,024 call frames, EIP-150) fit twice.
const MaxDepth = 4096

var (
	errSyntax   = errors.New("invalid JSON")
	errTooDeep  = errors.New("JSON nested too deeply")
	errNotUTF8  = errors.New("invalid UTF-8")
	errTrailing = errors.New("invalid JSON: data after the top-level value")
)

// scanner walks over one JSON text. It accepts exactly what the grammar of
// RFC 8259 accepts, as encoding/json does (TestScanner_AgreesWithEncodingJSON).
type scanner struct {
	b []byte
	i int
}

func (s *scanner) skipSpace() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return
		}
	}
}

// value steps over one member of a message or a batch and returns its bytes.
func (s *scanner) value() ([]byte, error) {
	start := s.i
	if err := s.skipValue(1); err != nil {
		return nil, err
	}
	return s.b[start:s.i], nil
}

func (s *scanner) skipValue(depth int) error {
	if s.i >= len(s.b) {
		return errSyntax
	}
	switch c := s.b[s.i]; {
	case c == '"':
		return s.skipString()
	case c == '{':
		return s.skipObject(depth)
	case c == '[':
		return s.skipArray(depth)
	case c == '-' || (c >= '0' && c <= '9'):
		return s.skipNumber()
	case c == 't':
		return s.skipLiteral("true")
	case c == 'f':
		return s.skipLiteral("false")
	case c == 'n':
		return s.skipLiteral("null")
	default:
		return errSyntax
	}
}

func (s *scanner) skipLiteral(lit string) error {
	if len(s.b)-s.i < len(lit) || string(s.b[s.i:s.i+len(lit)]) != lit {
		return errSyntax
	}
	s.i += len(lit)
	return nil
}

func (s *scanner) skipObject(depth int) error {
	if depth >= MaxDepth {
		return errTooDeep
	}
	s.i++
	s.skipSpace()
	if s.i < len(s.b) && s.b[s.i] == '}' {
		s.i++
		return nil
	}
	for {
		if err := s.key(); err != nil {
			return err
		}
		if err := s.skipValue(depth + 1); err != nil {
			return err
		}
		more, err := s.comma('}')
		if err != nil || !more {
			return err
		}
	}
}

func (s *scanner) skipArray(depth int) error {
	if depth >= MaxDepth {
		return errTooDeep
	}
	s.i++
	s.skipSpace()
	if s.i < len(s.b) && s.b[s.i] == ']' {
		s.i++
		return nil
	}
	for {
		if err := s.skipValue(depth + 1); err != nil {
			return err
		}
		more, err := s.comma(']')
		if err != nil || !more {
			return err
		}
	}
}

// key steps over a member's name and its colon; the next byte begins the value.
func (s *scanner) key() error {
	if s.i >= len(s.b) || s.b[s.i] != '"' {
		return errSyntax
	}
	if err := s.skipString(); err != nil {
		return err
	}
	s.skipSpace()
	if s.i >= len(s.b) || s.b[s.i] != ':' {
		return errSyntax
	}
	s.i++
	s.skipSpace()
	return nil
}

// comma steps over the separator after a value: true when another value
// follows, false when the closing byte was met.
func (s *scanner) comma(closing byte) (bool, error) {
	s.skipSpace()
	if s.i >= len(s.b) {
		return false, errSyntax
	}
	c := s.b[s.i]
	s.i++
	switch c {
	case ',':
		s.skipSpace()
		return true, nil
	case closing:
		return false, nil
	default:
		return false, errSyntax
	}
}

func (s *scanner) skipString() error {
	s.i++ // the opening quote
	// Long hex strings are the bulk of every answer: find the end first, then
	// look only for what may not stand inside. The end is looked for again only
	// behind an escaped quote; a string full of escapes would else take time
	// that grows with the square of its length.
	quote := -1
	for s.i < len(s.b) {
		if quote < s.i {
			distance := bytes.IndexByte(s.b[s.i:], '"')
			if distance < 0 {
				return errSyntax
			}
			quote = s.i + distance
		}
		special := indexSpecial(s.b[s.i:quote])
		if special < 0 {
			s.i = quote + 1
			return nil
		}
		s.i += special
		if s.b[s.i] != '\\' {
			return errSyntax // a bare control character
		}
		if err := s.skipEscape(); err != nil {
			return err
		}
	}
	return errSyntax
}

// indexSpecial finds the first backslash or control character.
func indexSpecial(run []byte) int {
	for i, c := range run {
		if c < 0x20 || c == '\\' {
			return i
		}
	}
	return -1
}

func (s *scanner) skipEscape() error {
	if len(s.b)-s.i < 2 {
		return errSyntax
	}
	switch s.b[s.i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.i += 2
		return nil
	case 'u':
		if len(s.b)-s.i < 6 {
			return errSyntax
		}
		for _, c := range s.b[s.i+2 : s.i+6] {
			if !isHexDigit(c) {
				return errSyntax
			}
		}
		s.i += 6
		return nil
	default:
		return errSyntax
	}
}

func isHexDigit(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func (s *scanner) skipNumber() error {
	if s.b[s.i] == '-' {
		s.i++
	}
	switch {
	case s.i >= len(s.b):
		return errSyntax
	case s.b[s.i] == '0':
		s.i++
	default:
		if err := s.digits(); err != nil {
			return err
		}
	}
	if s.i < len(s.b) && s.b[s.i] == '.' {
		s.i++
		if err := s.digits(); err != nil {
			return err
		}
	}
	if s.i < len(s.b) && (s.b[s.i] == 'e' || s.b[s.i] == 'E') {
		s.i++
		if s.i < len(s.b) && (s.b[s.i] == '+' || s.b[s.i] == '-') {
			s.i++
		}
		return s.digits()
	}
	return nil
}

// digits steps over one or more decimal digits.
func (s *scanner) digits() error {
	start := s.i
	for s.i < len(s.b) && s.b[s.i] >= '0' && s.b[s.i] <= '9' {
		s.i++
	}
	if s.i == start {
		return errSyntax
	}
	return nil
}

// end checks that only white space is left.
func (s *scanner) end() error {
	s.skipSpace()
	if s.i != len(s.b) {
		return errTrailing
	}
	return nil
}

// Valid says whether text is one well-formed JSON value no deeper than MaxDepth.
func Valid(text []byte) bool {
	s := scanner{b: text}
	s.skipSpace()
	if s.skipValue(0) != nil {
		return false
	}
	return s.end() == nil
}

// Elements returns the elements of a JSON array as slices of it, or nil when
// the text is not a well-formed array.
func Elements(array []byte) [][]byte {
	var out [][]byte
	s := scanner{b: array}
	s.skipSpace()
	if s.i >= len(s.b) || s.b[s.i] != '[' {
		return nil
	}
	s.i++
	s.skipSpace()
	if s.i < len(s.b) && s.b[s.i] == ']' {
		return [][]byte{}
	}
	for {
		v, err := s.value()
		if err != nil {
			return nil
		}
		out = append(out, v)
		more, err := s.comma(']')
		if err != nil {
			return nil
		}
		if !more {
			return out
		}
	}
}

// Element returns element n of a JSON array as a slice of it, or nil when the
// text is no array or has fewer elements. It looks no further than element n.
func Element(array []byte, n int) []byte {
	s := scanner{b: array}
	s.skipSpace()
	if s.i >= len(s.b) || s.b[s.i] != '[' {
		return nil
	}
	s.i++
	s.skipSpace()
	for ; ; n-- {
		v, err := s.value()
		if err != nil {
			return nil
		}
		if n == 0 {
			return v
		}
		more, err := s.comma(']')
		if err != nil || !more {
			return nil
		}
	}
}

// Member returns the value of an object's member as a slice of it, or nil when
// the text is no object or lacks the member. Names are compared as written: an
// escaped spelling of a name is another name.
func Member(object []byte, name string) []byte {
	s := scanner{b: object}
	s.skipSpace()
	if s.i >= len(s.b) || s.b[s.i] != '{' {
		return nil
	}
	s.i++
	s.skipSpace()
	for {
		start := s.i
		if err := s.key(); err != nil {
			return nil
		}
		isIt := bytes.HasPrefix(s.b[start+1:], []byte(name)) && s.b[start+1+len(name)] == '"'
		v, err := s.value()
		if err != nil {
			return nil
		}
		if isIt {
			return v
		}
		more, err := s.comma('}')
		if err != nil || !more {
			return nil
		}
	}
}
