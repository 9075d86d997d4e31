package gatewayapp_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/gatewayapp"
	"github.com/slipwayhq/slipway/internal/upstreams/upstreamtest"
)

// dialRaw opens a connection that ends with the test. No use of it may take longer
// than ten seconds.
func dialRaw(t *testing.T, app *gatewayapp.App) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", app.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	return conn
}

// closeWrite says that nothing more will be sent; answers may still come.
func closeWrite(conn net.Conn) {
	if half, canHalf := conn.(interface{ CloseWrite() error }); canHalf {
		_ = half.CloseWrite()
	}
}

// rawPost is a well-formed request in HTTP/1.1.
func rawPost(body string) string {
	return fmt.Sprintf("POST / HTTP/1.1\r\nHost: gateway\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// rawAnswer is one answer off a connection.
type rawAnswer struct {
	status int
	text   string
	header http.Header
}

// readAnswers reads answers until the gateway closes the connection, count at most.
func readAnswers(t *testing.T, conn net.Conn, count int) (answers []rawAnswer, isClosed bool) {
	t.Helper()
	in := bufio.NewReader(conn)
	for range count {
		response, err := http.ReadResponse(in, nil)
		if err != nil {
			return answers, true
		}
		// What net/http cannot read at all it answers in a line, and resets the
		// connection when there was more.
		text, _ := io.ReadAll(response.Body)
		response.Body.Close()
		answers = append(answers, rawAnswer{response.StatusCode, string(text), response.Header})
	}
	return answers, false
}

func TestHostile_PipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	t.Parallel()

	node := upstreamtest.New(t)
	node.Answer("eth_getBalance", upstreamtest.Result(`"0x2a"`))
	app := start(t, config(node))
	conn := dialRaw(t, app)
	const count = 50
	var all strings.Builder
	for i := range count {
		switch i % 5 {
		case 3:
			all.WriteString(rawPost("nonsense"))
		case 4:
			all.WriteString(rawPost(strings.Replace(balance, "7", fmt.Sprint(i), 1)))
		default:
			all.WriteString(rawPost(call(fmt.Sprint(i))))
		}
	}
	_, err := io.WriteString(conn, all.String())
	require.NoError(t, err)

	answers, isClosed := readAnswers(t, conn, count)
	require.False(t, isClosed)
	for i, answer := range answers {
		switch i % 5 {
		case 3:
			require.Equal(t, 400, answer.status)
			requireError(t, answer.text, parseError, "null")
		case 4:
			require.Equal(t, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"result":"0x2a"}`, i), answer.text)
		default:
			require.Equal(t, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"result":"0x7a69"}`, i), answer.text)
		}
	}
}

// What two readers could frame in two ways is answered once, or refused, and
// the connection ends: whatever stands behind is nobody's request.
func TestHostile_SmugglingShapes(t *testing.T) {
	t.Parallel()

	app := start(t, config(upstreamtest.New(t)))
	body := call("1")
	chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	for name, c := range map[string]struct {
		head, body string
		status     int
	}{
		"two lengths":               {fmt.Sprintf("Content-Length: %d\r\nContent-Length: 4\r\n", len(body)), body, 400},
		"a list of lengths":         {fmt.Sprintf("Content-Length: %d, 4\r\n", len(body)), body, 400},
		"a negative length":         {"Content-Length: -1\r\n", body, 400},
		"a length with plus":        {fmt.Sprintf("Content-Length: +%d\r\n", len(body)), body, 400},
		"a length in hex":           {fmt.Sprintf("Content-Length: 0x%x\r\n", len(body)), body, 400},
		"a length beyond 64 bits":   {"Content-Length: 99999999999999999999\r\n", body, 400},
		"two codings":               {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", chunked, 501},
		"an unknown coding":         {"Transfer-Encoding: xchunked\r\n", chunked, 501},
		"identity, then chunked":    {"Transfer-Encoding: identity, chunked\r\n", chunked, 501},
		"a space before the colon":  {"Transfer-Encoding : chunked\r\n", chunked, 400},
		"a chunk without a size":    {"Transfer-Encoding: chunked\r\n", "\r\n" + body + "\r\n0\r\n\r\n", 400},
		"a chunk of negative size":  {"Transfer-Encoding: chunked\r\n", "-1\r\n" + body + "\r\n0\r\n\r\n", 400},
		"a chunk beyond 64 bits":    {"Transfer-Encoding: chunked\r\n", "fffffffffffffffff\r\n" + body + "\r\n0\r\n\r\n", 400},
		"a chunk longer than said":  {"Transfer-Encoding: chunked\r\n", "4\r\n" + body + "\r\n0\r\n\r\n", 400},
		"a NUL in a header":         {"X: \x00\r\n", "", 400},
		"a bare line break":         {"X: a\rY: b\r\n", "", 400},
		"a header without a colon":  {"nonsense\r\n", "", 400},
		"two hosts":                 {"Host: other\r\n", "", 400},
		"a header with broken name": {"X(): a\r\n", "", 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			conn := dialRaw(t, app)
			_, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: gateway\r\n"+c.head+"\r\n"+c.body)
			require.NoError(t, err)
			answers, isClosed := readAnswers(t, conn, 3)
			require.Len(t, answers, 1)
			require.Equal(t, c.status, answers[0].status, answers[0].text)
			require.True(t, isClosed, "the connection stays open")
		})
	}
}

// With both a length and chunks, the chunks decide (RFC 9112, section 6.3).
func TestHostile_ChunksWinOverALength(t *testing.T) {
	t.Parallel()

	app := start(t, config(upstreamtest.New(t)))
	body := call("1")
	chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	for name, head := range map[string]string{
		"a length first":    "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
		"a length behind":   "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
		"a length too long": "Content-Length: 1000\r\nTransfer-Encoding: chunked\r\n",
		"a folded line":     "Transfer-Encoding:\r\n chunked\r\nContent-Length: 4\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			conn := dialRaw(t, app)
			_, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: gateway\r\n"+head+"\r\n"+chunked+rawPost(call("2")))
			require.NoError(t, err)
			answers, _ := readAnswers(t, conn, 2)
			require.Len(t, answers, 2)
			for i, answer := range answers {
				require.Equal(t, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"result":"0x7a69"}`, i+1), answer.text)
			}
		})
	}
}

func TestHostile_MethodsPathsAndHeaders(t *testing.T) {
	t.Parallel()

	app := start(t, config(upstreamtest.New(t)))
	body := call("1")
	length := fmt.Sprintf("Content-Length: %d\r\n", len(body))
	for name, c := range map[string]struct {
		request string
		status  int
		isJSON  bool
	}{
		"CONNECT":                   {"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n", 405, true},
		"TRACE":                     {"TRACE / HTTP/1.1\r\nHost: x\r\nX-Secret: 1\r\n\r\n", 405, true},
		"PUT":                       {"PUT / HTTP/1.1\r\nHost: x\r\n" + length + "\r\n" + body, 405, true},
		"DELETE":                    {"DELETE / HTTP/1.1\r\nHost: x\r\n\r\n", 405, true},
		"an unknown method":         {"BREW / HTTP/1.1\r\nHost: x\r\n\r\n", 405, true},
		"no method":                 {" / HTTP/1.1\r\nHost: x\r\n\r\n", 400, false},
		"a method with line break":  {"PO\nST / HTTP/1.1\r\nHost: x\r\n\r\n", 400, false},
		"no host":                   {"POST / HTTP/1.1\r\n" + length + "\r\n" + body, 400, false},
		"a host that is none":       {"POST / HTTP/1.1\r\nHost: a b\r\n" + length + "\r\n" + body, 400, false},
		"an unknown version":        {"POST / HTTP/9.9\r\nHost: x\r\n\r\n", 505, false},
		"no version":                {"POST /\r\n\r\n", 400, false},
		"a path outside":            {"POST /../../etc/passwd HTTP/1.1\r\nHost: x\r\n" + length + "\r\n" + body, 404, true},
		"an escaped path outside":   {"POST /%2e%2e%2fetc HTTP/1.1\r\nHost: x\r\n" + length + "\r\n" + body, 404, true},
		"a broken escape":           {"POST /%zz HTTP/1.1\r\nHost: x\r\n" + length + "\r\n" + body, 400, false},
		"a NUL in the path":         {"POST /\x00 HTTP/1.1\r\nHost: x\r\n\r\n", 400, false},
		"a whole URL":               {"POST http://elsewhere/main/evm/31337 HTTP/1.1\r\nHost: x\r\n" + length + "\r\n" + body, 200, true},
		"a path of 60 KB":           {"POST /" + strings.Repeat("a/", 30_000) + " HTTP/1.1\r\nHost: x\r\n" + length + "\r\n" + body, 404, true},
		"a query of 60 KB":          {"POST /?" + strings.Repeat("retry-empty=1&", 4_000) + " HTTP/1.1\r\nHost: x\r\n" + length + "\r\n" + body, 200, true},
		"a broken query":            {"POST /?%zz;;&&==&retry-empty=%00 HTTP/1.1\r\nHost: x\r\n" + length + "\r\n" + body, 200, true},
		"a URL of 1 MB":             {"POST /" + strings.Repeat("a", 1<<20) + " HTTP/1.1\r\nHost: x\r\n\r\n", 431, false},
		"a header of 1 MB":          {"POST / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("a", 1<<20) + "\r\n\r\n", 431, false},
		"100,000 headers":           {"POST / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X: a\r\n", 100_000) + "\r\n", 431, false},
		"an unknown expectation":    {"POST / HTTP/1.1\r\nHost: x\r\nExpect: wonders\r\n" + length + "\r\n" + body, 417, false},
		"an upgrade to nothing":     {"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: nothing/1\r\n\r\n", 200, true},
		"an unknown body coding":    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: br\r\n" + length + "\r\n" + body, 415, true},
		"two body codings":          {"POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip, zstd\r\n" + length + "\r\n" + body, 415, true},
		"gzip that is none":         {"POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\n" + length + "\r\n" + body, 400, true},
		"zstd that is none":         {"POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: zstd\r\n" + length + "\r\n" + body, 400, true},
		"half a body, then the end": {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n" + body, 400, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			conn := dialRaw(t, app)
			go func() {
				_, _ = io.WriteString(conn, c.request) // the gateway may refuse before it has read all
				closeWrite(conn)
			}()
			answers, _ := readAnswers(t, conn, 1)
			require.Len(t, answers, 1)
			require.Equal(t, c.status, answers[0].status, answers[0].text)
			if c.isJSON {
				require.Equal(t, "application/json", answers[0].header.Get("Content-Type"))
				require.True(t, strings.HasPrefix(answers[0].text, "{"), answers[0].text)
			}
			require.NotContains(t, answers[0].text, "Secret")
		})
	}
}
