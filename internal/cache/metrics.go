package cache

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/slipwayhq/slipway/internal/telemetry"
)

// Metrics are the metrics of all stores of one program.
type Metrics struct {
	gets, sets *prometheus.CounterVec
	seconds    *prometheus.HistogramVec
	bytes      *prometheus.CounterVec
}

// NewMetrics makes the metrics, once per program.
func NewMetrics(f telemetry.Factory) *Metrics {
	return &Metrics{
		gets:    f.CounterVec("gateway_cache_gets_total", "Look-ups in a store of kept answers.", "store", "outcome"),
		sets:    f.CounterVec("gateway_cache_sets_total", "Answers given to a store to keep.", "store", "outcome"),
		seconds: f.HistogramVec("gateway_cache_redis_seconds", "How long Redis took, by operation.", redisBuckets(), "operation"),
		bytes:   f.CounterVec("gateway_cache_redis_bytes_total", "Size of the answers given to Redis, and of what is stored of them.", "form"),
	}
}

// redisBuckets reach from a local Redis to its timeout.
func redisBuckets() []float64 {
	return []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1}
}

// storeMetrics are the metrics of one store, with their labels resolved.
type storeMetrics struct {
	hits, misses, getFailures, corrupted prometheus.Counter
	sets, setFailures, dropped           prometheus.Counter
}

func (m *Metrics) of(l Layer) *storeMetrics {
	store := l.String()
	return &storeMetrics{
		hits:        m.gets.WithLabelValues(store, "hit"),
		misses:      m.gets.WithLabelValues(store, "miss"),
		getFailures: m.gets.WithLabelValues(store, "failure"),
		corrupted:   m.gets.WithLabelValues(store, "corrupted"),
		sets:        m.sets.WithLabelValues(store, "ok"),
		setFailures: m.sets.WithLabelValues(store, "failure"),
		dropped:     m.sets.WithLabelValues(store, "dropped"),
	}
}

// redisMetrics are what Redis has besides.
type redisMetrics struct {
	*storeMetrics

	getSeconds, setSeconds     prometheus.Observer
	originalBytes, storedBytes prometheus.Counter
}

func (m *Metrics) redis() *redisMetrics {
	return &redisMetrics{
		storeMetrics:  m.of(InRedis),
		getSeconds:    m.seconds.WithLabelValues("get"),
		setSeconds:    m.seconds.WithLabelValues("set"),
		originalBytes: m.bytes.WithLabelValues("original"),
		storedBytes:   m.bytes.WithLabelValues("stored"),
	}
}
