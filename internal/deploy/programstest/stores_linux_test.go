//go:build programs

package programstest_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	core "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// sources are the addresses that Grafana is given, by type.
func sources(t *testing.T, text string) map[string]string {
	t.Helper()
	var file struct {
		Datasources []struct{ Type, URL string } `json:"datasources"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(text), &file))
	out := map[string]string{}
	for _, source := range file.Datasources {
		out[source.Type] = source.URL
	}
	return out
}

// alloyURL is an address in Alloy's file that ends in something.
func alloyURL(t *testing.T, text, end string) string {
	t.Helper()
	for line := range strings.SplitSeq(text, "\n") {
		if key, value, is := strings.Cut(line, "="); is && (strings.TrimSpace(key) == "url" || strings.TrimSpace(key) == "endpoint") {
			if value = strings.Trim(strings.TrimSpace(value), `"`); strings.HasPrefix(value, "http") && strings.HasSuffix(value, end) {
				return value
			}
		}
	}
	require.Fail(t, "no address in Alloy's file", end)
	return ""
}

func victoriaMetrics() image {
	return image{program: "victoria-metrics", path: "/victoria-metrics-prod", entrypoint: []string{"/victoria-metrics-prod"}}
}

func loki() image {
	return image{program: "loki", path: "/usr/bin/loki", entrypoint: []string{"/usr/bin/loki"}}
}

func TestPrograms_VictoriaMetricsKeepsWhatAlloyWritesAndGrafanaReads(t *testing.T) {
	objects := render(t, namespace, "{}")
	data := folder(t, 65532)
	pod := start(t, objects, "StatefulSet", "victoria-metrics", victoriaMetrics(), data, nil)
	pod.becomesReady()

	// Alloy's messages are protobuf in snappy; that an empty one is taken shows the path.
	write := reach(t, objects, alloyURL(t, find[core.ConfigMap](t, objects, "ConfigMap", "alloy").Data["config.alloy"], "/api/v1/write"))
	ask(t, http.MethodPost, write, "application/x-protobuf", "\x00")
	ask(t, http.MethodPost, strings.TrimSuffix(write, "/write")+"/import/prometheus", "text/plain", "slipway_try{pod=\"a\"} 42\n")

	query := reach(t, objects, sources(t, find[core.ConfigMap](t, objects, "ConfigMap", "grafana").Data["datasources.yaml"])["prometheus"]) + "/api/v1/query?nocache=1&query=slipway_try"
	eventually(t, query, `"42"`)
	eventually(t, "http://"+podIP+":8428/metrics", "vm_rows")
	pod.callsNobody()
	pod.stop()
	// A second pod finds what the first one kept.
	start(t, objects, "StatefulSet", "victoria-metrics", victoriaMetrics(), data, nil).becomesReady()
	eventually(t, query, `"42"`)
}

func TestPrograms_LokiKeepsWhatAlloyWritesAndGrafanaReads(t *testing.T) {
	objects := render(t, namespace, "{}")
	data := folder(t, 10001)
	pod := start(t, objects, "StatefulSet", "loki", loki(), data, nil)
	pod.becomesReady()

	push := reach(t, objects, alloyURL(t, find[core.ConfigMap](t, objects, "ConfigMap", "alloy").Data["config.alloy"], "/push"))
	now := time.Now().UnixNano()
	ask(t, http.MethodPost, push, "application/json", fmt.Sprintf(
		`{"streams":[{"stream":{"pod":"a","job":"gateway"},"values":[["%d","it was tried",{"trace":"7"}]]}]}`, now))
	query := reach(t, objects, sources(t, find[core.ConfigMap](t, objects, "ConfigMap", "grafana").Data["datasources.yaml"])["loki"]) +
		"/loki/api/v1/query_range?query=" + url.QueryEscape(`{job="gateway"}`)
	eventually(t, query, "it was tried")
	eventually(t, "http://"+podIP+":3100/metrics", "loki_build_info")
	pod.callsNobody()
	pod.stop()
	// What was in memory is in its files.
	start(t, objects, "StatefulSet", "loki", loki(), data, nil).becomesReady()
	eventually(t, query, "it was tried")
}

func TestPrograms_TempoKeepsWhatAlloySendsAndGrafanaReads(t *testing.T) {
	objects := render(t, namespace, "{}")
	i := image{program: "tempo", path: "/tempo", entrypoint: []string{"/tempo"}}
	data := folder(t, 10001)
	pod := start(t, objects, "StatefulSet", "tempo", i, data, nil)
	pod.becomesReady()
	send := reach(t, objects, alloyURL(t, find[core.ConfigMap](t, objects, "ConfigMap", "alloy").Data["config.alloy"], ":4318")) + "/v1/traces"
	ask(t, http.MethodPost, send, "application/json", trace(time.Now()))
	query := reach(t, objects, sources(t, find[core.ConfigMap](t, objects, "ConfigMap", "grafana").Data["datasources.yaml"])["tempo"]) + "/api/traces/" + traceID
	eventually(t, query, "it was tried")
	eventually(t, "http://"+podIP+":3200/metrics", "tempo_build_info")
	pod.callsNobody()
	pod.stop()
	start(t, objects, "StatefulSet", "tempo", i, data, nil).becomesReady()
	eventually(t, query, "it was tried")
}

const traceID = "5b8efff798038103d269b633813fc60c"

// trace is one of a single span, as OTLP over HTTP has it.
func trace(at time.Time) string {
	return fmt.Sprintf(`{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"gateway"}}]},"scopeSpans":[{"spans":[
		{"traceId":"%s","spanId":"eee19b7ec3c1b174","name":"it was tried","kind":2,"startTimeUnixNano":"%d","endTimeUnixNano":"%d"}]}]}]}`,
		traceID, at.UnixNano(), at.Add(time.Millisecond).UnixNano())
}
