package sharedstate

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/slipwayhq/slipway/internal/telemetry"
)

// Metrics are the metrics of the state that gateways share.
type Metrics struct {
	ok, failed prometheus.Counter
	cordons    prometheus.Gauge
}

// NewMetrics makes the metrics, once per program.
func NewMetrics(f telemetry.Factory) *Metrics {
	exchanges := f.CounterVec("gateway_sharedstate_exchanges_total", "Times that heads, cordons and purges were exchanged with the other gateways, by outcome (ok, failure).", "outcome")
	return &Metrics{
		ok: exchanges.WithLabelValues("ok"), failed: exchanges.WithLabelValues("failure"),
		cordons: f.GaugeVec("gateway_sharedstate_cordons", "Nodes, or methods of nodes, that operators have taken out.").WithLabelValues(),
	}
}
