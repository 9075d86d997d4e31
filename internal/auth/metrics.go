package auth

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/slipwayhq/slipway/internal/telemetry"
)

// Metrics are the metrics of all authenticators of one program.
type Metrics struct{ requests, keyReads *prometheus.CounterVec }

// NewMetrics makes the metrics, once per program, whose name they begin with.
func NewMetrics(f telemetry.Factory, program string) *Metrics {
	return &Metrics{
		requests: f.CounterVec(program+"_auth_requests_total", "Requests that had to say who they are, by the strategy that decided and by outcome: ok, or why not.", "project", "strategy", "outcome"),
		keyReads: f.CounterVec(program+"_auth_key_reads_total", "Reads of the keys that issuers of tokens publish.", "project", "outcome"),
	}
}

// scopeMetrics are the metrics of one authenticator, with their labels resolved.
type scopeMetrics struct {
	requests           *prometheus.CounterVec
	ok                 map[Kind]prometheus.Counter
	reads, readsFailed prometheus.Counter
}

func (m *Metrics) of(scope string) *scopeMetrics {
	out := &scopeMetrics{
		requests:    m.requests.MustCurryWith(prometheus.Labels{"project": scope}),
		ok:          map[Kind]prometheus.Counter{},
		reads:       m.keyReads.WithLabelValues(scope, "ok"),
		readsFailed: m.keyReads.WithLabelValues(scope, "failure"),
	}
	for _, kind := range []Kind{KindSecret, KindJWT, KindNetwork, KindSIWE} {
		out.ok[kind] = out.requests.WithLabelValues(string(kind), "ok")
	}
	return out
}

func (m *scopeMetrics) accepted(kind Kind) { m.ok[kind].Inc() }

func (m *scopeMetrics) refused(e *Error) {
	m.requests.WithLabelValues(string(e.Strategy), e.Reason.String()).Inc()
}

func (m *scopeMetrics) keysRead(err error) {
	if err != nil {
		m.readsFailed.Inc()
		return
	}
	m.reads.Inc()
}
