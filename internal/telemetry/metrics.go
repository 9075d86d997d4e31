package telemetry

import (
	"errors"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Factory makes the metrics of one program. It registers each and remembers
// what it made, so that docs/metrics.md can be generated and checked.
// Packages build their metrics from the Factory they are given: two programs
// in one process have two factories and share nothing.
type Factory struct {
	registry *prometheus.Registry
	made     *[]Metric
}

// Metric describes one metric for the documentation.
type Metric struct {
	Name, Type, Help string
	Labels           []string
}

// NewFactory makes a factory with a registry of its own, which also exports
// the metrics of the Go runtime and of the process.
func NewFactory() Factory {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return Factory{registry: registry, made: &[]Metric{}}
}

// Gatherer is what the metrics endpoint reads.
func (f Factory) Gatherer() prometheus.Gatherer { return f.registry }

// Metrics lists what was made, sorted by name.
func (f Factory) Metrics() []Metric {
	out := slices.Clone(*f.made)
	slices.SortFunc(out, func(a, b Metric) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// CounterVec makes a counter. Label values must come from closed sets.
func (f Factory) CounterVec(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	return registered(f, c, Metric{name, "counter", help, labels})
}

// GaugeVec makes a gauge. Label values must come from closed sets.
func (f Factory) GaugeVec(name, help string, labels ...string) *prometheus.GaugeVec {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	return registered(f, g, Metric{name, "gauge", help, labels})
}

// durationBuckets, in seconds, resolve a memory hit (0.1 ms) as well as a
// trace call (a minute).
func durationBuckets() []float64 {
	return []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
}

// DurationVec makes a histogram of seconds. Label values must come from closed sets.
func (f Factory) DurationVec(name, help string, labels ...string) *prometheus.HistogramVec {
	return f.HistogramVec(name, help, durationBuckets(), labels...)
}

// HistogramVec makes a histogram. Label values must come from closed sets.
func (f Factory) HistogramVec(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	return registered(f, h, Metric{name, "histogram", help, labels})
}

// registered adds a metric, or finds the one that was made before: several
// networks in one program share their metrics and differ in their labels. A
// name with other labels is a mistake of the program and panics.
func registered[C prometheus.Collector](f Factory, made C, m Metric) C {
	err := f.registry.Register(made)
	var known prometheus.AlreadyRegisteredError
	if errors.As(err, &known) {
		return known.ExistingCollector.(C) //nolint:forcetypeassert // same name, help and labels: same kind, or Register had refused it
	}
	if err != nil {
		panic(err)
	}
	*f.made = append(*f.made, m)
	return made
}
