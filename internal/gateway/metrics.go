package gateway

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/telemetry"
)

const sourceCount = int(FromFlight) + 1

type metrics struct {
	requests         *prometheus.CounterVec
	seconds          *prometheus.HistogramVec
	joined           prometheus.Counter
	batches          prometheus.Counter
	splits           *prometheus.CounterVec
	project, network string

	// rows hold the metrics of each method with their labels resolved, by the
	// method's index; made at first use.
	rows []methodMetrics
}

// panicCounter counts panics that were recovered, by where.
type panicCounter struct{ *prometheus.CounterVec }

func newPanics(f telemetry.Factory) panicCounter {
	c := f.CounterVec("gateway_panics_total", "Panics that ended one request instead of the program.", "scope")
	for _, scope := range []string{"request", "batch", "websocket"} {
		c.WithLabelValues(scope)
	}
	return panicCounter{c}
}

type methodMetrics struct {
	seconds  atomic.Pointer[prometheus.Observer]
	requests [int(outcomeCount) * sourceCount]atomic.Pointer[prometheus.Counter]
}

func newMetrics(f telemetry.Factory, project, network string, methodCount int) *metrics {
	return &metrics{
		project: project,
		network: network,
		rows:    make([]methodMetrics, methodCount),
		requests: f.CounterVec("gateway_requests_total", "Calls answered, elements of batches each, by outcome and by who gave the answer.",
			"project", "network", "method", "outcome", "source"),
		seconds: f.DurationVec("gateway_request_seconds", "Time from reading a call to its answer; for elements of a batch, to the answer of the batch.",
			"project", "network", "method"),
		joined: f.CounterVec("gateway_joined_total", "Calls that shared the forward of an equal call in flight.", "project", "network").
			WithLabelValues(project, network),
		splits: f.CounterVec("gateway_splits_total", "Searches over many blocks that were asked for in pieces, by whether their range or a node's limit was the cause.",
			"project", "network", "method", "cause"),
		batches: f.CounterVec("gateway_batches_total", "Batches received.", "project", "network").
			WithLabelValues(project, network),
	}
}

// split notes a search that is asked for in pieces.
func (m *metrics) split(method *methods.Method, cause string) {
	m.splits.WithLabelValues(m.project, m.network, method.Label(), cause).Inc()
}

// count notes one call.
func (m *metrics) count(method *methods.Method, outcome Outcome, source Source, seconds float64) {
	row := &m.rows[method.Index]
	counter := row.requests[int(outcome)*sourceCount+int(source)].Load()
	if counter == nil {
		made := m.requests.WithLabelValues(m.project, m.network, method.Label(), outcome.String(), source.String())
		counter = &made
		row.requests[int(outcome)*sourceCount+int(source)].Store(counter)
	}
	(*counter).Inc()
	observer := row.seconds.Load()
	if observer == nil {
		made := m.seconds.WithLabelValues(m.project, m.network, method.Label())
		observer = &made
		row.seconds.Store(observer)
	}
	(*observer).Observe(seconds)
}

// socketMetrics are those of all WebSocket connections.
type socketMetrics struct {
	connections    *prometheus.GaugeVec
	ends, refusals *prometheus.CounterVec
}

func newSocketMetrics(f telemetry.Factory) *socketMetrics {
	return &socketMetrics{
		connections: f.GaugeVec("gateway_websocket_connections", "Open WebSocket connections of clients.", "project", "network"),
		ends:        f.CounterVec("gateway_websocket_closed_total", "Ended WebSocket connections, by reason.", "reason"),
		refusals:    f.CounterVec("gateway_websocket_refused_total", "WebSocket connections that were not taken, by reason (origin, unauthorized, full, handshake).", "reason"),
	}
}

func (m *socketMetrics) open(project, network string) prometheus.Gauge {
	return m.connections.WithLabelValues(project, network)
}

func (m *socketMetrics) closed(reason string) { m.ends.WithLabelValues(reason).Inc() }

func (m *socketMetrics) refused(reason string) { m.refusals.WithLabelValues(reason).Inc() }
