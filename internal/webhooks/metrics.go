package webhooks

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/slipwayhq/slipway/internal/telemetry"
)

type metrics struct {
	attempts *prometheus.CounterVec // outcome
	seconds  *prometheus.HistogramVec
	dead     *prometheus.CounterVec
	made     *prometheus.CounterVec
	fenced   *prometheus.CounterVec
	pending  *prometheus.GaugeVec
	oldest   *prometheus.GaugeVec
	inFlight *prometheus.GaugeVec
	failures *prometheus.CounterVec // where
}

func newMetrics(f telemetry.Factory) *metrics {
	return &metrics{
		attempts: f.CounterVec("signer_webhooks_attempts_total", "Attempts to deliver an event, by outcome (delivered, status, redirect, timeout, connection_refused, connection_broken, address_not_allowed, name_not_resolved, tls, secret_unreadable).", "outcome"),
		seconds:  f.DurationVec("signer_webhooks_attempt_seconds", "Time of an attempt to deliver an event."),
		dead:     f.CounterVec("signer_webhooks_dead_total", "Deliveries that were given up."),
		made:     f.CounterVec("signer_webhooks_deliveries_total", "Deliveries that were made of events."),
		fenced:   f.CounterVec("signer_webhooks_fenced_total", "Attempts whose result was not kept, because another replica had taken over or the webhook was deleted."),
		pending:  f.GaugeVec("signer_webhooks_pending", "Deliveries that have not arrived, of all replicas together, counted up to 100000."),
		oldest:   f.GaugeVec("signer_webhooks_oldest_pending_seconds", "Age of the oldest delivery that has not arrived."),
		inFlight: f.GaugeVec("signer_webhooks_in_flight", "Attempts of this replica that wait for their receiver."),
		failures: f.CounterVec("signer_webhooks_failures_total", "Rounds that failed and are repeated, by where (fan_out, claim, report, housekeeping).", "where"),
	}
}
