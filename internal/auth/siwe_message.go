package auth

import (
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"
)

// signInMessage is a message of EIP-4361, as far as it is needed.
type signInMessage struct {
	domain                      string
	address                     common.Address
	issued, expires, notBefore  time.Time // zero if left out
	uri, chainID, nonce, scheme string
}

var errNoSignIn = errors.New("this is no sign-in message of EIP-4361")

// headline ends the first line of a message.
const headline = " wants you to sign in with your Ethereum account:"

// parseSignIn reads a message strictly by the grammar of EIP-4361: what a
// person did not see in the wallet's own rendering of the message must not
// count.
func parseSignIn(text string) (signInMessage, error) {
	var m signInMessage
	l := lines{rest: strings.Split(text, "\n")}
	first, isHeadline := strings.CutSuffix(l.next(), headline)
	m.domain = first
	if scheme, domain, found := strings.Cut(first, "://"); found {
		m.scheme, m.domain = scheme, domain
	}
	address := l.next()
	m.address = common.HexToAddress(address)
	if !isHeadline || !isDomain(m.domain) || m.address.Hex() != address || l.next() != "" {
		return m, errNoSignIn // the address must be as EIP-55 writes it
	}
	if statement := l.next(); statement != "" && l.next() != "" {
		return m, errNoSignIn
	}
	m.uri = l.field("URI: ")
	version := l.field("Version: ")
	m.chainID = l.field("Chain ID: ")
	m.nonce = l.field("Nonce: ")
	m.issued = l.time("Issued At: ", true)
	m.expires = l.time("Expiration Time: ", false)
	m.notBefore = l.time("Not Before: ", false)
	l.skip("Request ID: ")
	l.resources()
	if l.failed || len(l.rest) > 0 || version != "1" || !isURI(m.uri) || !isDigits(m.chainID) || !isNonce(m.nonce) {
		return m, errNoSignIn
	}
	return m, nil
}

// lines takes a message apart, line by line.
type lines struct {
	rest   []string
	failed bool
}

func (l *lines) next() string {
	if len(l.rest) == 0 {
		l.failed = true
		return ""
	}
	line := l.rest[0]
	l.rest = l.rest[1:]
	return line
}

// field is the value of a line that must come next.
func (l *lines) field(label string) string {
	value, found := strings.CutPrefix(l.next(), label)
	l.failed = l.failed || !found
	return value
}

func (l *lines) has(label string) bool {
	return len(l.rest) > 0 && strings.HasPrefix(l.rest[0], label)
}

func (l *lines) skip(label string) {
	if l.has(label) {
		l.next()
	}
}

// time is the time in a line, in the form of RFC 3339.
func (l *lines) time(label string, isNeeded bool) time.Time {
	if !isNeeded && !l.has(label) {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, l.field(label))
	l.failed = l.failed || err != nil || t.IsZero()
	return t
}

func (l *lines) resources() {
	if !l.has("Resources:") {
		return
	}
	l.failed = l.failed || l.next() != "Resources:"
	for l.has("- ") {
		l.failed = l.failed || !isURI(l.field("- "))
	}
}

func isDomain(s string) bool {
	u, err := url.Parse("//" + s)
	return err == nil && s != "" && u.Host == s
}

func isURI(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme != ""
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// isNonce says whether a text is a nonce: 8 letters and digits at least.
func isNonce(s string) bool {
	const least = 8
	for _, c := range s {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return len(s) >= least
}
