package gatewayapp

import (
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"

	"github.com/slipwayhq/slipway/internal/ratelimit"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

// stateMetric is a gauge under eRPC's name that is read from the nodes, or from
// the budgets, when metrics are read: nothing has to keep it.
type stateMetric struct {
	name, help string
	// of gives the value for a node of a network.
	of func(n *network, s upstreams.Standing) float64
}

func stateMetrics() []stateMetric {
	return []stateMetric{
		{"erpc_upstream_block_head_lag", "Blocks by which an upstream is behind the newest known one.", func(n *network, s upstreams.Standing) float64 {
			return behind(n.tracker.Head().Latest, s.Head)
		}},
		{"erpc_upstream_finalization_lag", "Blocks between the final block of the network and what an upstream has of it.", func(n *network, s upstreams.Standing) float64 {
			return behind(n.tracker.Head().Finalized, s.Head)
		}},
		{"erpc_upstream_finalized_block_number", "Newest final block that an upstream has.", func(n *network, s upstreams.Standing) float64 {
			return float64(min(n.tracker.Head().Finalized, s.Head))
		}},
		{"erpc_upstream_score_overall", "Share of the best score, 1 for a node that is as good as any; see GET /upstreams for why.", func(_ *network, s upstreams.Standing) float64 {
			return 1 / float64(1+max(s.Score, 0))
		}},
		{"erpc_upstream_cordoned", "1 while an operator keeps an upstream from at least some methods.", func(_ *network, s upstreams.Standing) float64 {
			if len(s.Cordons) > 0 {
				return 1
			}
			return 0
		}},
	}
}

// vendor is the program that a node is.
func (s *site) vendor(project, network, upstream string) string {
	if n := s.network(project, network); n != nil {
		for _, u := range n.pool.Upstreams() {
			if string(u.ID()) == upstream {
				return u.Vendor()
			}
		}
	}
	return "unknown" // of an earlier configuration
}

// budgetMetric is a gauge of the budgets in force.
const budgetMetric = "erpc_rate_limiter_budget_max_count"

func behind(latest, head uint64) float64 { return float64(latest - min(latest, head)) }

// stateFamilies reads these metrics from a site.
func (s *site) stateFamilies() []*dto.MetricFamily {
	metrics := stateMetrics()
	families := make([]*dto.MetricFamily, 0, len(metrics)+1)
	for _, m := range metrics {
		families = append(families, gauges(m.name, m.help))
	}
	for _, n := range s.networks {
		for _, standing := range n.pool.Explain("eth_call", nil) {
			labels := map[string]string{"project": n.project, "network": n.cfg.name(), "upstream": string(standing.Upstream), vendorLabel: standing.Vendor}
			for i, m := range metrics {
				families[i].Metric = append(families[i].Metric, gauge(m.of(n, standing), labels))
			}
		}
	}
	return append(families, budgetFamily(s.limits.cfg))
}

func budgetFamily(cfg ratelimit.Config) *dto.MetricFamily {
	family := gauges(budgetMetric, "Requests that a rule of a budget lets through in its period.")
	for _, b := range cfg.Budgets {
		for _, r := range b.Rules {
			family.Metric = append(family.Metric, gauge(float64(r.MaxCount), map[string]string{"budget": b.ID, "method": r.Methods.String(), "period": r.Period.String(), "scope": scope(r)}))
		}
	}
	return family
}

// scope says what a rule counts apart.
func scope(r ratelimit.Rule) string {
	var out []string
	for _, s := range []struct {
		is   bool
		name string
	}{{r.PerIP, "ip"}, {r.PerUser, "user"}, {r.PerNetwork, "network"}} {
		if s.is {
			out = append(out, s.name)
		}
	}
	return strings.Join(out, ",")
}

func gauges(name, help string) *dto.MetricFamily {
	kind := dto.MetricType_GAUGE
	return &dto.MetricFamily{Name: &name, Help: &help, Type: &kind}
}

func gauge(value float64, labels map[string]string) *dto.Metric {
	out := &dto.Metric{Gauge: &dto.Gauge{Value: &value}}
	names := make([]string, 0, len(labels))
	for name := range labels {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		value := labels[name]
		out.Label = append(out.Label, &dto.LabelPair{Name: &name, Value: &value})
	}
	return out
}
