package main

import "bytes"

// scanner walks over JSON that is known to be well formed: it comes from the
// load generator, through a proxy that read it.
type scanner struct {
	text []byte
	at   int
}

// peek skips white space and separators and shows the next byte, 0 at the end.
func (s *scanner) peek() byte {
	for s.at < len(s.text) {
		switch c := s.text[s.at]; c {
		case ' ', '\t', '\r', '\n', ',', ':':
			s.at++
		default:
			return c
		}
	}
	return 0
}

// value cuts out the next value.
func (s *scanner) value() []byte {
	first := s.peek()
	begin := s.at
	switch first {
	case '"':
		s.skipText()
	case '{', '[':
		s.skipNested()
	default:
		for s.at < len(s.text) && bytes.IndexByte([]byte(" \t\r\n,:]}"), s.text[s.at]) < 0 {
			s.at++
		}
	}
	return s.text[begin:s.at]
}

func (s *scanner) skipText() {
	for s.at++; s.at < len(s.text); s.at++ {
		switch s.text[s.at] {
		case '\\':
			s.at++
		case '"':
			s.at++
			return
		}
	}
}

func (s *scanner) skipNested() {
	depth := 0
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case '"':
			s.skipText()
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		s.at++
		if depth == 0 {
			return
		}
	}
}

// elements cuts an array into its elements.
func (s *scanner) elements() [][]byte {
	var out [][]byte
	s.at++ // the bracket
	for c := s.peek(); c != 0 && c != ']'; c = s.peek() {
		out = append(out, s.value())
	}
	return out
}

// readCall finds the members of a JSON-RPC call; what is absent is empty, and
// an absent id is null.
func readCall(call []byte) (id, method, params []byte) {
	s := scanner{text: call}
	s.peek()
	s.at++ // the brace
	id = []byte("null")
	for c := s.peek(); c == '"'; c = s.peek() {
		name, value := s.value(), s.value()
		switch string(name) {
		case `"id"`:
			id = value
		case `"method"`:
			method = bytes.Trim(value, `"`)
		case `"params"`:
			params = value
		}
	}
	return id, method, params
}
