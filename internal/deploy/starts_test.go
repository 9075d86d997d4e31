package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// TestHasura_HasNoEmptyVariable is about its start: it reads an empty variable as
// a value, and ends where that is none, such as a list of origins.
func TestHasura_HasNoEmptyVariable(t *testing.T) {
	t.Parallel()
	hasura := find[appsv1.Deployment](t, mustRender(t, ""), "Deployment", "hasura").Spec.Template.Spec.Containers[0]
	for _, e := range hasura.Env {
		require.False(t, e.Value == "" && e.ValueFrom == nil, e.Name)
	}
	require.Equal(t, "true", valueOf(hasura, "HASURA_GRAPHQL_DISABLE_CORS"))

	r := mustRender(t, `hasura: {corsDomain: "https://app.example"}`)
	hasura = find[appsv1.Deployment](t, r, "Deployment", "hasura").Spec.Template.Spec.Containers[0]
	require.Equal(t, "https://app.example", valueOf(hasura, "HASURA_GRAPHQL_CORS_DOMAIN"))
	require.Empty(t, valueOf(hasura, "HASURA_GRAPHQL_DISABLE_CORS"))
}

// TestDApp_MakesItsTablesItself is about the installation, which waits for every
// job: one in the image of the dApp finds neither scripts nor tools there.
func TestDApp_MakesItsTablesItself(t *testing.T) {
	t.Parallel()
	for name := range all[batchv1.Job](t, mustRender(t, ""), "Job") {
		require.NotContains(t, name, "dapp-setup")
	}
	require.Equal(t, "atk-hd-private-key", env(t, mustRender(t, ""), "dapp", "SETTLEMINT_HD_PRIVATE_KEY"))

	_, err := Render(t.Context(), Target{Release: "slipway", Namespace: "atk"}, values(t, "dapp: {setup: {enabled: true}}"))
	require.ErrorContains(t, err, "dapp.setup.image.repository: is needed")
}

// TestGraphNode_ReadsItsURL runs the command with a program in place of graph-node,
// which panics at an sslmode other than disable, prefer and require.
func TestGraphNode_ReadsItsURL(t *testing.T) {
	t.Parallel()
	command := find[appsv1.StatefulSet](t, mustRender(t, ""), "StatefulSet", "graph-node").Spec.Template.Spec.Containers[0].Command
	bin := t.TempDir()
	program := "#!/bin/sh\nprintf '%s %s' \"$GRAPH_POSTGRES_URL\" \"$*\"\n"
	require.NoError(t, os.WriteFile(filepath.Join(bin, "graph-node"), []byte(program), 0o700))
	for given, want := range map[string]string{
		"postgresql://u:p@h:5432/d?sslmode=disable":               "postgresql://u:p@h:5432/d?sslmode=disable",
		"postgresql://u:p@h:5432/d?sslmode=require":               "postgresql://u:p@h:5432/d?sslmode=require",
		"postgresql://u:p@h:5432/d?sslmode=verify-full":           "postgresql://u:p@h:5432/d",
		"postgresql://u:p%3Fsslmode@h:5432/d?sslmode=verify-ca":   "postgresql://u:p%3Fsslmode@h:5432/d",
		"postgresql://u:p@h:5432/d?application_name=a&sslmode=no": "postgresql://u:p@h:5432/d?application_name=a&sslmode=no",
	} {
		cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
		cmd.Env = []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "POD_NAME=graph-node-1", "IPFS_URL=http://ipfs:5001", "GRAPH_POSTGRES_URL=" + given}
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		require.Equal(t, want+" --node-id graph_node_1 --config /etc/graph-node/config.toml --ipfs http://ipfs:5001", string(out))
	}
}

// TestBesu_IsFoundWhereItIs is about two things that Besu would otherwise look for
// by itself: its address for peers, and a user that its image has.
func TestBesu_IsFoundWhereItIs(t *testing.T) {
	t.Parallel()
	r := mustRender(t, "")
	for _, name := range []string{"besu-node-validator", "besu-node-rpc"} {
		require.Contains(t, "\n"+find[corev1.ConfigMap](t, r, "ConfigMap", name).Data["config.toml"], "\nnat-method=\"NONE\"\n")
	}
	for _, name := range []string{"besu-node-validator-0", "besu-node-rpc"} {
		pod := find[appsv1.StatefulSet](t, r, "StatefulSet", name).Spec.Template.Spec
		require.Equal(t, int64(1000), *pod.SecurityContext.RunAsUser)
		require.Equal(t, int64(1000), *pod.SecurityContext.FSGroup)
		require.Contains(t, pod.Containers[0].Args, "--p2p-host=$(POD_IP)")
	}
}

// TestBesu_HasAConnectionLeftForItsProbes is about its limit of 80 connections,
// which two gateways can use up: a node that refuses the next one counts as dead.
func TestBesu_HasAConnectionLeftForItsProbes(t *testing.T) {
	t.Parallel()
	r := mustRender(t, "network: {besu: {maxConnections: 1500}}")
	nodes := find[corev1.ConfigMap](t, r, "ConfigMap", "besu-node-rpc").Data["config.toml"]
	require.Contains(t, nodes, "\nrpc-http-max-active-connections=1500\n")
	require.Contains(t, nodes, "\nrpc-ws-max-active-connections=1500\n")
	nodes = find[corev1.ConfigMap](t, mustRender(t, ""), "ConfigMap", "besu-node-validator").Data["config.toml"]
	require.Contains(t, nodes, "\nrpc-http-max-active-connections=2000\n")
	require.NotContains(t, nodes, "rpc-ws-")
}

// TestBlockscout_WritesWhereItMay is about its root file system, which is read-only.
func TestBlockscout_WritesWhereItMay(t *testing.T) {
	t.Parallel()
	r := mustRender(t, "")
	explorer := find[appsv1.Deployment](t, r, "Deployment", "blockscout").Spec.Template.Spec
	for _, c := range []corev1.Container{explorer.InitContainers[len(explorer.InitContainers)-1], explorer.Containers[0]} {
		require.Equal(t, []string{"/tmp", "/app/logs", "/app/dets"}, mounted(c))
		require.Equal(t, "/tmp", valueOf(c, "RELEASE_TMP"))
		require.Equal(t, "true", valueOf(c, "DISABLE_FILE_LOGGING"))
	}
	frontend := find[appsv1.Deployment](t, r, "Deployment", "blockscout-frontend").Spec.Template.Spec
	require.Equal(t, []string{"/app/public", "/app/.next/cache", "/tmp"}, mounted(frontend.Containers[0]))
}

func mounted(c corev1.Container) []string {
	var paths []string
	for _, m := range c.VolumeMounts {
		paths = append(paths, m.MountPath)
	}
	return paths
}
