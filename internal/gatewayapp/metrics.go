package gatewayapp

import (
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// erpcName says under which of eRPC's names one of our metrics is shown as
// well, so that dashboards made for eRPC go on. The families are made when
// metrics are read: a request pays nothing for them.
type erpcName struct {
	name, from string
	// only keeps the series whose label has one of these values; without drops
	// those; both empty keep all.
	label         string
	only, without []string
	// labels maps the labels that stay: eRPC's name to ours. Series that then
	// have equal labels are added up; gauges and histograms must not.
	labels map[string]string
}

// erpcNames is the table of names.
func erpcNames() []erpcName {
	perMethod := map[string]string{"project": "project", "network": "network", "category": "method"}
	failed := map[string]string{"project": "project", "network": "network", "category": "method", "error": "outcome"}
	perNetwork := map[string]string{"project": "project", "network": "network"}
	perUpstream := map[string]string{"project": "project", "network": "network", "vendor": vendorLabel, "upstream": "upstream"}
	upstreamTries := with(perUpstream, "attempt", "attempt")
	upstreamError := with(upstreamTries, "error", "outcome")
	perStore := map[string]string{"project": "project", "network": "network", "connector": "store", "policy": "policy", "ttl": "ttl"}
	answered := []string{"ok", "client_fault", "null"}
	return []erpcName{
		{name: "erpc_network_request_received_total", from: "gateway_requests_total", labels: perMethod},
		{name: "erpc_network_successful_request_total", from: "gateway_requests_total", label: "outcome", only: []string{"ok"}, labels: perMethod},
		{name: "erpc_network_failed_request_total", from: "gateway_requests_total", label: "outcome", without: []string{"ok"}, labels: failed},
		{name: "erpc_network_request_duration_seconds", from: "gateway_request_seconds", labels: perMethod},
		{name: "erpc_network_multiplexed_request_total", from: "gateway_joined_total", labels: perNetwork},
		{name: "erpc_network_hedged_request_total", from: "gateway_upstream_hedges_total", labels: perUpstream},
		{name: "erpc_network_hedge_discards_total", from: "gateway_upstream_hedges_total", label: "winner", only: []string{"first"}, labels: perUpstream},
		{name: "erpc_upstream_request_total", from: "gateway_upstream_attempts_total", labels: upstreamTries},
		{name: "erpc_upstream_request_errors_total", from: "gateway_upstream_attempts_total", label: "outcome", without: answered, labels: upstreamError},
		{name: "erpc_upstream_failures_total", from: "gateway_upstream_attempts_total", label: "outcome", without: answered, labels: perUpstream},
		{name: "erpc_upstream_request_duration_seconds", from: "gateway_upstream_attempt_seconds", labels: perUpstream},
		{name: "erpc_upstream_latest_block_number", from: "gateway_upstream_head_block", labels: perUpstream},
		{name: "erpc_upstream_stale_latest_block_total", from: "gateway_upstream_attempts_total", label: "outcome", only: []string{"stale"}, labels: perUpstream},
		{name: "erpc_integrity_violation_total", from: "gateway_integrity_violations_total", labels: with(perUpstream, "check", "check")},
		{name: "erpc_integrity_aux_request_total", from: "gateway_integrity_lookups_total", label: "outcome", only: []string{"asked", "failed"}, labels: perNetwork},
		{name: "erpc_unexpected_panic_total", from: "gateway_panics_total", labels: map[string]string{"scope": "scope"}},
		{name: "erpc_cache_get_success_hit_total", from: "gateway_cache_gets_total", label: "outcome", only: []string{"hit"}, labels: perStore},
		{name: "erpc_cache_get_success_miss_total", from: "gateway_cache_gets_total", label: "outcome", only: []string{"miss"}, labels: perStore},
		{name: "erpc_cache_get_error_total", from: "gateway_cache_gets_total", label: "outcome", only: []string{"failure"}, labels: perStore},
		{name: "erpc_cache_hits_total", from: "gateway_cache_gets_total", label: "outcome", only: []string{"hit"}, labels: perStore},
		{name: "erpc_cache_set_success_total", from: "gateway_cache_sets_total", label: "outcome", only: []string{"ok"}, labels: perStore},
		{name: "erpc_cache_get_duration_seconds", from: "gateway_cache_redis_seconds", label: "operation", only: []string{"get"}, labels: map[string]string{"operation": "operation"}},
		{name: "erpc_cache_set_duration_seconds", from: "gateway_cache_redis_seconds", label: "operation", only: []string{"set"}, labels: map[string]string{"operation": "operation"}},
		{name: "erpc_cache_set_error_total", from: "gateway_cache_sets_total", label: "outcome", only: []string{"failure"}, labels: perStore},
	}
}

// vendorLabel is what stands for the program of a node, which none of our metrics
// has: it is looked up when they are read.
const vendorLabel = "vendor"

// with is a table of labels and one more.
func with(labels map[string]string, name, ours string) map[string]string {
	out := maps.Clone(labels)
	out[name] = ours
	return out
}

// vendorOf says what program a node is.
type vendorOf func(project, network, upstream string) string

// withERPCNames adds eRPC's names to what a gatherer reads, and what state gives.
func withERPCNames(own prometheus.Gatherer, vendor vendorOf, state func() []*dto.MetricFamily) prometheus.Gatherer {
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		families, err := own.Gather()
		if err != nil {
			return families, err
		}
		byName := make(map[string]*dto.MetricFamily, len(families))
		for _, f := range families {
			byName[f.GetName()] = f
		}
		for _, n := range erpcNames() {
			if f := byName[n.from]; f != nil {
				// A family without series cannot be written.
				if renamed := n.family(f, vendor); len(renamed.GetMetric()) > 0 {
					families = append(families, renamed)
				}
			}
		}
		for _, f := range state() {
			if len(f.GetMetric()) > 0 {
				families = append(families, f)
			}
		}
		slices.SortFunc(families, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
		return families, nil
	})
}

// family makes the family under eRPC's name.
func (n erpcName) family(from *dto.MetricFamily, vendor vendorOf) *dto.MetricFamily {
	help := "As " + n.from + ", under the name that dashboards made for eRPC use."
	out := &dto.MetricFamily{Name: &n.name, Help: &help, Type: from.Type}
	sums := map[string]*dto.Metric{}
	for _, m := range from.GetMetric() {
		if !n.keeps(m) {
			continue
		}
		labels, key := n.relabel(m, vendor)
		if sum := sums[key]; sum != nil && sum.Counter != nil && m.GetCounter() != nil {
			value := sum.Counter.GetValue() + m.GetCounter().GetValue()
			sum.Counter = &dto.Counter{Value: &value}
			continue
		}
		renamed := &dto.Metric{Label: labels, Gauge: m.Gauge, Histogram: m.Histogram}
		if c := m.GetCounter(); c != nil {
			value := c.GetValue()
			renamed.Counter = &dto.Counter{Value: &value}
		}
		sums[key] = renamed
		out.Metric = append(out.Metric, renamed)
	}
	return out
}

func (n erpcName) keeps(m *dto.Metric) bool {
	value := labelOf(m, n.label)
	if len(n.only) > 0 {
		return slices.Contains(n.only, value)
	}
	return !slices.Contains(n.without, value)
}

func labelOf(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// relabel gives the labels of a series under eRPC's names, and a text that is
// equal for equal labels.
func (n erpcName) relabel(m *dto.Metric, vendor vendorOf) ([]*dto.LabelPair, string) {
	var labels []*dto.LabelPair
	var key strings.Builder
	names := make([]string, 0, len(n.labels))
	for name := range n.labels {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		value := labelOf(m, n.labels[name])
		if n.labels[name] == vendorLabel {
			value = vendor(labelOf(m, "project"), labelOf(m, "network"), labelOf(m, "upstream"))
		}
		labels = append(labels, &dto.LabelPair{Name: &name, Value: &value})
		key.WriteString(value)
		key.WriteByte(0)
	}
	return labels, key.String()
}
