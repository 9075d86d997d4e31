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
		attempts: f.CounterVec("gateway_upstream_attempts_total", "Requests sent to an upstream, by outcome and by which try of the request it was (1 to 4, 5+).", "project", "network", "upstream", "outcome", "attempt"),
		latency:  f.DurationVec("gateway_upstream_attempt_seconds", "Time from sending a request to an upstream to the judged answer.", "project", "network", "upstream"),
		hedges:   f.CounterVec("gateway_upstream_hedges_total", "Reads that were also started on a second upstream because the first was slow, by who answered first.", "project", "network", "upstream", "winner"),
		head:     f.GaugeVec("gateway_upstream_head_block", "Newest block an upstream has shown.", "project", "network", "upstream"),
		serving:  f.GaugeVec("gateway_upstream_serving", "1 while an upstream is reachable and shows the right chain.", "project", "network", "upstream"),

		consensus: f.CounterVec("gateway_consensus_total", "Reads for which several upstreams were asked, by how it ended.", "project", "network", "outcome"),
		disagreed: f.CounterVec("gateway_upstream_disagreements_total", "Answers of an upstream that differed from the one on which enough others agreed.", "project", "network", "upstream"),

		violations: f.CounterVec("gateway_integrity_violations_total", "Answers of an upstream that failed a check, by check; observed ones too.", "project", "network", "upstream", "check"),
		lookups:    f.CounterVec("gateway_integrity_lookups_total", "Blocks that were wanted to compare answers with, by outcome (known, asked, failed, skipped).", "project", "network", "outcome"),
	}
}

// lookedUp notes that a block was wanted.
func (m *metrics) lookedUp(cfg Config, outcome string) {
	m.lookups.WithLabelValues(cfg.Project, cfg.Network, outcome).Inc()
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

	count    func(outcome, attempt string) prometheus.Counter
	outcomes [outcomeCount][maxAttemptLabel]atomic.Pointer[prometheus.Counter] // made at first use
}

func (m *metrics) of(project, network string, id ID) *upstreamMetrics {
	upstream := string(id)
	return &upstreamMetrics{
		latency:   m.latency.WithLabelValues(project, network, upstream),
		head:      m.head.WithLabelValues(project, network, upstream),
		serving:   m.serving.WithLabelValues(project, network, upstream),
		hedgeWon:  m.hedges.WithLabelValues(project, network, upstream, "first"),
		hedgeLost: m.hedges.WithLabelValues(project, network, upstream, "second"),
		disagreed: m.disagreed.WithLabelValues(project, network, upstream),
		violation: func(c Check) { m.violations.WithLabelValues(project, network, upstream, c.String()).Inc() },
		count: func(outcome, attempt string) prometheus.Counter {
			return m.attempts.WithLabelValues(project, network, upstream, outcome, attempt)
		},
	}
}

// maxAttemptLabel is the last try that is counted apart from those after it.
const maxAttemptLabel = 5

// attemptLabel is the number of a try as metric label.
func attemptLabel(number int) string {
	return [maxAttemptLabel]string{"1", "2", "3", "4", "5+"}[attemptRow(number)]
}

func attemptRow(number int) int { return min(max(number, 1), maxAttemptLabel) - 1 }

// attempt counts the try of a request with this number.
func (m *upstreamMetrics) attempt(outcome Outcome, number int, latency time.Duration) {
	m.counter(outcome, number).Inc()
	m.latency.Observe(latency.Seconds())
}

func (m *upstreamMetrics) counter(outcome Outcome, number int) prometheus.Counter {
	row := &m.outcomes[outcome][attemptRow(number)]
	counter := row.Load()
	if counter == nil {
		made := m.count(outcome.String(), attemptLabel(number))
		counter = &made
		row.Store(counter)
	}
	return *counter
}
