package deploy

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/slipwayhq/slipway/internal/network"
	"github.com/slipwayhq/slipway/internal/network/cluster"
)

func TestRoles_AreWhatTheCommandsNeed(t *testing.T) {
	t.Parallel()
	r := mustRender(t, "global: {networkNodes: {validatorReplicaCount: 3, rpcReplicaCount: 1}}")
	want := cluster.BootstrapRole("bootstrap", network.DefaultNames(), 3, 1).Rules
	want[0].Verbs = []string{"get", "list", "create"} // requests for Secrets are listed
	table := components(t)
	for _, name := range slices.Sorted(maps.Keys(table)) {
		want[3].ResourceNames = append(want[3].ResourceNames, table[name].Secrets...)
	}
	require.Equal(t, want, find[rbacv1.Role](t, r, "Role", "bootstrap").Rules)
	for _, node := range []string{"besu-node-validator", "besu-node-rpc"} {
		require.Equal(t, cluster.ReaderRole(node, "atk").Rules, find[rbacv1.Role](t, r, "Role", node).Rules)
	}
	for name, binding := range all[rbacv1.RoleBinding](t, r, "RoleBinding") {
		require.Equal(t, name, binding.RoleRef.Name)
		require.Equal(t, []rbacv1.Subject{{Kind: "ServiceAccount", Name: name, Namespace: "atk"}}, binding.Subjects)
	}
	for _, kind := range []string{"ClusterRole", "ClusterRoleBinding"} {
		require.Empty(t, all[rbacv1.ClusterRole](t, r, kind), "nothing is cluster-wide")
	}
}

// TestSecrets_AreMadeWithoutANetwork is about releases whose nodes run elsewhere.
func TestSecrets_AreMadeWithoutANetwork(t *testing.T) {
	t.Parallel()
	const elsewhere = "network: {enabled: false}\nglobal: {labels: {team: chain}, endpoints: {besu-node-rpc: 'https://node.example'}}"
	r := mustRender(t, elsewhere)
	requests := 0
	for _, config := range all[corev1.ConfigMap](t, r, "ConfigMap") {
		if config.Labels["slipway.io/secret-request"] == "true" {
			requests++
		}
	}
	require.Positive(t, requests)
	job := find[batchv1.Job](t, r, "Job", "bootstrap-1")
	require.Equal(t, []string{"bootstrap", "--secrets-only", "--labels=team=chain"}, job.Spec.Template.Spec.Containers[0].Args)
	require.True(t, *job.Spec.Template.Spec.AutomountServiceAccountToken)
	require.True(t, r.has("NetworkPolicy", "bootstrap"))
	table := components(t)
	var requested []string
	for _, name := range slices.Sorted(maps.Keys(table)) {
		requested = append(requested, table[name].Secrets...)
	}
	require.Equal(t, cluster.SecretsRole("bootstrap", "atk", requested...).Rules, find[rbacv1.Role](t, r, "Role", "bootstrap").Rules)

	require.True(t, mustRenderValues(t, overlaid(t, elsewhere, "network: {bootstrap: {nodeSelector: {a: b}}}")).says("a: b"), "the values of the job are those of the other one")
	require.False(t, mustRenderValues(t, overlaid(t, elsewhere, "network: {bootstrap: {enabled: false}}")).has("Job", "bootstrap-1"))
	jobs := 0
	for _, o := range mustRender(t, "").objects {
		if o.Kind == "Job" && o.Name == "bootstrap-1" {
			jobs++
		}
	}
	require.Equal(t, 1, jobs, "one of the two")
}
