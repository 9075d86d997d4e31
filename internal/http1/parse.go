package http1

import (
	"bytes"
	"strings"
)

// Bounds of a plain request.
const (
	// maxRequest is for head and body together. A connection's buffer grows to it
	// at most.
	maxRequest = 64 << 10
	maxHead    = 8 << 10
	maxFields  = 64
)

// verdict says what the bytes read so far are.
type verdict uint8

const (
	incomplete verdict = iota // more bytes may make them plain
	plain                     // a plain request's head; its body may be missing
	other                     // anything else
)

// field is one line of a header.
type field struct{ name, value []byte }

// head is the head of a plain request. Its parts lie in the bytes parsed.
type head struct {
	target, host []byte
	// fields are those of the header but Host, in their order.
	fields []field
	// size is the head's length with the empty line, length the body's.
	size, length int
}

const (
	method  = "POST "
	version = " HTTP/1.1"
)

// parse reads the head of a request. It is strict where readers of HTTP are
// known to differ: what it calls plain, every reader understands in the same way.
func (h *head) parse(b []byte) verdict {
	if start := b[:min(len(b), len(method))]; string(start) != method[:len(start)] {
		return other
	}
	end := bytes.Index(b[:min(len(b), maxHead)], []byte("\r\n\r\n"))
	if end < 0 {
		if len(b) >= maxHead {
			return other
		}
		return incomplete
	}
	h.size = end + 4
	h.fields = h.fields[:0]
	h.host, h.length = nil, -1

	line, rest, _ := bytes.Cut(b[:end+2], []byte("\r\n"))
	var isRequest bool
	if h.target, isRequest = target(line); !isRequest {
		return other
	}
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		if !h.add(line) {
			return other
		}
	}
	if h.host == nil || h.length < 0 || h.size+h.length > maxRequest {
		return other
	}
	return plain
}

// target takes the target out of a request line.
func target(line []byte) ([]byte, bool) {
	if !bytes.HasSuffix(line, []byte(version)) || len(line) <= len(method)+len(version) {
		return nil, false
	}
	target := line[len(method) : len(line)-len(version)]
	for _, c := range target {
		if c <= ' ' || c >= 0x7f {
			return nil, false
		}
	}
	return target, target[0] == '/'
}

// add takes one line of the header. It says whether a plain request may have it.
func (h *head) add(line []byte) bool {
	colon := bytes.IndexByte(line, ':')
	if colon < 0 || len(h.fields) == maxFields {
		return false
	}
	f := field{name: line[:colon], value: bytes.Trim(line[colon+1:], " \t")}
	if !isToken(f.name) || !isValue(f.value) {
		return false
	}
	if is(f.name, "Host") {
		isFirst := h.host == nil
		h.host = f.value
		return isFirst && isHost(f.value)
	}
	h.fields = append(h.fields, f)
	return h.allows(f)
}

// isValue keeps out what some readers take for the end of a line or of a text.
func isValue(value []byte) bool {
	for _, c := range value {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// allows judges the fields that say how a request or a connection is to be read.
func (h *head) allows(f field) bool {
	switch len(f.name) { // most names need not be compared
	case len("Expect"): // as long as Pragma, of which net/http makes a Cache-Control
		return !is(f.name, "Expect") && !is(f.name, "Pragma")
	case len("Upgrade"): // as long as Trailer
		return !is(f.name, "Upgrade") && !is(f.name, "Trailer")
	case len("Connection"):
		return !is(f.name, "Connection") || is(f.value, "keep-alive")
	case len("Content-Length"):
		return !is(f.name, "Content-Length") || h.setLength(f.value)
	case len("Transfer-Encoding"):
		return !is(f.name, "Transfer-Encoding")
	default:
		return true
	}
}

// setLength takes the one Content-Length there may be: digits, few enough that
// they cannot overflow.
func (h *head) setLength(value []byte) bool {
	if h.length >= 0 || len(value) == 0 || len(value) > 7 {
		return false
	}
	n := 0
	for _, c := range value {
		if c < '0' || c > '9' {
			return false
		}
		n = 10*n + int(c-'0')
	}
	h.length = n
	return true
}

// isHost allows names, addresses and ports.
func isHost(value []byte) bool {
	for _, c := range value {
		if !isAlphanumeric(c) && strings.IndexByte("-._:[]", c) < 0 {
			return false
		}
	}
	return len(value) > 0
}

// is compares without regard to case.
func is(b []byte, name string) bool {
	return string(b) == name || len(b) == len(name) && strings.EqualFold(string(b), name)
}

// isToken says whether s is a token (RFC 9110, section 5.6.2), of which the
// names of fields are made.
func isToken[text string | []byte](s text) bool {
	for i := range len(s) {
		if c := s[i]; !isAlphanumeric(c) && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return len(s) > 0
}

func isAlphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
