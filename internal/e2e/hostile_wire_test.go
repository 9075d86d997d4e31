package e2e

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// zeros is a body of a length that nobody should read to its end.
type zeros struct{ left int64 }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left <= 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), z.left)
	for i := range p[:n] {
		p[i] = '0'
	}
	z.left -= n
	return int(n), nil
}

const hundredsOfMB = 200 << 20

// stormStreams sends bodies that are far too large, declared and in chunks.
func (s *hostileSystem) stormStreams(t *testing.T) {
	t.Helper()
	var bomb bytes.Buffer
	w := gzip.NewWriter(&bomb)
	_, err := io.Copy(w, &zeros{hundredsOfMB})
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.Less(t, bomb.Len(), 1<<20, "it passes the limit of bodies")

	send := func(path string, body io.Reader, length int64, header ...string) func() (reply, error) {
		return func() (reply, error) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.signer.url+path, body)
			if err != nil {
				return reply{}, err
			}
			req.ContentLength = length
			req.Header.Set("X-Api-Key", s.key)
			for i := 0; i < len(header); i += 2 {
				req.Header.Set(header[i], header[i+1])
			}
			resp, err := s.client.Do(req)
			if err != nil {
				if isCut(err) { // the answer came, and the connection ended, while the body was sent
					return reply{status: http.StatusNoContent}, nil
				}
				return reply{}, err
			}
			defer resp.Body.Close()
			text, err := io.ReadAll(resp.Body)
			return reply{resp.StatusCode, resp.Header, string(text)}, err
		}
	}
	storm := newStorm(t)
	for _, path := range []string{"/v1/transactions", "/", "/v1/sign/message", "/hasura/actions/sendTransaction"} {
		for range 4 {
			storm.send(path+" declared", send(path, &zeros{hundredsOfMB}, hundredsOfMB), anyForm(path))
			storm.send(path+" in chunks", send(path, &zeros{hundredsOfMB}, -1), anyForm(path))
			storm.send(path+" compressed", send(path, bytes.NewReader(bomb.Bytes()), int64(bomb.Len()), "Content-Encoding", "gzip"), anyForm(path))
			storm.send(path+" compressed, in chunks", send(path, bytes.NewReader(bomb.Bytes()), -1, "Content-Encoding", "gzip", "Content-Type", "application/json"), anyForm(path))
		}
	}
	storm.end()
}

// isCut says whether a connection was ended by the other side.
func isCut(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || strings.Contains(err.Error(), "connection reset") || strings.Contains(err.Error(), "broken pipe") || strings.Contains(err.Error(), "closed network")
}

func (s *hostileSystem) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.signer.url, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

// isCutWithin says whether the signer ends a connection in time; what it says
// before counts as nothing.
func isCutWithin(conn net.Conn, limit time.Duration) error {
	if err := conn.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, conn)
	if err == nil || isCut(err) {
		return nil
	}
	return fmt.Errorf("the connection is open after %s: %w", limit, err)
}

// rawRequests are no HTTP, or what HTTP forbids.
func rawRequests() map[string]string {
	const post = "POST /v1/transactions HTTP/1.1\r\nHost: localhost\r\n"
	return map[string]string{
		"nothing of HTTP":          strings.Repeat("\x00\xff", 4096) + "\r\n\r\n",
		"TLS":                      "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\x00", 600),
		"a long line":              "GET /" + strings.Repeat("a", 1<<20) + " HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"a long header":            post + "X-A: " + strings.Repeat("a", 1<<20) + "\r\n\r\n",
		"many headers":             post + strings.Repeat("X-A: a\r\n", 100_000) + "\r\n",
		"two lengths":              post + "Content-Length: 3\r\nContent-Length: 5\r\nConnection: close\r\n\r\n{}{}{}",
		"length and chunks":        post + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
		"a negative length":        post + "Content-Length: -1\r\nConnection: close\r\n\r\n{}",
		"a length of 2^64":         post + "Content-Length: 18446744073709551616\r\nConnection: close\r\n\r\n{}",
		"a chunk of 2^64":          post + "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\nffffffffffffffffff\r\n{}",
		"chunks of nonsense":       post + "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n{}",
		"an unknown encoding":      post + "Transfer-Encoding: gzip\r\nConnection: close\r\n\r\n{}",
		"a NUL in a header":        post + "X-Api-Key: a\x00b\r\nConnection: close\r\n\r\n",
		"a line feed in a header":  post + "X-Api-Key: a\nb\r\nConnection: close\r\n\r\n",
		"HTTP/3.7":                 "POST / HTTP/3.7\r\nHost: localhost\r\n\r\n",
		"no host":                  "POST / HTTP/1.1\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
		"a long chunk extension":   post + "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n1;" + strings.Repeat("a", 1<<20) + "\r\n{\r\n",
		"a trailer without an end": post + "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n" + strings.Repeat("X-A: a\r\n", 100_000),
	}
}

// slowCut is after how long slow clients are gone: what is longest of the limits
// for header and body (10s and 30s), on a busy machine.
const slowCut = 50 * time.Second

// stormWire speaks with the signer's port directly.
func (s *hostileSystem) stormWire(t *testing.T) {
	t.Helper()
	var wait sync.WaitGroup
	errs := make(chan error, 10_000)
	try := func(what string, do func() error) {
		wait.Go(func() {
			if err := do(); err != nil {
				errs <- fmt.Errorf("%s: %w", what, err)
			}
		})
	}
	for what, text := range rawRequests() {
		conn := s.dial(t)
		try(what, func() error {
			go func() { _, _ = io.WriteString(conn, text) }() // it may be cut before
			return isCutWithin(conn, slowCut)
		})
	}
	// Clients that send a byte now and then, of the header or of the body.
	for _, head := range []string{"", "POST /v1/transactions HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: " + s.key + "\r\nContent-Length: 100000\r\n\r\n", "POST / HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: " + s.key + "\r\nTransfer-Encoding: chunked\r\n\r\n"} {
		for range 60 {
			conn := s.dial(t)
			try("slow writer", func() error {
				_, _ = io.WriteString(conn, head)
				go drip(t.Context(), conn)
				return isCutWithin(conn, slowCut)
			})
		}
	}
	// Clients that ask and ask, and read nothing.
	for range 40 {
		conn := s.dial(t)
		_ = conn.SetWriteDeadline(time.Now().Add(2 * time.Second))
		_, _ = io.WriteString(conn, strings.Repeat("GET /openapi.yaml HTTP/1.1\r\nHost: localhost\r\n\r\n", 2000))
	}
	// Others are served meanwhile.
	for range 50 {
		start := time.Now()
		r, err := s.ask(t, "GET", "/v1/senders", "")
		require.NoError(t, err)
		require.Equal(t, 200, r.status)
		require.Less(t, time.Since(start), slowest)
	}
	wait.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
}

// drip sends a byte each second until the connection ends.
func drip(ctx context.Context, conn net.Conn) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if _, err := conn.Write([]byte("a")); err != nil {
				return
			}
		}
	}
}

// frames are what RFC 6455 forbids, or what is too much. Clients mask with zeros
// here.
func frames() map[string][]byte {
	mask := []byte{0, 0, 0, 0}
	frame := func(first, length byte, rest ...[]byte) []byte {
		return append([]byte{first, length}, bytes.Join(rest, nil)...)
	}
	text := []byte(`{"id":1}`)
	return map[string][]byte{
		"unmasked":                 frame(0x81, 8, text),
		"reserved bits":            frame(0xf1, 0x88, mask, text),
		"an unknown kind":          frame(0x83, 0x88, mask, text),
		"a long ping":              frame(0x89, 0xfe, []byte{0x01, 0x00}, mask, make([]byte, 256)),
		"a ping in pieces":         frame(0x09, 0x80, mask),
		"a length of 2^63":         frame(0x81, 0xff, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, mask),
		"a length of 200 MB":       frame(0x81, 0xff, []byte{0, 0, 0, 0, 0x0c, 0x80, 0, 0}, mask, bytes.Repeat([]byte("a"), 2<<20)),
		"no UTF-8":                 frame(0x81, 0x82, mask, []byte{0xff, 0xfe}),
		"continuation of nothing":  frame(0x80, 0x88, mask, text),
		"a close of one byte":      frame(0x88, 0x81, mask, []byte{3}),
		"a close with a bad code":  frame(0x88, 0x82, mask, []byte{0xff, 0xff}),
		"many pieces":              append(frame(0x01, 0x81, mask, []byte("{")), bytes.Repeat(frame(0x00, 0x81, mask, []byte(" ")), 1<<20+1)...),
		"many pings":               append(bytes.Repeat(frame(0x89, 0x80, mask), 100_000), frame(0x88, 0x80, mask)...),
		"nothing of the protocol":  bytes.Repeat([]byte("GET / HTTP/1.1\r\n"), 1000),
		"an end in a frame's head": frame(0x81, 0xfe),
	}
}

// stormSockets abuses WebSockets: first the protocol, then what is said by it.
func (s *hostileSystem) stormSockets(t *testing.T) {
	t.Helper()
	var wait sync.WaitGroup
	for what, bytes := range frames() {
		conn := s.dial(t)
		_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nX-Api-Key: "+s.key+"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n")
		require.NoError(t, err)
		reader := bufio.NewReader(conn)
		resp, err := http.ReadResponse(reader, nil) //nolint:bodyclose // it is the connection
		require.NoError(t, err)
		require.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode, what)
		wait.Go(func() {
			_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
			_, _ = conn.Write(bytes)
			if half, ok := conn.(*net.TCPConn); ok {
				_ = half.CloseWrite()
			}
			_, _ = io.Copy(io.Discard, reader)
		})
	}
	wait.Wait()

	bodies := []string{"", "[]", "\x00", "{", strings.Repeat("[", 100_000), "[" + strings.Repeat("1,", 99_999) + "1]", `{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["` + strings.Repeat("x", 900_000) + `"]}`}
	for method, params := range rpcSeeds(bob) {
		for _, p := range mutants(t, params, []string{`null`, `-1`, `1e400`, `"\u0000"`, `[[]]`, `{}`}) {
			bodies = append(bodies, `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":`+p+`}`)
		}
	}
	conn, _, err := websocket.Dial(t.Context(), s.signer.url, &websocket.DialOptions{HTTPHeader: http.Header{"X-Api-Key": {s.key}}}) //nolint:bodyclose // the library closes it
	require.NoError(t, err)
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(1 << 24)
	for i, body := range bodies {
		kind := websocket.MessageText
		if i%2 == 1 {
			kind = websocket.MessageBinary
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		require.NoError(t, conn.Write(ctx, kind, []byte(body)), shortened(body))
		_, answer, err := conn.Read(ctx)
		cancel()
		require.NoError(t, err, shortened(body))
		require.NoError(t, judgeRPC(reply{status: 200, body: string(answer)}), shortened(body))
	}
}
