package deploy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
)

// sectionOf is where the values of a component stand.
func sectionOf(name string, c component) string {
	switch name {
	case "besu-node-validator":
		return "network.validator"
	case "besu-node-rpc":
		return "network.rpc"
	case "traefik":
		return "support.ingress"
	}
	return strings.TrimSuffix(c.Toggle, ".enabled")
}

// forEveryComponent gives each component's section what text makes of its name.
func forEveryComponent(t *testing.T, table map[string]component, text func(name string) string) Values {
	t.Helper()
	out := Values{}
	for name, c := range table {
		section := strings.Split(sectionOf(name, c), ".")
		merge(out, values(t, strings.Join(section, ": {")+": "+text(name)+strings.Repeat("}", len(section)-1)))
	}
	return out
}

// TestPlacement_IsThatOfEachComponent gives every component machines of its own.
func TestPlacement_IsThatOfEachComponent(t *testing.T) {
	t.Parallel()
	table := components(t)
	delete(table, "signer-backup") // a job, that runs wherever there is room
	v := overlaid(t, everything, withDApp, ownIngress)
	merge(v, forEveryComponent(t, table, func(name string) string {
		return fmt.Sprintf("{nodeSelector: {atk-role: %[1]s}, tolerations: [{key: %[1]s, operator: Exists}], priorityClassName: %[1]s, "+
			"affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchFields: [{key: metadata.name, operator: In, values: [%[1]s]}]}]}}}, "+
			"topologySpread: {topologyKey: example.org/%[1]s, maxSkew: 3, whenUnsatisfiable: DoNotSchedule}}", name)
	}))
	seen := make(map[string]bool)
	for _, p := range mustRenderValues(t, v).pods(t) {
		name := p.Labels["app.kubernetes.io/name"]
		if _, isComponent := table[name]; !isComponent {
			continue // jobs beside components
		}
		seen[name] = true
		require.Equal(t, map[string]string{"atk-role": name}, p.spec.NodeSelector, p.owner.Name)
		require.Equal(t, []corev1.Toleration{{Key: name, Operator: corev1.TolerationOpExists}}, p.spec.Tolerations, p.owner.Name)
		require.Equal(t, name, p.spec.PriorityClassName, p.owner.Name)
		require.Equal(t, []string{name}, p.spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms[0].MatchFields[0].Values, p.owner.Name)
		require.Len(t, p.spec.TopologySpreadConstraints, 1, p.owner.Name)
		spread := p.spec.TopologySpreadConstraints[0]
		require.Equal(t, "example.org/"+name, spread.TopologyKey)
		require.Equal(t, int32(3), spread.MaxSkew)
		require.Equal(t, corev1.DoNotSchedule, spread.WhenUnsatisfiable)
		require.True(t, p.isSelected(spread.LabelSelector.MatchLabels), "%s is not among those that are spread", p.owner.Name)
	}
	require.Len(t, seen, len(table), "every component has pods: %v", slices.Sorted(maps.Keys(seen)))
}

// TestVolumes_AreOfTheClassAndSizeOfTheirComponent gives each component that keeps
// something a class of its own, and looks at the claims of all.
func TestVolumes_AreOfTheClassAndSizeOfTheirComponent(t *testing.T) {
	t.Parallel()
	keeps := map[string]component{}
	for name, c := range components(t) {
		if slices.Contains([]string{"besu-node-validator", "besu-node-rpc", "postgresql", "object-store", "ipfs", "victoria-metrics", "loki", "tempo", "grafana"}, name) {
			keeps[name] = c
		}
	}
	v := overlaid(t, everything, "global: {storageClass: cluster-wide}")
	merge(v, forEveryComponent(t, keeps, func(name string) string {
		return fmt.Sprintf("{persistence: {storageClass: class-of-%s, size: 37Gi, annotations: {backup: nightly}}}", name)
	}))
	seen := make(map[string]bool)
	for _, set := range all[appsv1.StatefulSet](t, mustRenderValues(t, v), "StatefulSet") {
		name := set.Labels["app.kubernetes.io/name"]
		for _, claim := range set.Spec.VolumeClaimTemplates {
			seen[name] = true
			require.Equal(t, "class-of-"+name, *claim.Spec.StorageClassName, set.Name)
			require.Equal(t, "37Gi", claim.Spec.Resources.Requests.Storage().String(), set.Name)
			require.Equal(t, "nightly", claim.Annotations["backup"], set.Name)
		}
	}
	require.Len(t, seen, len(keeps), "%v", slices.Sorted(maps.Keys(seen)))

	r := mustRender(t, "global: {storageClass: cluster-wide}")
	for _, set := range all[appsv1.StatefulSet](t, r, "StatefulSet") {
		for _, claim := range set.Spec.VolumeClaimTemplates {
			require.Equal(t, "cluster-wide", *claim.Spec.StorageClassName, set.Name)
			if strings.HasPrefix(set.Name, "besu-node-") {
				require.Equal(t, "20Gi", claim.Spec.Resources.Requests.Storage().String(), set.Name)
			}
		}
	}
	validator := find[appsv1.StatefulSet](t, mustRender(t, ""), "StatefulSet", "besu-node-validator-0")
	require.Nil(t, validator.Spec.VolumeClaimTemplates[0].Spec.StorageClassName, "the cluster's default")
}

// TestProfiles_HaveTheirSizes is about the two tiers of the kit.
func TestProfiles_HaveTheirSizes(t *testing.T) {
	t.Parallel()
	for profile, want := range map[string]struct {
		validators, rpc int
		volume, memory  string
		cpu             int64 // thousandths
		unsatisfiable   corev1.UnsatisfiableConstraintAction
	}{
		"preview":    {1, 1, "20Gi", "2Gi", 250, corev1.ScheduleAnyway},
		"production": {4, 2, "1Ti", "32Gi", 4000, corev1.DoNotSchedule},
	} {
		v, err := Sources{Profiles: []string{profile}}.Load()
		require.NoError(t, err)
		r := mustRenderValues(t, v)
		validators, rpc := 0, 0
		for name, set := range all[appsv1.StatefulSet](t, r, "StatefulSet") {
			switch {
			case strings.HasPrefix(name, "besu-node-validator-"):
				validators += int(*set.Spec.Replicas)
			case name == "besu-node-rpc":
				rpc += int(*set.Spec.Replicas)
			default:
				continue
			}
			besu := set.Spec.Template.Spec.Containers[0]
			require.Equal(t, want.volume, set.Spec.VolumeClaimTemplates[0].Spec.Resources.Requests.Storage().String(), name)
			require.Equal(t, want.memory, besu.Resources.Limits.Memory().String(), name)
			require.Equal(t, want.cpu, besu.Resources.Requests.Cpu().MilliValue(), name)
			require.Equal(t, want.unsatisfiable, set.Spec.Template.Spec.TopologySpreadConstraints[0].WhenUnsatisfiable, name)
		}
		require.Equal(t, want.validators, validators, profile)
		require.Equal(t, want.rpc, rpc, profile)
	}
}

// TestPlatforms_KeepNodesOfTheChainApart is about the pools of machines that the guides make.
func TestPlatforms_KeepNodesOfTheChainApart(t *testing.T) {
	t.Parallel()
	for _, platform := range []struct{ name, topology, class string }{
		{"eks", "topology.kubernetes.io/zone", "gp3"},
		{"aks", "topology.kubernetes.io/zone", "managed-csi-premium"},
		{"gke", "topology.kubernetes.io/zone", "premium-rwo"},
		{"onprem", "topology.kubernetes.io/rack", ""},
		{"openshift", "topology.kubernetes.io/zone", ""},
	} {
		r := renderPlatform(t, platform.name, "")
		nodes := 0
		for name, set := range all[appsv1.StatefulSet](t, r, "StatefulSet") {
			if !strings.HasPrefix(name, "besu-node-") {
				continue
			}
			nodes++
			template := set.Spec.Template
			require.Equal(t, platform.topology, template.Spec.TopologySpreadConstraints[0].TopologyKey, "%s %s", platform.name, name)
			if platform.name == "openshift" {
				require.Equal(t, map[string]string{"atk-role": "stateful"}, template.Spec.NodeSelector, name)
			} else {
				require.Equal(t, "slipway.io/stateful", template.Spec.Tolerations[0].Key, "%s %s", platform.name, name)
			}
			if platform.class != "" {
				require.Equal(t, platform.class, *set.Spec.VolumeClaimTemplates[0].Spec.StorageClassName, "%s %s", platform.name, name)
				require.Equal(t, "false", template.Annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"], "%s %s", platform.name, name)
			}
		}
		require.Equal(t, 5, nodes, platform.name)
	}
}

// spotNotice is how long a machine of GKE that is taken away leaves to pods that
// are not the system's, in seconds.
const spotNotice = 25

func TestPlatforms_WhatMayBeTakenAwayEndsInTime(t *testing.T) {
	t.Parallel()
	found := 0
	for _, p := range renderPlatform(t, "gke", "").pods(t) {
		if slices.ContainsFunc(p.spec.Tolerations, func(to corev1.Toleration) bool { return to.Key == "cloud.google.com/gke-spot" }) {
			found++
			require.LessOrEqual(t, *p.spec.TerminationGracePeriodSeconds, int64(spotNotice), p.owner.Name)
		}
	}
	require.Positive(t, found)
}

// TestAutoscaling_IsOfWhatKeepsNothing: the signer shares its senders among a number
// of replicas that is known.
func TestAutoscaling_IsOfWhatKeepsNothing(t *testing.T) {
	t.Parallel()
	const scaled = "{enabled: true, minReplicas: 3, maxReplicas: 9, targetCPU: 55}"
	r := mustRenderValues(t, overlaid(t, everything, withDApp, "gateway: {autoscaling: "+scaled+"}\nportal: {autoscaling: "+scaled+"}\nhasura: {autoscaling: "+scaled+"}\ndapp: {autoscaling: "+scaled+"}"))
	autoscalers := all[autoscalingv2.HorizontalPodAutoscaler](t, r, "HorizontalPodAutoscaler")
	require.Equal(t, []string{"dapp", "gateway", "hasura", "portal"}, slices.Sorted(maps.Keys(autoscalers)))
	for name, autoscaler := range autoscalers {
		require.Equal(t, autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: name}, autoscaler.Spec.ScaleTargetRef)
		require.Equal(t, int32(3), *autoscaler.Spec.MinReplicas, name)
		require.Equal(t, int32(9), autoscaler.Spec.MaxReplicas, name)
		require.Len(t, autoscaler.Spec.Metrics, 1, name)
		require.Equal(t, corev1.ResourceCPU, autoscaler.Spec.Metrics[0].Resource.Name, name)
		require.Equal(t, int32(55), *autoscaler.Spec.Metrics[0].Resource.Target.AverageUtilization, name)
		deployment := find[appsv1.Deployment](t, r, "Deployment", name)
		require.Nil(t, deployment.Spec.Replicas, "%s: an upgrade would set the number back", name)
		require.NotZero(t, deployment.Spec.Template.Spec.Containers[0].Resources.Requests.Cpu().MilliValue(), "%s: use is measured against what is requested", name)
	}
	require.Empty(t, all[autoscalingv2.HorizontalPodAutoscaler](t, mustRender(t, ""), "HorizontalPodAutoscaler"))
}
