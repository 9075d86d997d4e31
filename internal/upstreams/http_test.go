package upstreams

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/telemetry"
)

// opener makes a transport to an address, closed with the test.
type opener func(t *testing.T, address string, connections int, limit int64) transport

// engines are all that may stand behind the seam: what follows holds for each.
func engines() map[string]opener {
	opens := func(engine func(u *url.URL, connections int, limit int64) transport) opener {
		return func(t *testing.T, address string, connections int, limit int64) transport {
			t.Helper()
			target, err := url.Parse(address)
			require.NoError(t, err)
			made := engine(target, connections, limit)
			t.Cleanup(made.close)
			return made
		}
	}
	return map[string]opener{
		"net/http": opens(func(u *url.URL, connections int, limit int64) transport {
			return newHTTPTransport(u, connections, limit)
		}),
		"http1": opens(func(u *url.URL, connections int, limit int64) transport {
			return newHTTP1Transport(u, connections, limit)
		}),
	}
}

// scripted is a server that does not know HTTP: for each connection it runs the
// script, which is told the connection's number, from 1 on.
func scripted(t *testing.T, script func(n int, c *wire)) (address string) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var running sync.WaitGroup
	running.Go(func() {
		for n := 1; ; n++ {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
				script(n, &wire{Conn: conn, in: bufio.NewReader(conn)})
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		running.Wait()
	})
	return "http://" + listener.Addr().String()
}

// wire is a server's end of a connection.
type wire struct {
	net.Conn
	in *bufio.Reader
}

// request reads one request and returns its body, or false at the end.
func (w *wire) request() (string, bool) {
	request, err := http.ReadRequest(w.in)
	if err != nil {
		return "", false
	}
	body, err := io.ReadAll(request.Body)
	return string(body), err == nil
}

func (w *wire) say(text string) { _, _ = io.WriteString(w.Conn, text) }

// untilClosed waits for the other end to close.
func (w *wire) untilClosed() { _, _ = w.in.ReadByte() }

func answerOf(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// TestTransport_ReadsAnswers tells all framings apart, and whether a second
// request may go over the same connection.
func TestTransport_ReadsAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer string
		status int
		body   string
		isKept bool
	}{
		"length":          {answerOf("12345"), 200, "12345", true},
		"empty":           {answerOf(""), 200, "", true},
		"chunks":          {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n123\r\n2;x=y\r\n45\r\n0\r\n\r\n", 200, "12345", true},
		"trailer":         {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n5\r\n12345\r\n0\r\nX-T: 1\r\n\r\n", 200, "12345", true},
		"until the end":   {"HTTP/1.1 200 OK\r\n\r\n12345", 200, "12345", false},
		"HTTP/1.0":        {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n12345", 200, "12345", false},
		"HTTP/1.0, kept":  {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n12345", 200, "12345", true},
		"close":           {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\n12345", 200, "12345", false},
		"informational":   {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + answerOf("12345"), 200, "12345", true},
		"no content":      {"HTTP/1.1 204 No Content\r\n\r\n", 204, "", true},
		"refused":         {"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 4\r\n\r\nslow", 429, "slow", true},
		"at the limit":    {answerOf(strings.Repeat("x", 100)), 200, strings.Repeat("x", 100), true},
		"chunks at limit": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n" + strings.Repeat("x", 100) + "\r\n0\r\n\r\n", 200, strings.Repeat("x", 100), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for engine, open := range engines() {
				t.Run(engine, func(t *testing.T) {
					t.Parallel()
					connections := make(chan int, 8)
					transport := open(t, scripted(t, func(n int, w *wire) {
						for {
							if _, ok := w.request(); !ok {
								return
							}
							connections <- n
							w.say(c.answer)
							if !c.isKept {
								return
							}
						}
					}), 1, 100)
					for i := 1; i <= 3; i++ {
						reply, err := transport.roundTrip(t.Context(), time.Time{}, []byte("{}"))
						require.NoError(t, err)
						require.Equal(t, c.status, reply.status)
						require.Equal(t, c.body, string(reply.body))
						want := 1
						if !c.isKept {
							want = i
						}
						require.Equal(t, want, <-connections, "connection of request %d", i)
					}
				})
			}
		})
	}
}

// TestTransport_RefusesBrokenAnswers: what is no whole answer is none at all.
func TestTransport_RefusesBrokenAnswers(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", 101)
	for name, c := range map[string]struct {
		answer string
		want   error // nil: any
	}{
		"nothing":               {"", nil},
		"no HTTP":               {"welcome to SMTP\r\n\r\n", nil},
		"half a head":           {"HTTP/1.1 200 OK\r\nContent-Le", nil},
		"endless head":          {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 11<<20), nil},
		"endless informational": {strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 500_000) + answerOf("{}"), nil},
		"cut body":              {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345", nil},
		"cut chunk":             {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n123", nil},
		"no last chunk":         {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n", nil},
		"two lengths":           {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n12345", nil},
		"negative length":       {"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n12345", nil},
		"no chunk size":         {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n12345\r\n0\r\n\r\n", nil},
		"large length":          {"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n" + big, errTooLarge},
		"large chunk":           {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n" + big + "\r\n0\r\n\r\n", errTooLarge},
		"large without length":  {"HTTP/1.1 200 OK\r\n\r\n" + big, errTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for engine, open := range engines() {
				t.Run(engine, func(t *testing.T) {
					t.Parallel()
					transport := open(t, scripted(t, func(_ int, w *wire) {
						if _, ok := w.request(); ok {
							w.say(c.answer)
						}
					}), 1, 100)
					_, err := transport.roundTrip(sendOnce(t.Context()), time.Time{}, []byte("{}"))
					require.Error(t, err)
					require.NotErrorIs(t, err, errRefused, "something was sent")
					if c.want != nil {
						require.ErrorIs(t, err, c.want)
					}
				})
			}
		})
	}
}

func TestTransport_SaysWhenNothingWasSent(t *testing.T) {
	t.Parallel()
	for engine, open := range engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.NotFoundHandler())
			address := server.URL
			server.Close()
			_, err := open(t, address, 1, 100).roundTrip(t.Context(), time.Time{}, []byte("{}"))
			require.ErrorIs(t, err, errRefused)
		})
	}
}

// TestTransport_AbandonsAtOnce: whoever leaves does not wait, and the node sees
// that nobody waits any more, wherever the exchange is.
func TestTransport_AbandonsAtOnce(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]string{
		"before the answer": "", "within the head": "HTTP/1.1 200 OK\r\nContent-", "within the body": "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for engine, open := range engines() {
				t.Run(engine, func(t *testing.T) {
					t.Parallel()
					asked, closed := make(chan struct{}, 4), make(chan struct{}, 4)
					transport := open(t, scripted(t, func(n int, w *wire) {
						if _, ok := w.request(); !ok {
							return
						}
						if n > 1 {
							w.say(answerOf("{}"))
							return
						}
						w.say(start)
						asked <- struct{}{}
						w.untilClosed()
						closed <- struct{}{}
					}), 1, 100)
					ctx, cancel := context.WithCancelCause(t.Context())
					left := errors.New("left")
					go func() {
						<-asked
						cancel(left)
					}()
					_, err := transport.roundTrip(ctx, time.Time{}, []byte("{}"))
					require.Error(t, err)
					require.ErrorIs(t, context.Cause(ctx), left)
					<-closed
					reply, err := transport.roundTrip(t.Context(), time.Time{}, []byte("{}"))
					require.NoError(t, err, "its place is free again")
					require.Equal(t, "{}", string(reply.body))
				})
			}
		})
	}
}

func TestTransport_KeepsToTheDeadline(t *testing.T) {
	t.Parallel()
	for engine, open := range engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			transport := open(t, scripted(t, func(_ int, w *wire) {
				if _, ok := w.request(); ok {
					for _, err := w.Write([]byte("H")); err == nil; _, err = w.Write([]byte("H")) { // slow, but never silent
						select {
						case <-time.After(5 * time.Millisecond):
						case <-t.Context().Done():
							return
						}
					}
				}
			}), 1, 100)
			start := time.Now()
			_, err := transport.roundTrip(t.Context(), start.Add(50*time.Millisecond), []byte("{}"))
			require.Error(t, err)
			require.Less(t, time.Since(start), 5*time.Second)
			require.Equal(t, OutcomeTimeout, classifyFailure(t.Context(), err))
			require.ErrorIs(t, err, errAttemptTimeout)
		})
	}
}

// TestTransport_DeadlinesEndWithTheirRequest: that of the last one does not
// hold for the next one on the same connection.
func TestTransport_DeadlinesEndWithTheirRequest(t *testing.T) {
	t.Parallel()
	for engine, open := range engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			transport := open(t, scripted(t, func(n int, w *wire) {
				for {
					if _, ok := w.request(); !ok {
						return
					}
					w.say(answerOf(fmt.Sprint(n)))
				}
			}), 1, 100)
			deadline := time.Now().Add(200 * time.Millisecond)
			for _, at := range []time.Time{deadline, {}, deadline.Add(time.Minute)} {
				reply, err := transport.roundTrip(t.Context(), at, []byte("{}"))
				require.NoError(t, err)
				require.Equal(t, "1", string(reply.body))
				require.Eventually(t, func() bool { return time.Now().After(deadline) }, 5*time.Second, 10*time.Millisecond)
			}
		})
	}
}

// TestTransport_RepeatsWhatMayBe: the node closes a kept connection when the
// second request comes. It may have seen it.
func TestTransport_RepeatsWhatMayBe(t *testing.T) {
	t.Parallel()
	for name, once := range map[string]bool{"repeatable": false, "once": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for engine, open := range engines() {
				t.Run(engine, func(t *testing.T) {
					t.Parallel()
					seen := make(chan string, 8)
					transport := open(t, scripted(t, func(n int, w *wire) {
						for i := 1; ; i++ {
							body, ok := w.request()
							if !ok {
								return
							}
							seen <- fmt.Sprintf("%s on %d", body, n)
							if n == 1 && i == 2 {
								return
							}
							w.say(answerOf("{}"))
						}
					}), 2, 100)
					ctx := t.Context()
					if once {
						ctx = sendOnce(ctx)
					}
					_, err := transport.roundTrip(ctx, time.Time{}, []byte("a"))
					require.NoError(t, err)
					_, err = transport.roundTrip(ctx, time.Time{}, []byte("b"))
					require.Equal(t, "a on 1", <-seen)
					require.Equal(t, "b on 1", <-seen)
					if once {
						require.Error(t, err)
						require.NotErrorIs(t, err, errRefused)
						require.Empty(t, seen)
						return
					}
					require.NoError(t, err)
					require.Equal(t, "b on 2", <-seen)
				})
			}
		})
	}
}

// TestTransport_RepeatsOnlyOnce: a node that never answers is not asked for ever.
func TestTransport_RepeatsOnlyOnce(t *testing.T) {
	t.Parallel()
	for engine, open := range engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			seen := make(chan int, 16)
			transport := open(t, scripted(t, func(n int, w *wire) {
				for i := 1; ; i++ {
					if _, ok := w.request(); !ok {
						return
					}
					seen <- n
					if n > 1 || i > 1 {
						return
					}
					w.say(answerOf("{}"))
				}
			}), 2, 100)
			_, err := transport.roundTrip(t.Context(), time.Time{}, []byte("{}"))
			require.NoError(t, err)
			_, err = transport.roundTrip(t.Context(), time.Time{}, []byte("{}"))
			require.Error(t, err)
			require.LessOrEqual(t, len(seen), 3)
		})
	}
}

// TestTransport_NoticesWhatHappenedToAKeptConnection: also for requests that
// are never repeated.
func TestTransport_NoticesWhatHappenedToAKeptConnection(t *testing.T) {
	t.Parallel()
	for name, afterwards := range map[string]string{
		"closed": "", "an answer to nobody": "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for engine, open := range engines() {
				t.Run(engine, func(t *testing.T) {
					t.Parallel()
					gone := make(chan struct{})
					transport := open(t, scripted(t, func(n int, w *wire) {
						if _, ok := w.request(); !ok {
							return
						}
						w.say(answerOf(fmt.Sprint(n)))
						if n > 1 {
							return
						}
						<-gone
						w.say(afterwards)
					}), 1, 100)
					ctx := sendOnce(t.Context())
					reply, err := transport.roundTrip(ctx, time.Time{}, []byte("{}"))
					require.NoError(t, err)
					require.Equal(t, "1", string(reply.body))
					close(gone)
					require.Eventually(t, func() bool {
						reply, err := transport.roundTrip(ctx, time.Time{}, []byte("{}"))
						return err == nil && string(reply.body) != "1" && reply.status == http.StatusOK
					}, 5*time.Second, 10*time.Millisecond)
				})
			}
		})
	}
}

// TestTransport_BoundsItsConnections: who finds none free waits as long as its context.
func TestTransport_BoundsItsConnections(t *testing.T) {
	t.Parallel()
	for engine, open := range engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			asked, release := make(chan int, 8), make(chan struct{})
			transport := open(t, scripted(t, func(n int, w *wire) {
				for {
					if _, ok := w.request(); !ok {
						return
					}
					asked <- n
					<-release
					w.say(answerOf("{}"))
				}
			}), 2, 100)
			var group sync.WaitGroup
			errs := make(chan error, 3)
			ask := func() {
				_, err := transport.roundTrip(t.Context(), time.Time{}, []byte("{}"))
				errs <- err
			}
			group.Go(ask)
			group.Go(ask)
			<-asked
			<-asked
			short, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
			defer cancel()
			_, err := transport.roundTrip(short, time.Time{}, []byte("{}"))
			require.ErrorIs(t, err, context.DeadlineExceeded)
			_, err = transport.roundTrip(t.Context(), time.Now().Add(30*time.Millisecond), []byte("{}"))
			require.ErrorIs(t, err, errAttemptTimeout)
			require.Empty(t, asked, "a third connection")
			group.Go(ask)
			close(release)
			group.Wait()
			for range 3 {
				require.NoError(t, <-errs)
			}
			require.LessOrEqual(t, <-asked, 2)
		})
	}
}

func TestTransport_SendsLargeBodies(t *testing.T) {
	t.Parallel()
	for engine, open := range engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
			t.Cleanup(node.Close)
			body := []byte(strings.Repeat("0123456789abcdef", 100_000))
			transport := open(t, node.URL, 1, int64(len(body)))
			for range 3 {
				reply, err := transport.roundTrip(t.Context(), time.Time{}, body)
				require.NoError(t, err)
				require.Equal(t, string(body), string(reply.body))
			}
		})
	}
}

func TestTransport_SaysWhoAndWhat(t *testing.T) {
	t.Parallel()
	for engine, open := range engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			seen := make(chan *http.Request, 1)
			node := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r }))
			t.Cleanup(node.Close)
			_, err := open(t, "http://me:pass%20word@"+strings.TrimPrefix(node.URL, "http://")+"/v1/a%20b?key=c", 1, 100).roundTrip(t.Context(), time.Time{}, []byte("{}"))
			require.NoError(t, err)
			r := <-seen
			user, password, ok := r.BasicAuth()
			require.True(t, ok)
			require.Equal(t, "me pass word", user+" "+password)
			require.Equal(t, "POST /v1/a%20b?key=c", r.Method+" "+r.RequestURI)
			require.Equal(t, strings.TrimPrefix(node.URL, "http://"), r.Host)
			require.Equal(t, int64(2), r.ContentLength)
			require.Equal(t, http.Header{
				"Authorization": r.Header["Authorization"], "Content-Length": {"2"},
				"Content-Type": {"application/json"}, "Accept": {"application/json"}, "User-Agent": {"slipway"},
			}, r.Header, "no Accept-Encoding: answers are read as they are")
		})
	}
}

func TestTransport_CarriesIDAndTrace(t *testing.T) {
	t.Parallel()
	for engine, open := range engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			seen := make(chan http.Header, 1)
			node := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header }))
			t.Cleanup(node.Close)
			transport := open(t, node.URL, 1, 1000)
			send := func(ctx context.Context) http.Header {
				_, err := transport.roundTrip(ctx, time.Time{}, []byte("{}"))
				require.NoError(t, err)
				return <-seen
			}

			traced := send(telemetry.WithTrace(t.Context(), telemetry.Trace{RequestID: "r-1", Parent: "00-ab-cd-01", State: "vendor=1"}))
			require.Equal(t, "r-1", traced.Get("X-Request-Id"))
			require.Equal(t, "00-ab-cd-01", traced.Get("Traceparent"))
			require.Equal(t, "vendor=1", traced.Get("Tracestate"))
			require.Equal(t, "application/json", traced.Get("Content-Type"))

			once := send(sendOnce(telemetry.WithTrace(t.Context(), telemetry.Trace{RequestID: "r-2"})))
			require.Equal(t, "r-2", once.Get("X-Request-Id"))
			require.NotContains(t, once, "Traceparent")

			plain := send(t.Context())
			require.NotContains(t, plain, "X-Request-Id", "the shared header was not changed")
		})
	}
}
