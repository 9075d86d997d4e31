package api

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/access"
)

// renewing is a key that can be revoked while its connections are open.
type renewing struct {
	err   atomic.Pointer[error]
	asked atomic.Int64
}

func (a *renewing) Authenticate(*http.Request) (access.Caller, error) {
	return access.Caller{Tenant: "default", Name: "key:portal", KeyID: "k1", Roles: access.Roles()}, nil
}

func (a *renewing) Renew(context.Context, access.Caller) error {
	a.asked.Add(1)
	if err := a.err.Load(); err != nil {
		return *err
	}
	return nil
}

func (a *renewing) set(err error) { a.err.Store(&err) }

func (a *renewing) wait(t *testing.T) {
	t.Helper()
	from := a.asked.Load()
	require.Eventually(t, func() bool { return a.asked.Load() > from+2 }, 20*time.Second, time.Millisecond)
}

func TestRenew_AStreamEndsWithItsKey(t *testing.T) {
	t.Parallel()
	key, feed := &renewing{}, newFakeFeed(eventOf(3, "queued"))
	f := serveWith(t, func(d *Deps, _ *Config) { d.Events, d.Access = feed, key })
	s := listen(t, f.url+eventsRoute, "")
	require.NotNil(t, s.next())
	key.set(access.ErrUnavailable)
	key.wait(t)
	feed.change(func() { feed.list = append(feed.list, eventOf(4, "signed")) })
	require.Equal(t, "signed", s.nextEvent()["event"], "it goes on while nobody can tell")

	key.set(access.ErrKey)
	end := s.nextEvent()
	require.Equal(t, "end", end["event"])
	require.JSONEq(t, `{"reason":"credentials","lastEventId":"4"}`, end["data"])
	require.Nil(t, s.next())
}

// A client that never catches up is asked for its key as well.
func TestRenew_AStreamThatNeverRests(t *testing.T) {
	t.Parallel()
	key, feed := &renewing{}, newFakeFeed(eventOf(1, "queued"))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for id := int64(2); ctx.Err() == nil; id++ {
			feed.change(func() { feed.list = append(feed.list[len(feed.list)-1:], eventOf(id, "queued")) })
		}
	}()
	t.Cleanup(func() { stop(); <-done })
	f := serveWith(t, func(d *Deps, _ *Config) { d.Events, d.Access = feed, key })
	s := listen(t, f.url+eventsRoute, "")
	require.NotNil(t, s.nextEvent())
	key.set(&access.TokenError{Why: "expired"})
	for m := s.nextEvent(); m["event"] != "end"; m = s.nextEvent() {
		require.NotNil(t, m)
	}
}

func TestRenew_AWebSocketEndsWithItsKey(t *testing.T) {
	t.Parallel()
	key := &renewing{}
	f := serveWith(t, func(d *Deps, _ *Config) { d.Access = key })
	f.handler.sockets.ping = 20 * time.Millisecond
	conn := f.dial(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, _, err := conn.Read(ctx)
		ended <- err
	}()
	key.set(access.ErrUnavailable)
	key.wait(t)
	require.Empty(t, ended, "it goes on while nobody can tell")

	key.set(access.ErrKey)
	err := <-ended
	require.Equal(t, websocket.StatusPolicyViolation, websocket.CloseStatus(err), "%v", err)
	require.ErrorContains(t, err, "revoked")
}
