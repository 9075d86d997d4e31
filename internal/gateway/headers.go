package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/slipwayhq/slipway/internal/upstreams"
)

// hopByHop are the fields that are about one connection, or the framing of one
// message (RFC 9110, section 7.6.1, and RFC 9112, section 6).
func hopByHop() []string {
	return []string{
		"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer",
		"Transfer-Encoding", "Upgrade", "Http2-Settings", "Host", "Expect", "Date",
		"Content-Length", "Content-Type", "Content-Encoding", "Content-Range", "Accept", "Accept-Encoding",
	}
}

// CheckAnswerHeader says what is wrong with a header field that is to be added
// to every answer. What the gateway writes itself cannot be set.
func CheckAnswerHeader(name, value string) error {
	key := http.CanonicalHeaderKey(name)
	isOwn := slices.Contains([]string{"X-Request-Id", "Retry-After", "Vary", "Allow", "Www-Authenticate"}, key)
	switch {
	case !isToken(name):
		return errors.New("is no name of a header field")
	case strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }):
		return errors.New("the value has characters that a header field cannot hold")
	case slices.Contains(hopByHop(), key):
		return errors.New("belongs to the connection or to the message and cannot be set")
	case isOwn || isOurs(key) || strings.HasPrefix(key, "Access-Control-") || strings.HasPrefix(key, "Sec-Websocket-"):
		return errors.New("is written by the gateway itself")
	default:
		return nil
	}
}

// CheckForwardedHeader says what is wrong with a header field of clients that is
// to go on to the nodes.
func CheckForwardedHeader(name string) error {
	key := http.CanonicalHeaderKey(name)
	switch {
	case !isToken(name) || strings.Contains(name, "*"):
		return errors.New("must be the whole name of a header field")
	case slices.Contains(hopByHop(), key):
		return errors.New("belongs to the connection or to the message and does not go on")
	case key == "User-Agent":
		return errors.New("is the gateway's own towards the nodes")
	case isOurs(key) || strings.HasPrefix(key, "X-Siwe-") || strings.HasPrefix(key, "Sec-Websocket-"):
		return errors.New("is for the gateway and does not go on")
	default:
		return nil
	}
}

func isOurs(key string) bool { return strings.HasPrefix(key, "X-Erpc-") }

// goesOnAnyway says of a field that every request to a node has it where the
// client's has it.
func goesOnAnyway(key string) bool {
	return key == "X-Request-Id" || key == "Traceparent" || key == "Tracestate"
}

// answerHeader is what is added to every answer, in canonical form. Its values
// are shared by all of them and never changed.
func answerHeader(fields map[string]string) http.Header {
	out := make(http.Header, len(fields))
	for name, value := range fields {
		out.Set(name, value)
	}
	return out
}

// maxForwarded bounds, in bytes, the values of a request that go on to nodes:
// with what the gateway adds they stay below the 8 KiB that common servers take
// as a whole head. A longer value does not go on.
const maxForwarded = 4 << 10

// forwarder takes the fields of clients that go on to the nodes.
type forwarder struct{ names []string }

func newForwarder(names []string) forwarder {
	var f forwarder
	for _, name := range names {
		if key := http.CanonicalHeaderKey(name); !goesOnAnyway(key) && !slices.Contains(f.names, key) {
			f.names = append(f.names, key)
		}
	}
	slices.Sort(f.names) // the order in the configuration does not matter for the digest
	return f
}

// forwarded is what of a request's header goes on to the nodes.
type forwarded struct {
	fields []upstreams.Field
	// mark is the same for requests with the same fields.
	mark string
}

// of reads a request's header; nil when nothing of it goes on.
func (f forwarder) of(header http.Header) *forwarded {
	var out forwarded
	digest := sha256.New()
	left := maxForwarded
	for _, name := range f.names {
		for _, value := range header[name] {
			if left -= len(value); left < 0 || !isWithin(value, ' ') {
				continue
			}
			out.fields = append(out.fields, upstreams.Field{Name: name, Value: value})
			_, _ = digest.Write([]byte(name + ":" + value + "\n")) // cannot fail; neither holds a line break
		}
	}
	if out.fields == nil {
		return nil
	}
	out.mark = "@" + hex.EncodeToString(digest.Sum(nil))
	return &out
}
