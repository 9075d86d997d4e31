package deploy

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// serviceMonitor is what the tests need of the Prometheus operator's ServiceMonitor.
type serviceMonitor struct {
	Metadata struct {
		Labels map[string]string `json:"labels"`
	} `json:"metadata"`
	Spec struct {
		Selector struct {
			MatchLabels map[string]string `json:"matchLabels"`
		} `json:"selector"`
		Endpoints []struct{ Port, Path, Interval string } `json:"endpoints"`
	} `json:"spec"`
}

// TestMonitors_FindEachPodOnce: among the Services that a monitor selects, one and no
// more leads to the metrics of each pod.
func TestMonitors_FindEachPodOnce(t *testing.T) {
	t.Parallel()
	r := mustRenderValues(t, overlaid(t, everything, withDApp, "global: {metrics: {monitor: service, interval: 17s, labels: {release: central}}}"))
	services, table := all[corev1.Service](t, r, "Service"), components(t)
	monitored := 0
	for _, o := range r.objects {
		if o.Kind != "ServiceMonitor" {
			continue
		}
		monitor := decodeLoosely[serviceMonitor](t, o)
		require.Equal(t, "central", monitor.Metadata.Labels["release"], o.Name)
		require.Len(t, monitor.Spec.Endpoints, 1, o.Name)
		require.Equal(t, "17s", monitor.Spec.Endpoints[0].Interval)
		for _, p := range selected(r.pods(t), map[string]string{"app.kubernetes.io/name": o.Name}) {
			if p.owner.Kind == "Job" {
				continue
			}
			monitored++
			found := 0
			for _, service := range services {
				if !labels.SelectorFromSet(monitor.Spec.Selector.MatchLabels).Matches(labels.Set(service.Labels)) || !p.isSelected(service.Spec.Selector) {
					continue
				}
				for _, port := range service.Spec.Ports {
					if port.Name == monitor.Spec.Endpoints[0].Port {
						require.Equal(t, int32(table[o.Name].Ports[port.Name]), port.Port, o.Name)
						found++
					}
				}
			}
			require.Equal(t, 1, found, "%s is found so often", p.owner.Name)
			require.Equal(t, "true", p.Annotations["prometheus.io/scrape"], "%s: and by annotations", p.owner.Name)
			require.Equal(t, monitor.Spec.Endpoints[0].Path, p.Annotations["prometheus.io/path"], p.owner.Name)
		}
	}
	require.Greater(t, monitored, 15)
	for _, p := range mustRender(t, "global: {metrics: {annotations: false}}").pods(t) {
		require.NotContains(t, p.Annotations, "prometheus.io/scrape", p.owner.Name)
	}
}
