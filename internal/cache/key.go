package cache

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
)

// Key names one answer for ever: the chain, its genesis block, the method and
// the canonical parameters. The genesis hash keeps the answers of a chain apart
// from those of another one with the same chain id, which a development chain
// becomes with each restart. A project with a cache of its own stands in front.
type Key string

// ownProject is how the key of an entry begins that belongs to one project.
const ownProject = "project:"

// project is the project that a key belongs to, empty for none, and the rest.
func (k Key) project() (project, rest string) {
	rest, ok := strings.CutPrefix(string(k), ownProject)
	if !ok {
		return "", string(k)
	}
	project, rest, _ = strings.Cut(rest, ":")
	return project, rest
}

// KeySpace is where the keys of a project with a cache of its own live. The
// empty one is shared.
func KeySpace(project string) string { return ownProject + project + ":" }

// maxPlainParams is how long parameters may be to stand in the key as they
// are. Longer ones, such as the data of a call, stand there as SHA-256.
const maxPlainParams = 256

// NewKey makes the key of a request. Requests with the same meaning as far as
// JSON can tell, that is up to white space and the case of hex digits, have the
// same key. The parameters must be well-formed JSON. Space is empty, or a KeySpace.
func NewKey(space string, chainID uint64, genesis, method string, params []byte) Key {
	var room [512]byte
	b := append(append(room[:0], space...), "evm:"...)
	b = strconv.AppendUint(b, chainID, 10)
	b = append(b, ':')
	b = append(b, genesis[:min(len(genesis), len("0x")+16)]...)
	b = append(b, ':')
	b = append(b, method...)
	b = append(b, ':')
	head := len(b)
	b = appendCanonical(b, params)
	if len(b)-head > maxPlainParams {
		sum := sha256.Sum256(b[head:])
		b = hex.AppendEncode(b[:head], sum[:])
	}
	return Key(b)
}

// appendCanonical appends JSON without insignificant white space and with hex
// texts ("0x…") in lower case. Addresses, hashes, quantities and data mean the
// same in either case in all of Ethereum's JSON-RPC; other texts stay.
func appendCanonical(dst, text []byte) []byte {
	for i := 0; i < len(text); {
		switch c := text[i]; c {
		case ' ', '\t', '\n', '\r':
			i++
		case '"':
			end := stringEnd(text, i)
			dst = appendText(dst, text[i:end])
			i = end
		default:
			dst = append(dst, c)
			i++
		}
	}
	return dst
}

// stringEnd is the index behind the string that begins at i.
func stringEnd(text []byte, i int) int {
	for i++; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}

func appendText(dst, quoted []byte) []byte {
	start := len(dst)
	dst = append(dst, quoted...)
	if len(quoted) < 5 || quoted[1] != '0' || quoted[2] != 'x' {
		return dst
	}
	inside := dst[start+3 : len(dst)-1]
	for _, c := range inside {
		if !isHexDigit(c) {
			return dst
		}
	}
	for i, c := range inside {
		if c >= 'A' && c <= 'F' {
			inside[i] = c + ('a' - 'A')
		}
	}
	return dst
}

func isHexDigit(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}
