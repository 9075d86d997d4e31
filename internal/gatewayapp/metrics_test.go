package gatewayapp

import (
	"net/http/httptest"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/telemetry"
)

func TestERPCNames_AreMadeFromOurs(t *testing.T) {
	t.Parallel()
	f := telemetry.NewFactory()
	requests := f.CounterVec("gateway_requests_total", "x", "project", "network", "method", "outcome", "source")
	requests.WithLabelValues("p", "evm:1", "eth_call", "ok", "cache").Add(3)
	requests.WithLabelValues("p", "evm:1", "eth_call", "ok", "upstream").Add(4)
	requests.WithLabelValues("p", "evm:1", "eth_call", "timeout", "none").Add(1)
	f.DurationVec("gateway_request_seconds", "x", "project", "network", "method").WithLabelValues("p", "evm:1", "eth_call").Observe(0.2)
	attempts := f.CounterVec("gateway_upstream_attempts_total", "x", "project", "network", "upstream", "outcome", "attempt")
	for outcome, n := range map[string]float64{"ok": 5, "client_fault": 1, "null": 1, "refused": 2, "timeout": 3} {
		attempts.WithLabelValues("p", "evm:1", "besu-0", outcome, "1").Add(n)
	}
	attempts.WithLabelValues("p", "evm:1", "besu-0", "ok", "5+").Add(2)
	attempts.WithLabelValues("q", "evm:1", "besu-0", "ok", "1").Add(9)
	heads := f.GaugeVec("gateway_upstream_head_block", "x", "project", "network", "upstream")
	heads.WithLabelValues("p", "evm:1", "besu-0").Set(99)
	heads.WithLabelValues("q", "evm:1", "besu-0").Set(98)
	f.CounterVec("gateway_cache_gets_total", "x", "project", "network", "policy", "ttl", "store", "outcome").WithLabelValues("p", "evm:1", "*/*/finalized", "5s", "memory", "hit").Add(7)
	vendor := func(project, network, upstream string) string {
		require.Equal(t, "evm:1besu-0", network+upstream)
		return map[string]string{"p": "besu", "q": "unknown"}[project]
	}

	answer := httptest.NewRecorder()
	telemetry.NewAdminHandler(withERPCNames(f.Gatherer(), vendor, func() []*dto.MetricFamily { return nil })).ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	text := answer.Body.String()

	for _, want := range []string{
		`erpc_network_request_received_total{category="eth_call",network="evm:1",project="p"} 8`,
		`erpc_network_successful_request_total{category="eth_call",network="evm:1",project="p"} 7`,
		`erpc_network_failed_request_total{category="eth_call",error="timeout",network="evm:1",project="p"} 1`,
		`erpc_network_request_duration_seconds_count{category="eth_call",network="evm:1",project="p"} 1`,
		`erpc_upstream_request_total{attempt="1",network="evm:1",project="p",upstream="besu-0",vendor="besu"} 12`,
		`erpc_upstream_request_total{attempt="5+",network="evm:1",project="p",upstream="besu-0",vendor="besu"} 2`,
		`erpc_upstream_request_total{attempt="1",network="evm:1",project="q",upstream="besu-0",vendor="unknown"} 9`,
		`erpc_upstream_request_errors_total{attempt="1",error="refused",network="evm:1",project="p",upstream="besu-0",vendor="besu"} 2`,
		`erpc_upstream_failures_total{network="evm:1",project="p",upstream="besu-0",vendor="besu"} 5`,
		`erpc_upstream_latest_block_number{network="evm:1",project="p",upstream="besu-0",vendor="besu"} 99`,
		`erpc_upstream_latest_block_number{network="evm:1",project="q",upstream="besu-0",vendor="unknown"} 98`,
		`erpc_cache_get_success_hit_total{connector="memory",network="evm:1",policy="*/*/finalized",project="p",ttl="5s"} 7`,
		`erpc_cache_hits_total{connector="memory",network="evm:1",policy="*/*/finalized",project="p",ttl="5s"} 7`,
		`gateway_requests_total{method="eth_call",network="evm:1",outcome="ok",project="p",source="cache"} 3`,
	} {
		require.Contains(t, text, want+"\n")
	}
	require.NotContains(t, text, `error="ok"`)
	require.Equal(t, 200, answer.Code)
}

// A name whose source is not made any more would silently be missing.
func TestERPCNames_HaveTheirSource(t *testing.T) {
	t.Parallel()
	made, err := Metrics()
	require.NoError(t, err)
	ours := map[string][]string{}
	for _, m := range made {
		ours[m.Name] = m.Labels
	}
	seen := map[string]bool{}
	for _, n := range erpcNames() {
		require.Contains(t, ours, n.from, n.name)
		require.False(t, seen[n.name], n.name)
		seen[n.name] = true
		looked := 0
		for _, label := range n.labels {
			if label == vendorLabel {
				looked++
				continue
			}
			require.Contains(t, ours[n.from], label, n.name)
		}
		if n.label != "" {
			require.Contains(t, ours[n.from], n.label, n.name)
		}
		if !strings.HasSuffix(n.name, "_total") { // only counters may be added up
			require.Len(t, n.labels, len(ours[n.from])+looked, n.name)
		}
	}
}
