package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/cache"
	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/telemetry"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

func TestToWire(t *testing.T) {
	t.Parallel()

	cases := map[string]struct {
		err     error
		code    jsonrpc.Code
		status  int
		outcome Outcome
	}{
		"own":                {jsonrpc.NewError(jsonrpc.CodeParse, "x"), -32700, 400, OutcomeInvalid},
		"denied":             {&DeniedError{Reason: "x"}, -32601, 200, OutcomeDenied},
		"no upstream":        {fmt.Errorf("x: %w", upstreams.ErrNoUpstream), -32002, 503, OutcomeUnavailable},
		"a wrong selector":   {&upstreams.SelectorError{Reason: "x"}, -32600, 400, OutcomeInvalid},
		"exhausted":          {&upstreams.ExhaustedError{Last: upstreams.OutcomeBroken}, -32002, 503, OutcomeUnavailable},
		"exhausted by time":  {&upstreams.ExhaustedError{Last: upstreams.OutcomeTimeout}, -32015, 504, OutcomeTimeout},
		"exhausted by limit": {&upstreams.ExhaustedError{Last: upstreams.OutcomeRateLimited}, -32005, 429, OutcomeRateLimited},
		"time is up":         {errRequestTimeout, -32015, 504, OutcomeTimeout},
		"deadline":           {context.DeadlineExceeded, -32015, 504, OutcomeTimeout},
		"cancelled":          {context.Canceled, -32603, 503, OutcomeCanceled},
		"anything else":      {errors.New("dial http://user:hidden@node"), -32603, 500, OutcomeInternal},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			wire, status, outcome := toWire(c.err)

			require.Equal(t, c.code, wire.Code)
			require.Equal(t, c.status, status)
			require.Equal(t, c.outcome.String(), outcome.String())
			require.NotContains(t, wire.Message, "hidden")
		})
	}
}

// forwardTaking is a forward that answers after a second, unless it is cancelled.
func forwardTaking(calls *atomic.Int32) Handler {
	return func(ctx context.Context, _ *Call) (*Result, error) {
		calls.Add(1)
		select {
		case <-time.After(time.Second):
			return &Result{Value: []byte("1"), Source: FromUpstream}, nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func TestCoalesce_LeaderLeavesFollowersStay(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		var forwards atomic.Int32
		s := newCoalesceStage(time.Minute, newMetrics(telemetry.NewFactory(), "p", "n", 1))
		handler := s.Wrap(forwardTaking(&forwards))
		leaderCtx, leave := context.WithCancel(t.Context())
		followerCtx, followerLeaves := context.WithCancel(t.Context())
		go func() { _, _ = handler(leaderCtx, &Call{Key: "k"}) }()
		synctest.Wait()
		answers := make(chan *Result, 1)
		go func() {
			result, err := handler(t.Context(), &Call{Key: "k"})
			if err != nil {
				t.Error(err)
			}
			answers <- result
		}()
		left := make(chan error, 1)
		go func() {
			_, err := handler(followerCtx, &Call{Key: "k"})
			left <- err
		}()
		synctest.Wait()

		leave()
		followerLeaves()
		synctest.Wait()
		require.ErrorIs(t, <-left, context.Canceled, "a follower leaves at once")
		got := <-answers

		require.Equal(t, "1", string(got.Value))
		require.Equal(t, FromFlight, got.Source)
		require.Equal(t, int32(1), forwards.Load())
	})
}

func TestCoalesce_FollowerOutlivesTheLeadersTime(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		var forwards atomic.Int32
		s := newCoalesceStage(900*time.Millisecond, newMetrics(telemetry.NewFactory(), "p", "n", 1))
		hung := true
		handler := s.Wrap(func(ctx context.Context, call *Call) (*Result, error) {
			forwards.Add(1)
			if hung {
				hung = false
				<-ctx.Done()
				return nil, context.Cause(ctx)
			}
			return &Result{Value: []byte("1")}, nil
		})
		go func() { _, _ = handler(t.Context(), &Call{Key: "k"}) }()
		<-time.After(100 * time.Millisecond) // the follower has that much more time

		got, err := handler(t.Context(), &Call{Key: "k"})

		require.NoError(t, err)
		require.Equal(t, "1", string(got.Value))
		require.Equal(t, int32(2), forwards.Load())
	})
}

func TestCoalesce_PanicDoesNotHoldTheFollowers(t *testing.T) {
	t.Parallel()

	s := newCoalesceStage(Default().RequestTimeout, newMetrics(telemetry.NewFactory(), "p", "n", 1))
	handler := s.Wrap(func(context.Context, *Call) (*Result, error) { panic("a bug") })
	require.Panics(t, func() { _, _ = handler(t.Context(), &Call{Key: cache.Key("k")}) })
	require.Empty(t, s.flights)
}

func TestConfig_ValidateReportsEverything(t *testing.T) {
	t.Parallel()

	require.NoError(t, Default().Validate())
	err := Config{}.Validate()
	for _, part := range []string{"maximum body size", "maximum batch", "batch concurrency", "request timeout", "execution headers", "health check mode"} {
		require.ErrorContains(t, err, part)
	}
	require.NoError(t, DefaultProject().Validate())
	err = ProjectConfig{ID: "a b", CORS: CORS{MaxAge: -1}}.Validate()
	for _, part := range []string{"id: must be made of", "CORS max age"} {
		require.ErrorContains(t, err, part)
	}
	require.ErrorContains(t, NetworkConfig{Alias: "a/b"}.Validate(), "alias: must be made of")
}

func TestMayPrecede(t *testing.T) {
	t.Parallel()

	turned := time.UnixMilli(1_000_000)
	now := turned.Add(time.Minute)
	for asked, want := range map[time.Time]bool{
		turned.Add(-time.Hour):                  true,
		turned.Add(reorgMargin):                 true,
		turned.Add(reorgMargin + time.Second):   false,
		now:                                     false,
		now.Add(reorgMargin):                    false,
		now.Add(reorgMargin + time.Millisecond): true, // the clock was set back meanwhile
		now.Add(time.Hour):                      true,
	} {
		require.Equal(t, want, mayPrecede(cache.Entry{Asked: asked.UnixMilli()}, turned, now), asked)
	}
}
