//go:build programs

package programstest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	core "k8s.io/api/core/v1"
)

// Alloy itself is too large to be built here; its parser is not.
func TestPrograms_AlloysParserTakesTheFile(t *testing.T) {
	for name, values := range map[string]string{
		"by default": "{}",
		"with all": `{observability: {alloy: {externalLabels: {cluster: tried, place: "a \"b\" \\ c"},
			metrics: {url: "http://metrics.example/write", username: me, existingSecret: m},
			logs: {url: "http://logs.example/push", username: me, existingSecret: l}, traces: {url: "http://traces.example", username: me, existingSecret: t}}}}`,
		"with tokens": `{observability: {alloy: {
			metrics: {url: "https://metrics.example/write", existingSecret: m, tenant: we, caFile: /ca.crt},
			logs: {url: "https://logs.example/push", existingSecret: l, tenant: we, caFile: /ca.crt},
			traces: {url: "https://traces.example", existingSecret: t, tenant: we, caFile: /ca.crt}}}}`,
		"traces only":  "{observability: {alloy: {metrics: {enabled: false}, logs: {enabled: false}}}}",
		"metrics only": "{observability: {alloy: {scrapeInterval: 5s, logs: {enabled: false}, traces: {enabled: false}}}}",
	} {
		t.Run(name, func(t *testing.T) {
			file := find[core.ConfigMap](t, render(t, namespace, values), "ConfigMap", "alloy").Data["config.alloy"]
			parser := exec.CommandContext(t.Context(), filepath.Join(os.Getenv("SLIPWAY_PROGRAMS"), "alloy-syntax"))
			parser.Stdin = strings.NewReader(file)
			said, err := parser.CombinedOutput()
			require.NoError(t, err, "%s\n%s", said, file)
		})
	}
}
