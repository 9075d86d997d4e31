package upstreams

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/telemetry"
)

func TestHTTP1_ClosesWhatIsNotNeeded(t *testing.T) {
	t.Parallel()
	closed := make(chan struct{})
	address := scripted(t, func(_ int, w *wire) {
		if _, ok := w.request(); ok {
			w.say(answerOf("{}"))
			w.untilClosed()
			close(closed)
		}
	})
	target, err := parseURL(secret.New(address))
	require.NoError(t, err)
	transport := newHTTP1Transport(target, 1, 100)
	transport.conns.keepFor = 20 * time.Millisecond
	_, err = transport.roundTrip(t.Context(), time.Time{}, []byte("{}"))
	require.NoError(t, err)
	<-closed
	require.Nil(t, transport.conns.pop())
}

// TestHTTP1_LooksBeforeItSends: what must not be repeated is not put on a
// connection over which something has come meanwhile.
func TestHTTP1_LooksBeforeItSends(t *testing.T) {
	t.Parallel()
	for name, afterwards := range map[string]string{"its end": "", "an answer to nobody": answerOf("nobody")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := scripted(t, func(n int, w *wire) {
				if _, ok := w.request(); ok {
					w.say(answerOf(fmt.Sprint(n)))
					w.say(afterwards)
				}
			})
			target, err := parseURL(secret.New(address))
			require.NoError(t, err)
			transport := newHTTP1Transport(target, 1, 100)
			t.Cleanup(transport.close)
			for i, want := range []string{"1", "2"} {
				reply, err := transport.roundTrip(sendOnce(t.Context()), time.Time{}, []byte("{}"))
				require.NoError(t, err, "request %d", i)
				require.Equal(t, want, string(reply.body))
				conn := transport.conns.pop()
				if conn == nil {
					continue // seen together with the answer
				}
				require.Eventually(t, func() bool { return !isQuiet(conn.conn) }, 5*time.Second, time.Millisecond)
				transport.conns.push(conn)
			}
		})
	}
}

// TestHTTP1_FieldsStayFields: nothing that comes from outside ends a line.
func TestHTTP1_FieldsStayFields(t *testing.T) {
	t.Parallel()
	target, err := parseURL(secret.New("http://node:1/a"))
	require.NoError(t, err)
	transport := newHTTP1Transport(target, 1, 100)
	head := transport.appendHead(nil, telemetry.Trace{RequestID: "a\r\nX-Evil: 1", Parent: "p", State: "\x00"}, 5)
	require.Equal(t, "POST /a HTTP/1.1\r\nHost: node:1\r\nContent-Type: application/json\r\nAccept: application/json\r\nUser-Agent: slipway\r\n"+
		"Traceparent: p\r\nContent-Length: 5\r\n\r\n", string(head))
}

func TestHostPort(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"http://node": "node:80", "http://node:": "node:80", "http://node:81/x": "node:81", "http://[::1]": "[::1]:80", "http://[::1]:81": "[::1]:81",
	} {
		target, err := parseURL(secret.New(address))
		require.NoError(t, err)
		require.Equal(t, want, hostPort(target))
	}
}
