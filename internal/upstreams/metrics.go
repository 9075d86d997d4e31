package upstreams

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/slipwayhq/slipway/internal/telemetry"
)

type metrics struct {
	attempts *prometheus.CounterVec
	latency  *prometheus.HistogramVec
	hedges   *prometheus.CounterVec
	head     *prometheus.GaugeVec
	serving  *prometheus.GaugeVec

	consensus *prometheus.CounterVec
	disagreed *prometheus.CounterVec

	violations *prometheus.CounterVec
	lookups    *prometheus.CounterVec
}

func newMetrics(f telemetry.Factory) *metrics {
	return &metrics{
		attempts: f.CounterVec("gateway_upstream_attempts_total", "Requests sent to an upstream, by outcome.", "network", "upstream", "outcome"),
		latency:  f.DurationVec("gateway_upstream_attempt_seconds", "Time from sending a request to an upstream to the judged answer.", "network", "upstream"),
		hedges:   f.CounterVec("gateway_upstream_hedges_total", "Reads that were also started on a second upstream because the first was slow, by who answered first.", "network", "upstream", "winner"),
		head:     f.GaugeVec("gateway_upstream_head_block", "Newest block an upstream has shown.", "network", "upstream"),
		serving:  f.GaugeVec("gateway_upstream_serving", "1 while an upstream is reachable and shows the right chain.", "network", "upstream"),

		consensus: f.CounterVec("gateway_consensus_total", "Reads for which several upstreams were asked, by how it ended.", "network", "outcome"),
		disagreed: f.CounterVec("gateway_upstream_disagreements_total", "Answers of an upstream that differed from the one on which enough others agreed.", "network", "upstream"),

		violations: f.CounterVec("gateway_integrity_violations_total", "Answers of an upstream that failed a check, by check; observed ones too.", "network", "upstream", "check"),
		lookups:    f.CounterVec("gateway_integrity_lookups_total", "Blocks that were wanted to compare answers with, by outcome (known, asked, failed, skipped).", "network", "outcome"),
	}
}

// lookedUp notes that a block was wanted.
func (m *metrics) lookedUp(cfg Config, outcome string) {
	m.lookups.WithLabelValues(cfg.Network, outcome).Inc()
}

// upstreamMetrics are the metrics of one upstream, with their labels resolved.
type upstreamMetrics struct {
	latency   prometheus.Observer
	head      prometheus.Gauge
	serving   prometheus.Gauge
	hedgeWon  prometheus.Counter
	hedgeLost prometheus.Counter
	disagreed prometheus.Counter

	violation func(Check)

	count    func(outcome string) prometheus.Counter
	outcomes [outcomeCount]atomic.Pointer[prometheus.Counter] // made at first use
}

func (m *metrics) of(network string, id ID) *upstreamMetrics {
	upstream := string(id)
	return &upstreamMetrics{
		latency:   m.latency.WithLabelValues(network, upstream),
		head:      m.head.WithLabelValues(network, upstream),
		serving:   m.serving.WithLabelValues(network, upstream),
		hedgeWon:  m.hedges.WithLabelValues(network, upstream, "first"),
		hedgeLost: m.hedges.WithLabelValues(network, upstream, "second"),
		disagreed: m.disagreed.WithLabelValues(network, upstream),
		violation: func(c Check) { m.violations.WithLabelValues(network, upstream, c.String()).Inc() },
		count: func(outcome string) prometheus.Counter {
			return m.attempts.WithLabelValues(network, upstream, outcome)
		},
	}
}

func (m *upstreamMetrics) attempt(outcome Outcome, latency time.Duration) {
	m.counter(outcome).Inc()
	m.latency.Observe(latency.Seconds())
}

func (m *upstreamMetrics) counter(outcome Outcome) prometheus.Counter {
	counter := m.outcomes[outcome].Load()
	if counter == nil {
		made := m.count(outcome.String())
		counter = &made
		m.outcomes[outcome].Store(counter)
	}
	return *counter
}
