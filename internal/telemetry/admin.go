package telemetry

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// readyTimeout bounds a readiness check; probes of Kubernetes give up after 1 s
// by default, so a slower answer would be lost anyway.
const readyTimeout = 900 * time.Millisecond

// Check is one dependency of readiness. It answers nil when the dependency can
// be used, otherwise an error whose text may be shown to an operator.
type Check struct {
	Name string
	Fn   func(context.Context) error
}

// NewAdminHandler serves /metrics, /livez (the process answers) and /readyz
// (every check passes; 503 with the reasons otherwise).
func NewAdminHandler(metrics prometheus.Gatherer, checks ...Check) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.Handle("GET /readyz", ReadyHandler(checks...))
	return mux
}

// ReadyHandler answers 200 when every check passes, else 503 with the reasons.
func ReadyHandler(checks ...Check) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()

		failed := map[string]string{}
		for _, check := range checks {
			if err := check.Fn(ctx); err != nil {
				failed[check.Name] = err.Error()
			}
		}
		if len(failed) > 0 {
			writeJSON(w, http.StatusServiceUnavailable, map[string]any{"status": "not ready", "failed": failed})
			return
		}
		writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that went away is nobody's error
}
