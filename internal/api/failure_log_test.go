package api

import (
	"bytes"
	"context"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/queue"
)

func TestRequests_ACallerWhoLeftIsNoFailure(t *testing.T) {
	t.Parallel()
	gone, leave := context.WithCancel(t.Context())
	leave()
	require.Contains(t, logOfAFailure(t.Context(), t), `level=ERROR msg="request failed"`)
	require.Contains(t, logOfAFailure(gone, t), `level=DEBUG msg="request failed"`)
}

// logOfAFailure is what a request with ctx writes when the database is away.
func logOfAFailure(ctx context.Context, t *testing.T) string {
	t.Helper()
	var log bytes.Buffer
	f := serveWith(t, func(d *Deps, _ *Config) {
		d.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	f.queue.err = queue.ErrUnavailable
	body := strings.NewReader(`{"from":"` + alice + `","to":"` + bob + `"}`)
	request := httptest.NewRequestWithContext(ctx, "POST", "http://127.0.0.1/v1/transactions", body)
	request.Header.Set("Content-Type", "application/json")
	answer := httptest.NewRecorder()
	f.handler.ServeHTTP(answer, request)
	require.Equal(t, 503, answer.Code, answer.Body)
	return log.String()
}
