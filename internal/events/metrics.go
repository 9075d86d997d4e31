package events

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/slipwayhq/slipway/internal/telemetry"
)

type metrics struct {
	streams *prometheus.GaugeVec
	ended   *prometheus.CounterVec // reason
	waits   *prometheus.CounterVec
	failed  *prometheus.CounterVec
}

func newMetrics(f telemetry.Factory) *metrics {
	return &metrics{
		streams: f.GaugeVec("signer_events_streams", "Clients that listen to events."),
		ended:   f.CounterVec("signer_events_ended_total", "Streams of events that ended, by reason (left, slow, stopping, full, failed).", "reason"),
		waits:   f.CounterVec("signer_events_waits_total", "Times the next event was waited for because one with a lower id was still being written."),
		failed:  f.CounterVec("signer_events_failures_total", "Times new events could not be read from the database."),
	}
}
