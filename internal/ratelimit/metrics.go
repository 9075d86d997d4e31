package ratelimit

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/slipwayhq/slipway/internal/telemetry"
)

// Metrics are the metrics of the rate limits of one program.
type Metrics struct {
	decisions *prometheus.CounterVec
	degraded  prometheus.Counter
}

// NewMetrics makes the metrics, once per program, whose name they begin with.
func NewMetrics(f telemetry.Factory, program string) *Metrics {
	return &Metrics{
		decisions: f.CounterVec(program+"_ratelimit_decisions_total", "Requests held against a budget, by outcome (allowed, denied).", "budget", "outcome"),
		degraded:  f.CounterVec(program+"_ratelimit_degraded_total", "Requests that this process counted alone because Redis could not be asked.").WithLabelValues(),
	}
}

// budgetMetrics are the metrics of one budget, with their labels resolved.
type budgetMetrics struct{ allowed, denied prometheus.Counter }

func (m *Metrics) of(budget string) budgetMetrics {
	return budgetMetrics{
		allowed: m.decisions.WithLabelValues(budget, "allowed"),
		denied:  m.decisions.WithLabelValues(budget, "denied"),
	}
}

func (m budgetMetrics) decided(d Decision) {
	if d.Allowed {
		m.allowed.Inc()
		return
	}
	m.denied.Inc()
}
