package programstest_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/charts"
)

// TestPrograms_AreThoseThatAreInstalled compares the versions that make
// programs-test builds with those of the charts. What cannot be built at the
// pinned version stands in docs/charts.md, and here.
func TestPrograms_AreThoseThatAreInstalled(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ chart, repository, module, built string }{
		"victoria-metrics":   {"observability", "victoriametrics/victoria-metrics", "github.com/VictoriaMetrics/VictoriaMetrics", ""},
		"loki":               {"observability", "grafana/loki", "github.com/grafana/loki/v3", ""},
		"tempo":              {"observability", "grafana/tempo", "github.com/grafana/tempo", "2.9.0: v1.5.1-0.20250529124718-87c2dc380cec"},
		"node-exporter":      {"observability", "prometheus/node-exporter", "github.com/prometheus/node_exporter", ""},
		"kube-state-metrics": {"observability", "kube-state-metrics/kube-state-metrics", "k8s.io/kube-state-metrics/v2", "v2.17.0: v2.18.0"},
		"metrics-server":     {"observability", "metrics-server/metrics-server", "sigs.k8s.io/metrics-server", "v0.8.0: v0.9.0"},
		"kubo":               {"ipfs", "ipfs/kubo", "github.com/ipfs/kubo", ""},
	} {
		values, err := charts.Files.ReadFile("slipway/charts/" + c.chart + "/values.yaml")
		require.NoError(t, err)
		pinned := regexp.MustCompile(`repository: ` + c.repository + `\n\s+tag: (\S+)`).FindSubmatch(values)
		require.NotNil(t, pinned, c.repository)
		file, err := os.ReadFile(filepath.Join("../../../test/programs", name, "go.mod"))
		require.NoError(t, err)
		built := regexp.MustCompile(`(?m)^\s*(?:require )?` + regexp.QuoteMeta(c.module) + ` (v\S+)`).FindSubmatch(file)
		require.NotNil(t, built, name)
		if c.built == "" {
			require.Equal(t, strings.TrimPrefix(string(pinned[1]), "v"), strings.TrimPrefix(string(built[1]), "v"), "%s: run make programs-test with the version of the chart", name)
		} else {
			require.Equal(t, c.built, string(pinned[1])+": "+string(built[1]), name)
		}
	}
}
