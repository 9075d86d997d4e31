package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFactory_RemembersAndExports(t *testing.T) {
	t.Parallel()

	a, b := NewFactory(), NewFactory() // two programs in one process
	counter := a.CounterVec("x_total", "Xs.", "kind")
	a.DurationVec("x_seconds", "Time.", "kind").WithLabelValues("k").Observe(1)
	a.GaugeVec("x", "X.").WithLabelValues().Set(2)
	b.CounterVec("x_total", "Xs.", "kind")
	counter.WithLabelValues("k").Inc()

	names := []string{}
	for _, m := range a.Metrics() {
		names = append(names, m.Name+" "+m.Type+" "+strings.Join(m.Labels, ","))
	}
	require.Equal(t, []string{"x gauge ", "x_seconds histogram kind", "x_total counter kind"}, names)

	rec := httptest.NewRecorder()
	NewAdminHandler(a.Gatherer()).ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	require.Contains(t, rec.Body.String(), `x_total{kind="k"} 1`)
}

func TestAdmin_ReadinessNamesWhatFails(t *testing.T) {
	t.Parallel()

	h := NewAdminHandler(NewFactory().Gatherer(),
		Check{"good", func(context.Context) error { return nil }},
		Check{"database", func(context.Context) error { return errors.New("away") }})

	ready := httptest.NewRecorder()
	h.ServeHTTP(ready, httptest.NewRequestWithContext(t.Context(), "GET", "/readyz", nil))
	require.Equal(t, 503, ready.Code)
	require.JSONEq(t, `{"status":"not ready","failed":{"database":"away"}}`, ready.Body.String())

	live := httptest.NewRecorder()
	h.ServeHTTP(live, httptest.NewRequestWithContext(t.Context(), "GET", "/livez", nil))
	require.Equal(t, 200, live.Code)
}

func TestNewLogger_RefusesUnknownFormat(t *testing.T) {
	t.Parallel()

	_, err := NewLogger(&strings.Builder{}, LogConfig{Format: "xml"})
	require.ErrorContains(t, err, "must be json or text")

	var out strings.Builder
	log, err := NewLogger(&out, LogConfig{Level: slog.LevelWarn, Format: "json"})
	require.NoError(t, err)
	log.Info("hidden")
	log.Warn("shown")
	require.Contains(t, out.String(), `"msg":"shown"`)
	require.NotContains(t, out.String(), "hidden")
}

func TestNewLogger_LinesAreForCollectors(t *testing.T) {
	t.Parallel()
	const id = "0af7651916cd43dd8448eb211c80319c"
	var out strings.Builder
	log, err := NewLogger(&out, LogConfig{Level: slog.LevelDebug, Format: "json"})
	require.NoError(t, err)
	log = log.With(slog.String("part", "test"))
	traced := WithTrace(t.Context(), Trace{Parent: "00-" + id + "-b7ad6b7169203331-01"})
	log.DebugContext(t.Context(), "one\nline", slog.String("text", "two\nlines"))
	log.InfoContext(traced, "a")
	log.WarnContext(WithTrace(t.Context(), Trace{Parent: "00-ZZ-b7ad6b7169203331-01"}), "b")
	log.ErrorContext(t.Context(), "c")
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	require.Len(t, lines, 4, "one line each, whatever is in it")
	for i, want := range []string{"DEBUG", "INFO", "WARNING", "ERROR"} {
		var line map[string]any
		require.NoError(t, json.Unmarshal([]byte(lines[i]), &line))
		require.Equal(t, want, line["severity"])
		require.Equal(t, "test", line["part"])
		for _, key := range []string{"time", "level", "msg"} {
			require.NotEmpty(t, line[key], key)
		}
		_, err := time.Parse(time.RFC3339Nano, line["time"].(string)) //nolint:forcetypeassert // a test
		require.NoError(t, err)
		require.Equal(t, i == 1, line["trace_id"] == id, lines[i])
	}
}
