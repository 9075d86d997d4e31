package api

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/slipwayhq/slipway/internal/telemetry"
)

type metrics struct {
	requests *prometheus.CounterVec   // route, status
	seconds  *prometheus.HistogramVec // route
	calls    *prometheus.CounterVec   // method, outcome
	sockets  *prometheus.GaugeVec

	signatures *prometheus.CounterVec // kind, outcome
}

func newMetrics(f telemetry.Factory) *metrics {
	return &metrics{
		requests:   f.CounterVec("signer_api_requests_total", "HTTP requests, by route and status.", "route", "status"),
		seconds:    f.DurationVec("signer_api_request_seconds", "Time to answer an HTTP request.", "route"),
		calls:      f.CounterVec("signer_api_calls_total", `JSON-RPC calls, by method ("forwarded" for all that go to the gateway) and outcome (ok, error).`, "method", "outcome"),
		signatures: f.CounterVec("signer_api_signatures_total", "Signatures that were asked for by themselves, by kind (message, typed_data, transaction) and outcome (ok, error).", "kind", "outcome"),
		sockets:    f.GaugeVec("signer_api_websockets", "Open WebSocket connections of clients."),
	}
}
