//go:build cluster

package deploy

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// variants are the ways in which the chart is meant to be installed: the sets of
// values that come with it, and values on top.
func variants() map[string]struct {
	profiles []string
	values   string
} {
	return map[string]struct {
		profiles []string
		values   string
	}{
		"default":    {},
		"preview":    {profiles: []string{"preview"}},
		"production": {profiles: []string{"production"}},
		"onprem":     {profiles: []string{"production", "onprem"}},
		"eks":        {profiles: []string{"production", "eks"}, values: "global: {secretStore: {secrets: {postgresql-login: {password: 'prod/postgresql#password'}, redis-login: {password: prod/redis}}}}"},
		"aks":        {profiles: []string{"production", "aks"}},
		"gke":        {profiles: []string{"production", "gke"}},
		"openshift":  {profiles: []string{"production", "openshift"}, values: openShift},
		// The metrics server would answer for an API of the whole cluster, and so of other tests.
		"everything":  {values: everything + "\n---\nobservability: {metricsServer: {enabled: false}}\n---\n" + withDApp},
		"gateway api": {values: everything + "\n---\nobservability: {metricsServer: {enabled: false}}\n---\nglobal: {expose: {type: gateway}, metrics: {monitor: pod}}"},
		"passthrough": {values: passed},
		"own ingress": {values: everything + "\n---\nobservability: {metricsServer: {enabled: false}}\n---\n" + ownIngress + "\n---\n" + peered + "\n---\n" + classes},
		"mesh":        {values: everything + "\n---\nobservability: {metricsServer: {enabled: false}}\n---\nglobal: {mesh: {type: istio}, expose: {type: istio}}"},
		"tenant":      {values: everything + "\n---\nglobal: {tenant: {enabled: true, client: bank-a}}"},
	}
}

// openShift exposes what can be: only so there are Routes.
const openShift = "gateway: {expose: {enabled: true}}\nblockscout: {expose: {enabled: true}}"

// valuesOfVariant lays the texts over the profiles.
func valuesOfVariant(t *testing.T, name string) Values {
	t.Helper()
	variant := variants()[name]
	out, err := Sources{Profiles: variant.profiles}.Load()
	require.NoError(t, err)
	merge(out, overlaid(t, strings.Split(variant.values, "\n---\n")...))
	return out
}

// requireNoWarning fails for all that the API server had to say.
func (h *heard) requireNoWarning(t *testing.T) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, line := range h.lines {
		require.False(t, strings.HasPrefix(line, "warning"), line)
	}
}

func TestCluster_EveryProfileLivesAWholeLife(t *testing.T) {
	t.Parallel()
	for name := range variants() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newWorld(t).live(t, valuesOfVariant(t, name))
		})
	}
}

// live installs, changes, takes back and takes away.
func (w world) live(t *testing.T, v Values) {
	t.Helper()
	h := new(heard)
	first := Request{Release: "slipway", Values: v, Timeout: 3 * time.Minute, Tell: h.tell}
	result, err := w.Install(t.Context(), first)
	require.NoError(t, err, h.text())
	require.Equal(t, 1, result.Revision)
	w.requireInstalled(t)
	w.requireRights(t)

	second := first
	second.Values = Values{}
	merge(second.Values, v)
	merge(second.Values, valuesOf(t, "gateway: {podAnnotations: {example.org/revision: two}}"))
	result, err = w.Upgrade(t.Context(), second)
	require.NoError(t, err, h.text())
	require.Equal(t, 2, result.Revision)
	w.requireInstalled(t)

	result, err = w.Rollback(t.Context(), first, 0)
	require.NoError(t, err, h.text())
	require.Equal(t, 3, result.Revision)
	w.requireInstalled(t)

	_, err = w.Uninstall(t.Context(), first)
	require.NoError(t, err, h.text())
	h.requireNoWarning(t)
	require.Empty(t, w.left(t))
}

// requireInstalled compares the cluster with the newest revision, and looks
// whether Pod Security or a quota kept a pod away.
func (w world) requireInstalled(t *testing.T) {
	t.Helper()
	// An autoscaler may ask for more pods after everything was ready.
	var status Status
	require.Eventually(t, func() bool {
		var err error
		status, err = w.Status(t.Context(), "slipway")
		return err == nil && status.Ready
	}, time.Minute, 500*time.Millisecond, "%+v", &status)
	events, err := w.admin.CoreV1().Events(w.namespace).List(t.Context(), meta.ListOptions{})
	require.NoError(t, err)
	for _, event := range events.Items {
		require.NotContains(t, event.Message, "violates PodSecurity", event.InvolvedObject.Name)
		require.NotContains(t, event.Message, "exceeded quota", event.InvolvedObject.Name)
	}
}

// left are the objects that are still there, other than those that stay on
// purpose.
func (w world) left(t *testing.T) []string {
	t.Helper()
	lists, _ := w.admin.Discovery().ServerPreferredNamespacedResources() // another test may define APIs
	var out []string
	for _, list := range lists {
		for _, resource := range list.APIResources {
			if !slices.Contains(resource.Verbs, "list") || resource.Name == "persistentvolumeclaims" || resource.Name == "events" {
				continue
			}
			path := "/apis/" + list.GroupVersion
			if list.GroupVersion == "v1" {
				path = "/api/v1"
			}
			text, err := w.admin.Discovery().RESTClient().Get().AbsPath(path, "namespaces", w.namespace, resource.Name).
				Param("labelSelector", "app.kubernetes.io/instance=slipway").DoRaw(t.Context())
			require.NoError(t, err, resource.Name)
			var found meta.PartialObjectMetadataList
			require.NoError(t, json.Unmarshal(text, &found))
			for _, item := range found.Items {
				if item.DeletionTimestamp == nil && len(item.OwnerReferences) == 0 { // what is owned goes with its owner
					out = append(out, resource.Name+" "+item.Name)
				}
			}
		}
	}
	return out
}
