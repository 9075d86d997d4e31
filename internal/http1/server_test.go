package http1_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/http1"
)

const patience = 10 * time.Second

// running is a server and how to reach it.
type running struct {
	*http1.Server
	addr   string
	served chan error
}

// start serves a handler; what was handed over says so in a field of the answer.
func start(t *testing.T, handler http.HandlerFunc, with ...func(*http1.Server)) *running {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	s := &running{addr: listener.Addr().String(), served: make(chan error, 1), Server: &http1.Server{
		Handler: handler, Log: slog.New(slog.DiscardHandler),
		Other: &http.Server{Protocols: protocols, ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Other", r.Proto)
			handler(w, r)
		})},
		ReadHeaderTimeout: patience, ReadTimeout: patience, WriteTimeout: patience, IdleTimeout: patience,
	}}
	for _, change := range with {
		change(s.Server)
	}
	go func() { s.served <- s.Serve(listener) }()
	t.Cleanup(func() {
		require.NoError(t, s.Close())
		select {
		case err := <-s.served:
			require.ErrorIs(t, err, http.ErrServerClosed)
		case <-time.After(patience):
			require.Fail(t, "the server does not end")
		}
	})
	return s
}

// echo answers with the body.
func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("X-Path", r.URL.Path)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}

func (s *running) dial(t *testing.T) *net.TCPConn {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.addr)
	require.NoError(t, err)
	require.NoError(t, c.SetDeadline(time.Now().Add(patience)))
	t.Cleanup(func() { _ = c.Close() })
	tcp, ok := c.(*net.TCPConn)
	require.True(t, ok)
	return tcp
}

func request(body string) string {
	return fmt.Sprintf("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// reply is an answer read to its end.
type reply struct {
	status  int
	header  http.Header
	isClose bool
}

func answer(t *testing.T, from *bufio.Reader) (reply, string) {
	t.Helper()
	resp, err := http.ReadResponse(from, nil)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return reply{resp.StatusCode, resp.Header, resp.Close}, string(body)
}

// post sends a request with net/http's client.
func post(client *http.Client, url, body string) (reply, string, error) {
	request, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body)) //nolint:noctx // the client has a timeout
	if err != nil {
		return reply{}, "", err
	}
	resp, err := client.Do(request)
	if err != nil {
		return reply{}, "", err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, resp.Close}, string(got), err
}

// Whatever way the bytes come, the requests are the same.
func TestServer_AnswersHoweverTheBytesCome(t *testing.T) {
	t.Parallel()

	s := start(t, echo)
	large := strings.Repeat("0123456789", 6000)
	all := request("one") + request("") + request(large) + request("two") + request("three")
	for name, step := range map[string]int{"at once": len(all), "byte by byte": 1, "in pieces": 1021} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := s.dial(t)
			go func() {
				for rest := all; rest != ""; {
					n := min(step, len(rest))
					if _, err := io.WriteString(c, rest[:n]); err != nil {
						return
					}
					rest = rest[n:]
				}
			}()
			from := bufio.NewReader(c)
			for _, want := range []string{"one", "", large, "two", "three"} {
				resp, got := answer(t, from)
				require.Equal(t, want, got)
				require.Equal(t, http.StatusOK, resp.status)
				require.Equal(t, "/p", resp.header.Get("X-Path"))
				require.Empty(t, resp.header.Get("X-Other"))
				_, err := http.ParseTime(resp.header.Get("Date"))
				require.NoError(t, err)
			}
		})
	}
}

func TestServer_HandsOver(t *testing.T) {
	t.Parallel()

	s := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			c, both, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer c.Close()
			_, _ = both.WriteString("HTTP/1.1 101 Switching Protocols\r\n\r\nhello ")
			_ = both.Flush()
			_, _ = io.Copy(c, both)
			return
		}
		echo(w, r)
	})
	tests := map[string]struct{ send, want string }{
		"GET":            {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK"},
		"chunks":         {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", "{}"},
		"closing":        {"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}", "Connection: close"},
		"100-continue":   {"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}", "100 Continue"},
		"a large body":   {request(strings.Repeat("x", 70_000)), "X-Other: HTTP/1.1"},
		"a bad request":  {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", "400 Bad Request"},
		"no HTTP at all": {"\x16\x03\x01" + strings.Repeat("\x00", 30) + "\r\n\r\n", "400 Bad Request"},
		"an upgrade":     {"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nthe rest", "hello the rest"},
		"after a plain request": {
			request("first") + "GET /second HTTP/1.1\r\nHost: a\r\n\r\n" + request("third"),
			"third",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := s.dial(t)
			_, err := io.WriteString(c, test.send)
			require.NoError(t, err)
			var got bytes.Buffer
			for !strings.Contains(got.String(), test.want) {
				_, err := io.CopyN(&got, c, 1)
				require.NoError(t, err, "%q", got.String())
			}
		})
	}
	t.Run("HTTP/2", func(t *testing.T) {
		t.Parallel()
		protocols := &http.Protocols{}
		protocols.SetUnencryptedHTTP2(true)
		client := &http.Client{Transport: &http.Transport{Protocols: protocols}, Timeout: patience}
		defer client.CloseIdleConnections()
		resp, _, err := post(client, "http://"+s.addr+"/", "{}")
		require.NoError(t, err)
		require.Equal(t, "HTTP/2.0", resp.header.Get("X-Other"))
	})
}

// An answer is what net/http makes of the same handler.
func TestServer_AnswersAsNetHTTP(t *testing.T) {
	t.Parallel()

	tests := map[string]http.HandlerFunc{
		"nothing":                func(http.ResponseWriter, *http.Request) {},
		"a status":               func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"no content":             func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"a body without length":  func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"a":1}`)) },
		"a long body, no length": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bytes.Repeat([]byte("0123456789"), 9000)) },
		"many short writes": func(w http.ResponseWriter, _ *http.Request) {
			for range 5000 {
				_, _ = w.Write([]byte("0123456789"))
			}
		},
		"flushed": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("one"))
			_ = http.NewResponseController(w).Flush()
			_, _ = w.Write([]byte("two"))
		},
		"a length and parts": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "20004")
			_, _ = w.Write([]byte("ab"))
			_, _ = w.Write(bytes.Repeat([]byte("x"), 20000))
			_, _ = w.Write([]byte("cd"))
		},
		"more than announced": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "2")
			_, _ = w.Write([]byte("ab"))
			if _, err := w.Write([]byte("c")); !errors.Is(err, http.ErrContentLength) {
				panic(err)
			}
		},
		"header set too late": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTeapot)
			w.Header().Set("X-Late", "1")
		},
		"a line forged": func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["X-Value"] = []string{"a\r\nX-Forged: 1", "b"}
			w.Header()["X-Name: 1\r\nX-Forged"] = []string{"c"}
		},
	}
	for name, handler := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				handler(w, r)
			})
			theirs, ours := s.dial(t), s.dial(t)
			_, err := io.WriteString(theirs, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
			require.NoError(t, err)
			want, wantBody := answer(t, bufio.NewReader(theirs))
			require.Equal(t, "HTTP/1.1", want.header.Get("X-Other"))
			want.header.Del("X-Other")
			from := bufio.NewReader(ours)
			for range 2 { // the second time on the same connection
				_, err := io.WriteString(ours, request("{}"))
				require.NoError(t, err)
				got, gotBody := answer(t, from)
				require.Equal(t, want.status, got.status)
				require.Equal(t, wantBody, gotBody)
				want.header.Set("Date", got.header.Get("Date"))
				require.Equal(t, want.header, got.header)
				require.Equal(t, want.isClose, got.isClose)
			}
		})
	}
}

func TestServer_ClosesWhatCannotGoOn(t *testing.T) {
	t.Parallel()

	tests := map[string]http.HandlerFunc{
		"less than announced": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			_, _ = w.Write([]byte("ab"))
		},
		"closed by the handler": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") },
		"a panic":               func(http.ResponseWriter, *http.Request) { panic("the test's own") },
		"a silent panic":        func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	}
	for name, handler := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, handler)
			c := s.dial(t)
			_, err := io.WriteString(c, request("{}"))
			require.NoError(t, err)
			_, err = io.ReadAll(c) // to the end of the connection
			require.NoError(t, err)
			_, err = io.WriteString(s.dial(t), request("{}"))
			require.NoError(t, err, "others go on")
		})
	}
}

// A body that does not come whole is the handler's to judge, with what there is.
func TestServer_TellsOfBrokenBodies(t *testing.T) {
	t.Parallel()

	tests := map[string]struct {
		leave func(*net.TCPConn) error
		want  error
	}{
		"too slow": {func(*net.TCPConn) error { return nil }, os.ErrDeadlineExceeded},
		"cut":      {(*net.TCPConn).CloseWrite, io.ErrUnexpectedEOF},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			read := make(chan error, 1)
			s := start(t, func(w http.ResponseWriter, r *http.Request) {
				_, err := io.ReadAll(r.Body)
				read <- err
				w.WriteHeader(http.StatusRequestTimeout)
			}, func(s *http1.Server) { s.ReadTimeout = 50 * time.Millisecond })
			c := s.dial(t)
			_, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{")
			require.NoError(t, err)
			require.NoError(t, test.leave(c))
			require.ErrorIs(t, <-read, test.want)
			resp, _ := answer(t, bufio.NewReader(c))
			require.Equal(t, http.StatusRequestTimeout, resp.status)
		})
	}
}

// Clients that send nothing, or half a head, or do not read, are ended.
func TestServer_EndsTheSlow(t *testing.T) {
	t.Parallel()

	const soon = 50 * time.Millisecond
	tests := map[string]struct {
		send string
		set  func(*http1.Server)
	}{
		"silent":        {"", func(s *http1.Server) { s.ReadHeaderTimeout = soon }},
		"idle":          {request("{}"), func(s *http1.Server) { s.IdleTimeout = soon }},
		"half a head":   {"POST / HTTP/1.1\r\nHost", func(s *http1.Server) { s.ReadHeaderTimeout = soon }},
		"does not read": {strings.Repeat(request("{}"), 200), func(s *http1.Server) { s.WriteTimeout = soon }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var ended atomic.Bool
			s := start(t, func(w http.ResponseWriter, r *http.Request) {
				context.AfterFunc(r.Context(), func() { ended.Store(true) })
				_, _ = w.Write(bytes.Repeat([]byte("x"), 1<<20))
			}, test.set)
			c := s.dial(t)
			_, err := io.WriteString(c, test.send)
			require.NoError(t, err)
			if name == "does not read" {
				require.Eventually(t, ended.Load, patience, time.Millisecond)
				return
			}
			_, err = io.Copy(io.Discard, c)
			require.NoError(t, err, "closed before the test's own deadline")
		})
	}
}

func TestServer_NoticesThatAClientLeft(t *testing.T) {
	t.Parallel()

	entered, left := make(chan struct{}), make(chan struct{})
	s := start(t, func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
		close(left)
	})
	c := s.dial(t)
	_, err := io.WriteString(c, request("{}"))
	require.NoError(t, err)
	<-entered
	require.NoError(t, c.Close())
	select {
	case <-left:
	case <-time.After(patience):
		require.Fail(t, "the request goes on")
	}
}

// A client that waits is not taken for one that left.
func TestServer_WaitsWithAPatientClient(t *testing.T) {
	t.Parallel()

	s := start(t, func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
			w.WriteHeader(http.StatusInternalServerError)
		case <-time.After(700 * time.Millisecond): // several looks of the watcher
		}
	})
	c := s.dial(t)
	_, err := io.WriteString(c, request("{}")+request("{}")) // one waits behind the other
	require.NoError(t, err)
	from := bufio.NewReader(c)
	for range 2 {
		resp, _ := answer(t, from)
		require.Equal(t, http.StatusOK, resp.status)
	}
}

func TestServer_ShutdownFinishesWhatHasBegun(t *testing.T) {
	t.Parallel()

	entered, goOn := make(chan struct{}, 2), make(chan struct{})
	s := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Wait") != "" {
			entered <- struct{}{}
			<-goOn
		}
		echo(w, r)
	})
	idle, plain, handed := s.dial(t), s.dial(t), s.dial(t)
	_, err := io.WriteString(idle, request("{}"))
	require.NoError(t, err)
	answer(t, bufio.NewReader(idle))
	_, err = io.WriteString(plain, "POST / HTTP/1.1\r\nHost: a\r\nX-Wait: 1\r\nContent-Length: 2\r\n\r\n{}")
	require.NoError(t, err)
	_, err = io.WriteString(handed, "POST / HTTP/1.1\r\nHost: a\r\nX-Wait: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
	require.NoError(t, err)
	<-entered
	<-entered

	ended := make(chan error, 1)
	go func() { ended <- s.Shutdown(context.WithoutCancel(t.Context())) }()
	_, err = io.Copy(io.Discard, idle)
	require.NoError(t, err, "the idle connection is closed")
	_, err = (&net.Dialer{}).DialContext(t.Context(), "tcp", s.addr)
	require.Error(t, err)
	select {
	case err := <-ended:
		require.Fail(t, "requests are cut", "%v", err)
	default:
	}
	close(goOn)
	for _, c := range []io.Reader{plain, handed} {
		resp, got := answer(t, bufio.NewReader(c))
		require.Equal(t, "{}", got)
		require.True(t, resp.isClose)
	}
	require.NoError(t, <-ended)
}

func TestServer_ShutdownEndsWithItsTime(t *testing.T) {
	t.Parallel()

	entered := make(chan struct{})
	s := start(t, func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	})
	_, err := io.WriteString(s.dial(t), request("{}"))
	require.NoError(t, err)
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, s.Shutdown(ctx), context.DeadlineExceeded)
}

// Many clients at a time, each with answers of its own.
func TestServer_KeepsClientsApart(t *testing.T) {
	t.Parallel()

	s := start(t, echo)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}, Timeout: patience}
	defer client.CloseIdleConnections()
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			for range 100 {
				want := rand.Text()
				resp, got, err := post(client, "http://"+s.addr+"/"+want, want)
				if err != nil || got != want || resp.header.Get("X-Path") != "/"+want {
					t.Errorf("%q for %q: %v", got, want, err)
				}
			}
		})
	}
	group.Wait()
}
