package http1

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHead_Parse(t *testing.T) {
	t.Parallel()

	const fields = "Host: node.example:4000\r\nContent-Length: 2\r\n"
	tests := map[string]struct {
		text string
		want verdict
	}{
		"the least":                     {"POST / HTTP/1.1\r\n" + fields + "\r\n", plain},
		"with its body":                 {"POST / HTTP/1.1\r\n" + fields + "\r\n{}", plain},
		"a path and a query":            {"POST /main/evm/1?a=b HTTP/1.1\r\n" + fields + "\r\n", plain},
		"fields in lower case":          {"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n", plain},
		"kept alive":                    {"POST / HTTP/1.1\r\n" + fields + "Connection: Keep-Alive\r\n\r\n", plain},
		"an empty value":                {"POST / HTTP/1.1\r\n" + fields + "X-Nothing:\r\n\r\n", plain},
		"nothing yet":                   {"", incomplete},
		"half a method":                 {"PO", incomplete},
		"half a head":                   {"POST / HTTP/1.1\r\nHost: a\r\n", incomplete},
		"another method":                {"GET / HTTP/1.1\r\n" + fields + "\r\n", other},
		"a method that begins alike":    {"POSTS / HTTP/1.1\r\n" + fields + "\r\n", other},
		"HTTP/2":                        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", other},
		"HTTP/1.0":                      {"POST / HTTP/1.0\r\n" + fields + "\r\n", other},
		"a whole URL":                   {"POST http://a/ HTTP/1.1\r\n" + fields + "\r\n", other},
		"a space in the target":         {"POST /a b HTTP/1.1\r\n" + fields + "\r\n", other},
		"no target":                     {"POST  HTTP/1.1\r\n" + fields + "\r\n", other},
		"chunks":                        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", other},
		"chunks and a length":           {"POST / HTTP/1.1\r\n" + fields + "Transfer-Encoding: chunked\r\n\r\n", other},
		"no length":                     {"POST / HTTP/1.1\r\nHost: a\r\n\r\n", other},
		"two lengths":                   {"POST / HTTP/1.1\r\n" + fields + "Content-Length: 2\r\n\r\n", other},
		"a list of lengths":             {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2, 2\r\n\r\n", other},
		"a signed length":               {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +2\r\n\r\n", other},
		"a length beyond the bound":     {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n", other},
		"no host":                       {"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n", other},
		"two hosts":                     {"POST / HTTP/1.1\r\n" + fields + "Host: b\r\n\r\n", other},
		"a host that is none":           {"POST / HTTP/1.1\r\nHost: a/b\r\nContent-Length: 2\r\n\r\n", other},
		"asked to close":                {"POST / HTTP/1.1\r\n" + fields + "Connection: close\r\n\r\n", other},
		"an upgrade":                    {"POST / HTTP/1.1\r\n" + fields + "Upgrade: h2c\r\n\r\n", other},
		"waits for 100":                 {"POST / HTTP/1.1\r\n" + fields + "Expect: 100-continue\r\n\r\n", other},
		"trailers":                      {"POST / HTTP/1.1\r\n" + fields + "Trailer: X\r\n\r\n", other},
		"a space before the colon":      {"POST / HTTP/1.1\r\n" + fields + "X : y\r\n\r\n", other},
		"a folded line":                 {"POST / HTTP/1.1\r\n" + fields + "X: y\r\n z\r\n\r\n", other},
		"a line without colon":          {"POST / HTTP/1.1\r\n" + fields + "X\r\n\r\n", other},
		"a bare line feed":              {"POST / HTTP/1.1\nHost: a\nContent-Length: 2\r\n\r\n", other},
		"a bare line feed in a value":   {"POST / HTTP/1.1\r\n" + fields + "X: y\nContent-Length: 3\r\n\r\n", other},
		"a carriage return in a value":  {"POST / HTTP/1.1\r\n" + fields + "X: y\rz\r\n\r\n", other},
		"a zero byte":                   {"POST / HTTP/1.1\r\n" + fields + "X: \x00\r\n\r\n", other},
		"too many fields":               {"POST / HTTP/1.1\r\n" + fields + strings.Repeat("X: y\r\n", maxFields) + "\r\n", other},
		"a head beyond the bound":       {"POST / HTTP/1.1\r\n" + fields + "X: " + strings.Repeat("y", maxHead) + "\r\n\r\n", other},
		"a head that will be too large": {"POST / HTTP/1.1\r\n" + fields + "X: " + strings.Repeat("y", maxHead), other},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var h head
			require.Equal(t, test.want, h.parse([]byte(test.text)))
		})
	}
}

// What this package takes, net/http reads in the same way: nobody can smuggle a
// request past what stands before or behind the server.
func FuzzHead_ReadsAsNetHTTP(f *testing.F) {
	f.Add([]byte("POST /main/evm/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nX-A: 1\r\nx-a:  2 \r\n\r\n{}"))
	f.Add([]byte("POST //a/../b?c#d HTTP/1.1\r\nHost: [::1]:80\r\ncontent-length: 00\r\nPragma: no-cache\r\n\r\n"))
	f.Add([]byte("POST /%zz HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"))
	f.Add([]byte("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nAccept-Encoding: gzip\r\nTE: trailers\r\n\r\nGET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		// The request before must not show.
		r := request{empty: http.Request{Method: http.MethodPost, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}}
		for _, text := range [][]byte{[]byte("POST /before HTTP/1.1\r\nHost: before\r\nContent-Length: 0\r\nX-A: before\r\nX-B: b\r\n\r\n"), text, text} {
			var h head
			if h.parse(text) != plain {
				return
			}
			body := text[h.size:min(len(text), h.size+h.length)]
			theirs, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(text)))
			if r.set(&h, body, io.EOF) != nil {
				return // net/http is asked again
			}
			require.NoError(t, err)
			ours := &r.http
			require.Equal(t, theirs.Method, ours.Method)
			require.Equal(t, theirs.URL, ours.URL)
			require.Equal(t, theirs.RequestURI, ours.RequestURI)
			require.Equal(t, theirs.Host, ours.Host)
			require.Equal(t, theirs.Proto, ours.Proto)
			require.Equal(t, theirs.Header, ours.Header)
			require.Equal(t, theirs.ContentLength, ours.ContentLength)
			require.Equal(t, theirs.Close, ours.Close)
			if len(body) < h.length {
				continue
			}
			want, err := io.ReadAll(theirs.Body)
			require.NoError(t, err)
			got, err := io.ReadAll(ours.Body)
			require.NoError(t, err)
			require.Equal(t, string(want), string(got))
		}
	})
}
