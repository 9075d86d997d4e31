package admission

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/slipwayhq/slipway/internal/telemetry"
)

type metrics struct{ decisions *prometheus.CounterVec }

func newMetrics(f telemetry.Factory) *metrics {
	return &metrics{
		decisions: f.CounterVec("signer_policy_decisions_total", "Decisions of the policy, by kind and outcome (allow, deny, require_approval; with dry_run_ before it where it had no effect).", "kind", "outcome"),
	}
}
