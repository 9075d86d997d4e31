package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// recorder notes what its components do, in order.
type recorder struct{ events []string }

func (r *recorder) component(name string) Run {
	return func(ctx context.Context, ready func()) error {
		r.events = append(r.events, "start "+name)
		ready()
		<-ctx.Done()
		r.events = append(r.events, "stop "+name)
		return nil
	}
}

func TestGroup_StartsInOrderAndStopsInReverse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r recorder
		var g Group
		g.Add("database", r.component("database"))
		g.Add("server", r.component("server"))
		ctx, stop := context.WithCancel(t.Context())

		err := g.Run(ctx, func() { r.events = append(r.events, "ready"); stop() })

		require.NoError(t, err)
		require.Equal(t, []string{"start database", "start server", "ready", "stop server", "stop database"}, r.events)
	})
}

func TestGroup_AFailureStopsTheRest(t *testing.T) {
	t.Parallel()

	cases := map[string]struct {
		run  Run
		want string
	}{
		"before ready": {func(context.Context, func()) error { return errors.New("port taken") }, "gateway: port taken"},
		"after ready": {func(_ context.Context, ready func()) error {
			ready()
			return errors.New("lost")
		}, "gateway: lost"},
		"silent return": {func(_ context.Context, ready func()) error { ready(); return nil }, "gateway: stopped without being asked to"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var r recorder
				var g Group
				g.Add("database", r.component("database"))
				g.Add("gateway", c.run)

				err := g.Run(t.Context(), nil)

				require.EqualError(t, err, c.want)
				require.Equal(t, []string{"start database", "stop database"}, r.events)
			})
		})
	}
}

func TestGroup_AComponentThatDoesNotStopIsNamed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		g := Group{StopTimeout: time.Second}
		g.Add("stubborn", func(_ context.Context, ready func()) error { ready(); <-release; return nil })
		ctx, stop := context.WithCancel(t.Context())

		err := g.Run(ctx, stop)

		require.EqualError(t, err, "stop stubborn: still running after 1s")
		close(release)
	})
}

func TestHTTPServer_FinishesRequestsInFlight(t *testing.T) {
	t.Parallel()

	var first, second http.Protocols
	first.SetHTTP1(true)
	second.SetUnencryptedHTTP2(true)
	for name, protocols := range map[string]*http.Protocols{"HTTP/1.1": &first, "HTTP/2.0": &second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			inHandler, release := make(chan struct{}), make(chan struct{})
			addr := make(chan net.Addr, 1)
			s := &HTTPServer{
				Addr: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler), OnListen: func(a net.Addr) { addr <- a }, UnencryptedHTTP2: true,
				DrainTimeout: time.Minute, // longer than the test: nothing may be cut
				Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					close(inHandler)
					<-release
					_, _ = io.WriteString(w, r.Proto)
				}),
			}
			ctx, stop := context.WithCancel(t.Context())
			served := make(chan error, 1)
			go func() { served <- s.Run(ctx, func() {}) }()
			url := "http://" + (<-addr).String()
			client := &http.Transport{Protocols: protocols} // keeps its connection
			defer client.CloseIdleConnections()
			body := make(chan string, 1)
			go func() {
				text, err := get(t.Context(), client, url)
				body <- fmt.Sprint(text, err)
			}()

			<-inHandler
			stop()
			close(release)

			require.Equal(t, name+"<nil>", <-body)
			select {
			case err := <-served:
				require.NoError(t, err)
			case <-time.After(20 * time.Second):
				t.Fatal("an idle connection holds the server")
			}
		})
	}
}

func TestHTTPServer_UnencryptedHTTP2IsAChoice(t *testing.T) {
	t.Parallel()

	addr := make(chan net.Addr, 1)
	s := &HTTPServer{Addr: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler), OnListen: func(a net.Addr) { addr <- a }, Handler: http.NotFoundHandler()}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Run(ctx, func() {}) }()
	client := &http.Transport{Protocols: new(http.Protocols)}
	client.Protocols.SetUnencryptedHTTP2(true)

	_, err := get(t.Context(), client, "http://"+(<-addr).String())

	require.Error(t, err)
	stop()
	require.NoError(t, <-served)
}

func get(ctx context.Context, client *http.Transport, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := client.RoundTrip(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return string(text), err
}

func TestListen_NamesATakenPort(t *testing.T) {
	t.Parallel()

	taken, err := Listen(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()

	_, err = Listen(t.Context(), taken.Addr().String())
	require.ErrorContains(t, err, "in use by another program")
}
