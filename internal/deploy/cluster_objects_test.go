//go:build cluster

package deploy

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

func TestCluster_WhatTheAPIServerRefusesIsRefusedFirst(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ values, says string }{
		"a field that is none": {`gateway: {tolerations: [{keyy: x}]}`, `unknown field "spec.template.spec.tolerations[0].keyy"`},
		"a label that is none": {`gateway: {podLabels: {team: "not a label!"}}`, "a valid label must be"},
		"a custom resource": {
			`{gateway: {expose: {enabled: true, host: "not a host"}}, global: {expose: {type: gateway}}}`, "HTTPRoute gateway",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			r, h := w.request(t, c.values)
			plan, err := w.Plan(t.Context(), r)
			require.NoError(t, err)
			require.ErrorContains(t, plan.Refusals, c.says)
			_, err = w.Install(t.Context(), r)
			require.ErrorIs(t, err, ErrRefused, h.text())
			require.ErrorContains(t, err, "[object] the API server refuses ")
			require.ErrorContains(t, err, c.says)
			w.requireUntouched(t)
		})
	}
}

func TestCluster_WhatTheAPIServerWarnsOfIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r, h := w.request(t, "observability: {nodeExporter: {hostAccess: true}}")
	_, err := w.Plan(t.Context(), r)
	require.NoError(t, err)
	require.Contains(t, h.text(), `warning  would violate PodSecurity "restricted:latest": host namespaces (hostNetwork=true`)
	require.Equal(t, 1, strings.Count(h.text(), "would violate"), "once")

	// The pods of it are refused, and the reason is in the answer.
	r.Timeout = 30 * time.Second
	_, err = w.Install(t.Context(), r)
	require.ErrorIs(t, err, ErrNotReady)
	require.ErrorContains(t, err, "DaemonSet node-exporter: 0 of 4 pods are")
	require.ErrorContains(t, err, "violates PodSecurity")
}

func TestCluster_CustomResourcesOfGitOpsAreTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	target := Target{Release: "slipway", Namespace: w.namespace}
	objects, err := Render(t.Context(), target, Values{})
	require.NoError(t, err)
	for name, environments := range map[string]map[string]string{"one": nil, "many": {"test": "atk-test", "prod": "atk"}} {
		files, err := Argo(target, Values{}, objects, Source{Repository: "https://git.example/x.git", Path: "deploy", Revision: "main", Environments: environments})
		require.NoError(t, err)
		var judged []Object
		for _, file := range files {
			if file.Path != "root.yaml" && !strings.HasPrefix(file.Path, "apps/") {
				continue
			}
			o, err := parseObject(file.Path, string(file.Text))
			require.NoError(t, err)
			judged = append(judged, w.here(t, o))
		}
		require.Len(t, judged, 2, name)
		served, err := w.kinds(t.Context())
		require.NoError(t, err)
		for _, o := range judged {
			_, has := served.kindOf(o)
			require.True(t, has, o.Kind)
		}
		refused, err := w.checkObjects(t.Context(), judged, nil, served)
		require.NoError(t, err)
		require.Empty(t, refused, name)
	}
}

// here moves an object to the test's namespace.
func (w world) here(t *testing.T, o Object) Object {
	t.Helper()
	var whole map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(o.Text), &whole))
	metadata, _ := whole["metadata"].(map[string]any)
	metadata["namespace"] = w.namespace
	text, err := yaml.Marshal(whole)
	require.NoError(t, err)
	o.Text, o.Namespace = string(text), w.namespace
	return o
}

// TestCluster_MetricsServerIsTaken has it judged and not made: it would answer
// for an API of the whole cluster, and so of other tests.
func TestCluster_MetricsServerIsTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	objects, err := Render(t.Context(), Target{Release: "slipway", Namespace: w.namespace}, values(t, everything))
	require.NoError(t, err)
	served, err := w.kinds(t.Context())
	require.NoError(t, err)
	wide := 0
	for _, o := range objects {
		kind, has := served.kindOf(o)
		require.True(t, has, "%s %s", o.Kind, o.Name)
		if !kind.namespaced {
			wide++
		}
	}
	require.Greater(t, wide, 4, "accounts' ClusterRoles and an APIService")
	refused, err := w.checkObjects(t.Context(), objects, nil, served)
	require.NoError(t, err)
	require.Empty(t, refused)
}

func TestCluster_EveryCustomResourceIsOneThatIsDefined(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	served, err := w.kinds(t.Context())
	require.NoError(t, err)
	custom := make(map[string]bool)
	for name := range variants() {
		objects, err := Render(t.Context(), Target{Release: "slipway", Namespace: w.namespace}, valuesOfVariant(t, name))
		require.NoError(t, err)
		for _, o := range objects {
			_, has := served.kindOf(o)
			require.True(t, has, "%s: %s %s", name, o.APIVersion, o.Kind)
			if group, _, _ := strings.Cut(o.APIVersion, "/"); strings.Contains(group, ".") && !strings.HasSuffix(group, ".k8s.io") || strings.Contains(group, ".x-k8s.io") || group == "gateway.networking.k8s.io" {
				custom[o.Kind] = true
			}
		}
	}
	for _, kind := range []string{
		"Certificate", "ExternalSecret", "SecretProviderClass", "ServiceMonitor", "PodMonitor", "HTTPRoute", "Route", "TLSRoute",
		"VirtualService", "AuthorizationPolicy", "PeerAuthentication",
	} {
		require.True(t, custom[kind], "no variant has a %s", kind)
	}
	require.Len(t, custom, 11)
}
