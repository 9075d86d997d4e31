package lifecycle

import (
	"context"
	"errors"
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

	inHandler, release := make(chan struct{}), make(chan struct{})
	addr := make(chan net.Addr, 1)
	s := &HTTPServer{
		Addr: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler), OnListen: func(a net.Addr) { addr <- a },
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(inHandler)
			<-release
			_, _ = io.WriteString(w, "done")
		}),
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Run(ctx, func() {}) }()
	url := "http://" + (<-addr).String()
	body := make(chan string, 1)
	go func() {
		resp, err := http.Get(url) //nolint:noctx // the test's own end bounds it
		if err != nil {
			body <- err.Error()
			return
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		body <- string(b)
	}()

	<-inHandler
	stop()
	close(release)

	require.NoError(t, <-served)
	require.Equal(t, "done", <-body)
}

func TestListen_NamesATakenPort(t *testing.T) {
	t.Parallel()

	taken, err := Listen(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()

	_, err = Listen(t.Context(), taken.Addr().String())
	require.ErrorContains(t, err, "in use by another program")
}
