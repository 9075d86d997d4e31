package deploy

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	psapi "k8s.io/pod-security-admission/api"
	psadmission "k8s.io/pod-security-admission/policy"

	"github.com/slipwayhq/slipway/internal/network"
)

// TestJobs_AreSeenWhenTheyAreDone: nothing takes a finished job away, so that it tells
// what became of it; a tool of GitOps does not run one again that has not changed.
func TestJobs_AreSeenWhenTheyAreDone(t *testing.T) {
	t.Parallel()
	jobs := all[batchv1.Job](t, mustRenderValues(t, overlaid(t, everything, withDApp)), "Job")
	require.Contains(t, jobs, "bootstrap-1", "one for the revision")
	setups := 0
	for name, job := range jobs {
		require.Nil(t, job.Spec.TTLSecondsAfterFinished, name)
		require.NotContains(t, job.Annotations, "helm.sh/hook", name)
		if strings.HasPrefix(name, "dapp-setup-") {
			setups++
			require.True(t, strings.HasPrefix(job.Spec.Template.Spec.Containers[0].Image, "docker.io/example/setup:"), name)
		}
	}
	require.Equal(t, 1, setups)
	require.Equal(t, "BeforeHookCreation", jobs["bootstrap-1"].Annotations["argocd.argoproj.io/hook-delete-policy"])
}

// TestNodes_WaitForTheirMaterialAlone: what Besu needs before it starts is the genesis
// file, and it has no business with databases.
func TestNodes_WaitForTheirMaterialAlone(t *testing.T) {
	t.Parallel()
	nodes := 0
	for name, set := range all[appsv1.StatefulSet](t, mustRender(t, "global: {waitTimeout: 7m}"), "StatefulSet") {
		if !strings.HasPrefix(name, "besu-node-") {
			continue
		}
		nodes++
		inits := set.Spec.Template.Spec.InitContainers
		require.Len(t, inits, 1, name)
		require.Equal(t, "compile-genesis", inits[0].Args[0])
		require.Contains(t, inits[0].Args, "--timeout=7m")
	}
	require.Equal(t, 5, nodes)
}

// TestPortal_ReadsTheABIFilesThatWereFetched follows the folder from one container to the other.
func TestPortal_ReadsTheABIFilesThatWereFetched(t *testing.T) {
	t.Parallel()
	r := mustRender(t, "")
	template := find[appsv1.Deployment](t, r, "Deployment", "portal").Spec.Template.Spec
	volume := func(c corev1.Container, path string) string {
		for _, mount := range c.VolumeMounts {
			if mount.MountPath == path {
				return mount.Name
			}
		}
		return ""
	}
	fetched := volume(template.InitContainers[len(template.InitContainers)-1], "/shared-abis")
	require.NotEmpty(t, fetched)
	require.Equal(t, fetched, volume(template.Containers[0], env(t, r, "portal", "CONTRACT_ABI_PATH")))
	require.Equal(t, "3001", env(t, r, "portal", "GRAPHQL_PORT"))
	require.Contains(t, find[corev1.Service](t, r, "Service", "portal").Spec.Ports, corev1.ServicePort{Name: "graphql", Port: 3001, TargetPort: intstr.FromString("graphql")})
}

// TestPods_OneMayAskForMore: the collector of the machines' metrics, where somebody says
// so, is the only exception to the restricted standard.
func TestPods_OneMayAskForMore(t *testing.T) {
	t.Parallel()
	evaluator, err := psadmission.NewEvaluator(psadmission.DefaultChecks(), nil)
	require.NoError(t, err)
	var refused []string
	for _, p := range mustRenderValues(t, overlaid(t, everything, "observability: {nodeExporter: {hostAccess: true}}")).pods(t) {
		for _, result := range evaluator.EvaluatePod(psapi.LevelVersion{Level: psapi.LevelRestricted, Version: psapi.LatestVersion()}, &p.ObjectMeta, &p.spec) {
			if !result.Allowed && (len(refused) == 0 || refused[len(refused)-1] != p.owner.Name) {
				refused = append(refused, p.owner.Name)
			}
		}
	}
	require.Equal(t, []string{"node-exporter"}, refused)
}

// TestBootstrap_PeersAreFoundByServices: the names that the job writes into the static
// nodes are those of Services that the chart makes.
func TestBootstrap_PeersAreFoundByServices(t *testing.T) {
	t.Parallel()
	r := mustRender(t, "")
	args := find[batchv1.Job](t, r, "Job", "bootstrap-1").Spec.Template.Spec.Containers[0].Args
	require.Contains(t, args, "--validator-service=")
	require.Contains(t, args, "--domain=svc.cluster.local")
	names := network.DefaultNames()
	names.ValidatorService, names.Namespace = "", "atk"
	keys, err := network.NewKeys(1, 1)
	require.NoError(t, err)
	services := all[corev1.Service](t, r, "Service")
	for role, count := range map[network.Role]int{network.Validator: 4, network.RPC: 2} {
		for i := range count {
			enode, err := url.Parse(names.Enode(role, i, keys.Validators[0]))
			require.NoError(t, err)
			require.True(t, leads(services, enode.Hostname(), enode.Port()), "%s leads nowhere", enode.Host)
		}
	}
}
