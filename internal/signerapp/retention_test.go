package signerapp

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/pgtest"
)

// What a client is told about a transaction that retention has deleted: that it may have
// been. Its idempotency key is free again.
func TestApp_ATransactionThatRetentionDeleted(t *testing.T) {
	t.Parallel()
	dsn := pgtest.DSN(t)
	cfg := config(t, chain(t).HTTPURL(), dsn)
	cfg.Queue.Retention = 30 * 24 * time.Hour
	run := func() (url string, stop func()) {
		app, err := New(cfg, Deps{Log: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		ended, ready := make(chan error, 1), make(chan struct{})
		go func() { ended <- app.Run(ctx, func() { close(ready) }) }()
		select {
		case <-ready:
		case err := <-ended:
			require.NoError(t, err)
		}
		return "http://" + app.Addr(), func() { cancel(); require.NoError(t, <-ended) }
	}
	const body = `{"from":"` + alice + `","to":"` + bob + `","value":"1","idempotencyKey":"old"}`
	url, stop := run()
	status, text := call(t, "POST", url+"/v1/transactions", body)
	require.Equal(t, 202, status, text)
	var accepted struct{ ID string }
	require.NoError(t, json.Unmarshal([]byte(text), &accepted))
	require.Eventually(t, func() bool {
		_, text = call(t, "GET", url+"/v1/transactions/"+accepted.ID, "")
		return strings.Contains(text, `"status":"confirmed"`)
	}, 30*time.Second, 50*time.Millisecond, "%s", &text)
	stop()

	pool, err := pgxpool.New(t.Context(), dsn)
	require.NoError(t, err)
	defer pool.Close()
	for _, sql := range []string{
		`update transactions set created_at = created_at - interval '31 days', updated_at = updated_at - interval '31 days'`,
		`update webhook_feed set position = (select coalesce(max(id), 0) from tx_events)`, // all webhooks were told
	} {
		_, err := pool.Exec(t.Context(), sql)
		require.NoError(t, err)
	}

	url, stop = run()
	defer stop()
	var problem struct {
		Code, Detail string
		Status       int
	}
	require.Eventually(t, func() bool {
		status, text = call(t, "GET", url+"/v1/transactions/"+accepted.ID, "")
		return status == 404
	}, 30*time.Second, 50*time.Millisecond, "%s", &text)
	for _, path := range []string{"", "/history", "/receipt"} {
		status, text = call(t, "GET", url+"/v1/transactions/"+accepted.ID+path, "")
		require.NoError(t, json.Unmarshal([]byte(text), &problem))
		require.Equal(t, 404, status, text)
		require.Equal(t, "not_found", problem.Code, path)
		require.Contains(t, problem.Detail, "queue.retention", path)
	}
	_, text = call(t, "GET", url+"/v1/transactions?idempotencyKey=old", "")
	require.Contains(t, text, `"items":[]`)
	status, text = call(t, "POST", url+"/v1/transactions", body)
	require.Equal(t, 202, status, text)
	require.NotContains(t, text, accepted.ID)
}
