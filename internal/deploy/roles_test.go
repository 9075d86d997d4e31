package deploy

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
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
