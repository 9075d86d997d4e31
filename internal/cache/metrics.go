package cache

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/slipwayhq/slipway/internal/telemetry"
)

// Metrics are the metrics of all stores of one program.
type Metrics struct {
	gets, sets *prometheus.CounterVec
}

// NewMetrics makes the metrics, once per program.
func NewMetrics(f telemetry.Factory) *Metrics {
	return &Metrics{
		gets: f.CounterVec("gateway_cache_gets_total", "Look-ups in a store of kept answers.", "store", "outcome"),
		sets: f.CounterVec("gateway_cache_sets_total", "Answers given to a store to keep.", "store", "outcome"),
	}
}

// storeMetrics are the metrics of one store, with their labels resolved.
type storeMetrics struct {
	hits, misses, getFailures  prometheus.Counter
	sets, setFailures, dropped prometheus.Counter
}

func (m *Metrics) of(store string) *storeMetrics {
	return &storeMetrics{
		hits:        m.gets.WithLabelValues(store, "hit"),
		misses:      m.gets.WithLabelValues(store, "miss"),
		getFailures: m.gets.WithLabelValues(store, "failure"),
		sets:        m.sets.WithLabelValues(store, "ok"),
		setFailures: m.sets.WithLabelValues(store, "failure"),
		dropped:     m.sets.WithLabelValues(store, "dropped"),
	}
}
