package cache

import (
	"cmp"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/slipwayhq/slipway/internal/telemetry"
)

// Metrics are the metrics of all stores of one program.
type Metrics struct {
	gets, sets *prometheus.CounterVec
	seconds    *prometheus.HistogramVec
	bytes      *prometheus.CounterVec
	unplanned  *series
}

// NewMetrics makes the metrics, once per program.
func NewMetrics(f telemetry.Factory) *Metrics {
	labels := []string{"project", "network", "policy", "ttl", "store", "outcome"}
	return &Metrics{
		gets:      f.CounterVec("gateway_cache_gets_total", "Look-ups in a store of kept answers, by the policy (its network, method and finality) that allowed it, and the policy's time to live.", labels...),
		sets:      f.CounterVec("gateway_cache_sets_total", "Answers given to a store to keep, by the policy that wanted it.", labels...),
		seconds:   f.HistogramVec("gateway_cache_redis_seconds", "How long Redis took, by operation.", redisBuckets(), "operation"),
		bytes:     f.CounterVec("gateway_cache_redis_bytes_total", "Size of the answers given to Redis, and of what is stored of them.", "form"),
		unplanned: &series{},
	}
}

// redisBuckets reach from a local Redis to its timeout.
func redisBuckets() []float64 {
	return []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1}
}

// series are the metrics of one policy in one network of a project, with their
// labels resolved, by store.
type series struct {
	project, network, policy, ttl string

	stores [layers]atomic.Pointer[storeMetrics] // made at first use
}

func newSeries(p Policy, project, network string) *series {
	return &series{project: project, network: network, policy: p.name(), ttl: p.TTL.String()}
}

// storeMetrics are the metrics of one store, with their labels resolved.
type storeMetrics struct {
	hits, misses, getFailures, corrupted prometheus.Counter
	sets, setFailures, dropped           prometheus.Counter
}

// of finds the metrics of a store for what a plan does there.
func (m *Metrics) of(l Layer, plan *Plan) *storeMetrics {
	s := cmp.Or(plan.series[l], m.unplanned)
	if made := s.stores[l].Load(); made != nil {
		return made
	}
	count := func(of *prometheus.CounterVec, outcome string) prometheus.Counter {
		return of.WithLabelValues(s.project, s.network, s.policy, s.ttl, l.String(), outcome)
	}
	made := &storeMetrics{
		hits:        count(m.gets, "hit"),
		misses:      count(m.gets, "miss"),
		getFailures: count(m.gets, "failure"),
		corrupted:   count(m.gets, "corrupted"),
		sets:        count(m.sets, "ok"),
		setFailures: count(m.sets, "failure"),
		dropped:     count(m.sets, "dropped"),
	}
	s.stores[l].Store(made)
	return made
}

// redisMetrics are what Redis has besides.
type redisMetrics struct {
	*Metrics

	getSeconds, setSeconds     prometheus.Observer
	originalBytes, storedBytes prometheus.Counter
}

func (m *Metrics) redis() *redisMetrics {
	return &redisMetrics{
		Metrics:       m,
		getSeconds:    m.seconds.WithLabelValues("get"),
		setSeconds:    m.seconds.WithLabelValues("set"),
		originalBytes: m.bytes.WithLabelValues("original"),
		storedBytes:   m.bytes.WithLabelValues("stored"),
	}
}
