package upstreams

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
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

// TestHTTP1_CancelledCallsLeaveNothing: of calls to a node that hangs, which were
// given up or overtaken, neither connections nor places remain.
func TestHTTP1_CancelledCallsLeaveNothing(t *testing.T) {
	t.Parallel()
	var open, asked atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // the end of a client is seen from then on
		asked.Add(1)
		<-r.Context().Done()
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed:
			open.Add(-1)
		default:
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	target, err := parseURL(secret.New(server.URL))
	require.NoError(t, err)
	const calls, connections = 100, 64
	transport := newHTTP1Transport(target, connections, 100)
	t.Cleanup(transport.close)

	ctx, giveUp := context.WithCancelCause(t.Context())
	var flying sync.WaitGroup
	for range calls { // more than there are places for: the rest waits for one
		flying.Go(func() {
			_, err := transport.roundTrip(ctx, time.Time{}, []byte("{}"))
			assertEnded(ctx, t, err)
		})
	}
	require.Eventually(t, func() bool { return asked.Load() == connections }, 10*time.Second, time.Millisecond)
	giveUp(errLostRace)
	flying.Wait()
	require.Empty(t, transport.conns.slots)
	require.Nil(t, transport.conns.pop())
	require.Eventually(t, func() bool { return open.Load() == 0 }, 10*time.Second, time.Millisecond)
}

// assertEnded may be called from any goroutine.
func assertEnded(ctx context.Context, t *testing.T, err error) {
	t.Helper()
	if got := classifyFailure(ctx, err); err == nil || got != OutcomeLostRace {
		t.Errorf("the call ended with %v: %v", got, err)
	}
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
	head := transport.appendHead(nil, telemetry.Trace{RequestID: "a\r\nX-Evil: 1", Parent: "p", State: "\x00"}, []Field{{"X-Tenant", "a"}, {"X-Bad", "a\r\nX-Evil: 1"}, {"User-Agent", "curl"}}, 5)
	require.Equal(t, "POST /a HTTP/1.1\r\nHost: node:1\r\nContent-Type: application/json\r\nAccept: application/json\r\nUser-Agent: slipway\r\n"+
		"Traceparent: p\r\nX-Tenant: a\r\nContent-Length: 5\r\n\r\n", string(head))
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
