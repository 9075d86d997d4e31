package deploy

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"

	"github.com/slipwayhq/slipway/internal/config"
	"github.com/slipwayhq/slipway/internal/signerconfig"
)

func TestValidators_MayBeAwayAsManyAsTheProtocolTolerates(t *testing.T) {
	t.Parallel()
	for n, away := range map[int]int32{1: 0, 2: 0, 3: 0, 4: 1, 5: 1, 6: 1, 7: 2, 8: 2, 9: 2, 10: 3} {
		r := mustRender(t, fmt.Sprintf("global: {networkNodes: {validatorReplicaCount: %d}}", n))
		budget := find[policyv1.PodDisruptionBudget](t, r, "PodDisruptionBudget", "besu-node-validator")
		require.Equal(t, away, budget.Spec.MaxUnavailable.IntVal, "%d validators", n)
		require.Len(t, selected(r.pods(t), budget.Spec.Selector.MatchLabels), n)
	}
}

func TestValidators_EachHasItsOwnKeyOnly(t *testing.T) {
	t.Parallel()
	r := mustRender(t, "")
	for i := range 4 {
		name := fmt.Sprintf("besu-node-validator-%d", i)
		set := find[appsv1.StatefulSet](t, r, "StatefulSet", name)
		var secrets []string
		for _, v := range set.Spec.Template.Spec.Volumes {
			if v.Projected != nil {
				require.Equal(t, "token", v.Name)
			}
			if v.Secret != nil {
				secrets = append(secrets, v.Secret.SecretName)
			}
		}
		require.Equal(t, []string{name + "-private-key"}, secrets)
		service := find[corev1.Service](t, r, "Service", name)
		require.Equal(t, corev1.ClusterIPNone, service.Spec.ClusterIP)
		require.True(t, service.Spec.PublishNotReadyAddresses)
		require.Equal(t, name, set.Spec.ServiceName)
		require.Len(t, selected(r.pods(t), service.Spec.Selector), 1)
	}
}

func TestValidators_ALoneOneHasNoPeerToWaitFor(t *testing.T) {
	t.Parallel()
	r := mustRender(t, "global: {networkNodes: {validatorReplicaCount: 1}}")
	set := find[appsv1.StatefulSet](t, r, "StatefulSet", "besu-node-validator-0")
	require.Equal(t, "/readiness?minPeers=0&maxBlocksBehind=10", set.Spec.Template.Spec.Containers[0].ReadinessProbe.HTTPGet.Path)
}

func TestGateway_HasEveryRPCNode(t *testing.T) {
	t.Parallel()
	r := mustRender(t, "global: {networkNodes: {rpcReplicaCount: 3}}")
	text := find[corev1.ConfigMap](t, r, "ConfigMap", "gateway").Data["gateway.yaml"]
	for i := range 3 {
		require.Contains(t, text, fmt.Sprintf("http://besu-node-rpc-%d.besu-node-rpc.atk.svc.cluster.local:8545", i))
	}
}

// TestPortal_HasATokenForTheABIFilesOnly is about the container that serves:
// who breaks into it reads no object of the cluster.
func TestPortal_HasATokenForTheABIFilesOnly(t *testing.T) {
	t.Parallel()
	template := find[appsv1.Deployment](t, mustRender(t, ""), "Deployment", "portal").Spec.Template.Spec
	require.False(t, mountsToken(template.Containers[0]))
	download := template.InitContainers[len(template.InitContainers)-1]
	require.Equal(t, []string{"download-abi", "--output-directory=/shared-abis"}, download.Args)
	require.True(t, mountsToken(download))
	r := mustRender(t, "portal: {abis: {download: false}}")
	require.False(t, r.has("Role", "portal"))
	require.NotContains(t, fmt.Sprint(find[appsv1.Deployment](t, r, "Deployment", "portal")), "serviceaccount")
}

func mountsToken(c corev1.Container) bool {
	for _, m := range c.VolumeMounts {
		if m.MountPath == "/var/run/secrets/kubernetes.io/serviceaccount" {
			return true
		}
	}
	return false
}

func TestHasura_SharesItsSecretWithTheSigner(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "signer: {hasura: {existingSecret: mine}}\nhasura: {actions: {existingSecret: mine}}"} {
		r := mustRender(t, text)
		require.Equal(t, env(t, r, "signer", "SLIPWAY_HASURA_SECRET"), env(t, r, "hasura", "SLIPWAY_ACTION_SECRET"))
		require.Equal(t, "http://signer.atk.svc.cluster.local:3000", env(t, r, "hasura", "SLIPWAY_ACTIONS_URL"))
	}
	for text, key := range map[string]string{
		"signer: {hasura: {existingSecret: mine}}":           "hasura.actions.existingSecret",
		"signer: {hasura: {enabled: false}}":                 "signer.hasura.enabled",
		"global: {endpoints: {signer: 'https://s.example'}}": "hasura.actions.existingSecret",
	} {
		_, err := Render(t.Context(), Target{Release: "slipway", Namespace: "atk"}, values(t, text))
		require.ErrorContains(t, err, key, text)
	}
	r := mustRender(t, "hasura: {actions: {enabled: false}}")
	require.False(t, r.says("hasura-actions"))
	require.False(t, r.says("SLIPWAY_ACTION"))
}

func TestHasura_ShowsNothingByDefault(t *testing.T) {
	t.Parallel()
	r := mustRender(t, "")
	require.Equal(t, "false", env(t, r, "hasura", "HASURA_GRAPHQL_ENABLE_CONSOLE"))
	require.Equal(t, "false", env(t, r, "hasura", "HASURA_GRAPHQL_DEV_MODE"))
	require.Equal(t, "hasura-admin/adminSecret", env(t, r, "hasura", "HASURA_GRAPHQL_ADMIN_SECRET"))
	require.True(t, r.has("ConfigMap", "secret-request-hasura-hasura-admin"))
}

func TestHasura_NeedsNoPortalWithoutItsSchema(t *testing.T) {
	t.Parallel()
	r := mustRender(t, "portal: {enabled: false}\ndapp: {enabled: false}\nhasura: {portal: {enabled: false}}")
	require.False(t, r.says("PORTAL_GRAPHQL_URL"))
	require.False(t, r.says("calls-portal.graphql"))
	r = mustRender(t, "signer: {enabled: false}\nportal: {enabled: false}\ndapp: {enabled: false}\nhasura: {portal: {enabled: false}, actions: {enabled: false}}")
	require.False(t, r.says("//signer."), "nor a signer without its actions")
	_, err := Render(t.Context(), Target{Release: "slipway", Namespace: "atk"}, values(t, "portal: {enabled: false}\ndapp: {enabled: false}"))
	require.ErrorContains(t, err, "global.endpoints.portal")
}

// TestDatabaseJobs_HaveNothingOfTheComponentsPods is about what people add to a
// component: its job has no volumes for it.
func TestDatabaseJobs_HaveNothingOfTheComponentsPods(t *testing.T) {
	t.Parallel()
	r := mustRender(t, `
signer:
  serviceAccount: {name: mine}
  podLabels: {mine: label}
  podAnnotations: {mine: annotation}
  extraInitContainers: [{name: mine, image: example/mine:1}]
  nodeSelector: {pool: chain}
`)
	found := false
	for _, p := range r.pods(t) {
		if !strings.HasPrefix(p.owner.Name, "signer-database") {
			continue
		}
		found = true
		require.NotContains(t, p.Labels, "mine")
		require.NotContains(t, p.Annotations, "mine")
		require.Equal(t, "default", p.spec.ServiceAccountName)
		require.Equal(t, map[string]string{"pool": "chain"}, p.spec.NodeSelector, "where it runs is")
		for _, c := range p.containers() {
			require.NotEqual(t, "mine", c.Name)
		}
	}
	require.True(t, found)
}

func TestGraphNode_IndexersAreItsPods(t *testing.T) {
	t.Parallel()
	r := mustRender(t, "graph-node: {replicas: 3}")
	config := find[corev1.ConfigMap](t, r, "ConfigMap", "graph-node").Data["config.toml"]
	require.Contains(t, config, `indexers = ["graph_node_0","graph_node_1","graph_node_2"]`)
	require.Contains(t, config, `ingestor = "graph_node_0"`)
	require.Contains(t, config, `url = "http://gateway.atk.svc.cluster.local:4000/evm/53771311147"`)
}

func TestGraphNode_ItsPathsAreThoseOfTheValues(t *testing.T) {
	t.Parallel()
	paths := func(text string) map[string]string {
		out := make(map[string]string)
		ingress := find[networkingv1.Ingress](t, mustRender(t, "graph-node: {expose: {enabled: true}"+text+"}"), "Ingress", "graph-node")
		for _, path := range ingress.Spec.Rules[0].HTTP.Paths {
			out[path.Path] = path.Backend.Service.Port.Name
		}
		return out
	}
	require.Equal(t, map[string]string{"/": "http", "/indexer": "status"}, paths(""), "admin is not for everybody")
	require.Equal(t, map[string]string{"/": "http", "/deploy": "admin", "/ws": "ws"}, paths(", paths: {admin: /deploy, ws: /ws, indexer: ''}"))
	r := mustRender(t, "graph-node: {expose: {enabled: true}}\nglobal: {expose: {type: gateway}}")
	require.True(t, r.says("replacePrefixMatch: /"))
	r = mustRender(t, "graph-node: {expose: {enabled: true}}\nglobal: {expose: {type: route}}")
	require.True(t, r.says("haproxy.router.openshift.io/rewrite-target: /"))
}

func TestIPFS_IsOfNoNetworkByItself(t *testing.T) {
	t.Parallel()
	r := mustRender(t, "")
	require.True(t, r.says("--offline"))
	require.Len(t, find[corev1.Service](t, r, "Service", "ipfs").Spec.Ports, 2)
	policy := find[networkingv1.NetworkPolicy](t, r, "NetworkPolicy", "ipfs")
	require.Len(t, policy.Spec.Egress, 1, "names only")
	require.False(t, mustRender(t, "ipfs: {public: true}").says("--offline"))
}

func TestNumbers_FitEachOther(t *testing.T) {
	t.Parallel()
	const mebibyte = 1 << 20
	for _, text := range []string{"", "support: {redis: {resources: {limits: {memory: 1Gi}}}}\nnetwork: {validator: {resources: {limits: {memory: 3Gi}}}}\ngateway: {drain: {notReady: 10, requests: 60}}\nsigner: {drain: 90}\nhasura: {drain: 90}"} {
		r := mustRender(t, text)
		for _, p := range r.pods(t) {
			for _, c := range p.spec.Containers {
				limit := c.Resources.Limits.Memory().Value()
				if heap := valueOf(c, "JAVA_OPTS"); heap != "" {
					var size int64
					_, err := fmt.Sscanf(heap, "-Xmx%dm", &size)
					require.NoError(t, err)
					require.LessOrEqual(t, size*mebibyte*10, limit*6, p.owner.Name)
				}
				if p.owner.Name == "redis" {
					_, after, _ := strings.Cut(c.Command[2], "maxmemory ")
					var size int64
					_, err := fmt.Sscanf(after, "%dmb", &size)
					require.NoError(t, err)
					require.LessOrEqual(t, size*mebibyte*4, limit*3)
				}
			}
		}
		gateway := loadGateway(t, r)
		require.GreaterOrEqual(t, grace(t, r, "gateway"), gateway.App.WaitBeforeShutdown.Seconds()+gateway.App.DrainTimeout.Seconds()+10)
		signer := loadSigner(t, r)
		var drain float64
		_, err := fmt.Sscan(env(t, r, "hasura", "HASURA_GRAPHQL_GRACEFUL_SHUTDOWN_TIMEOUT"), &drain)
		require.NoError(t, err)
		require.GreaterOrEqual(t, grace(t, r, "hasura"), drain+5+10, "and the pause before the stop")
		require.GreaterOrEqual(t, grace(t, r, "signer"), signer.App.DrainTimeout.Seconds()+5+10, "and the pause before the stop")
	}
}

func grace(t *testing.T, r rendered, deployment string) float64 {
	t.Helper()
	return float64(*find[appsv1.Deployment](t, r, "Deployment", deployment).Spec.Template.Spec.TerminationGracePeriodSeconds)
}

// loadGateway reads the rendered file as the gateway does.
func loadGateway(t *testing.T, r rendered) config.Gateway {
	t.Helper()
	path := writeConfig(t, r, "gateway")
	out, err := config.LoadGateway(path, func(name string) string {
		return map[string]string{"CHAIN_ID": "53771311147", "REDIS_CACHE_URL": "redis://a/0", "REDIS_SHARED_URL": "redis://a/1"}[name]
	})
	require.NoError(t, err)
	require.Empty(t, out.Warnings)
	return out
}

// loadSigner reads the rendered file, and the variables, as the signer does.
func loadSigner(t *testing.T, r rendered) signerconfig.File {
	t.Helper()
	path := writeConfig(t, r, "signer")
	variables := make(map[string]string)
	for _, e := range find[appsv1.Deployment](t, r, "Deployment", "signer").Spec.Template.Spec.Containers[0].Env {
		variables[e.Name] = e.Value
	}
	out, err := signerconfig.Load(path, func(name string) string { return variables[name] })
	require.NoError(t, err)
	return out
}

func writeConfig(t *testing.T, r rendered, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name+".yaml")
	require.NoError(t, os.WriteFile(path, []byte(find[corev1.ConfigMap](t, r, "ConfigMap", name).Data[name+".yaml"]), 0o600))
	return path
}

func TestConfigs_AreReadByThePrograms(t *testing.T) {
	t.Parallel()
	for name, r := range bases(t) {
		gateway := loadGateway(t, r)
		require.NoError(t, gateway.App.Validate(), name)
		signer := loadSigner(t, r)
		require.Equal(t, uint64(53771311147), signer.App.Queue.ChainID, name)
		require.True(t, signer.App.Access.APIKeys, name)
	}
}

func TestTwoTenants_ShareNothing(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for _, tenant := range []string{"bank-a", "bank-b"} {
		objects, err := Render(t.Context(), Target{Release: tenant, Namespace: tenant}, overlaid(t, everything, fmt.Sprintf("global: {domain: example.org, tenant: {enabled: true, client: %s}}", tenant)))
		require.NoError(t, err)
		for _, o := range objects {
			require.Equal(t, tenant, o.Namespace, "%s %s is not of the namespace", o.Kind, o.Name)
			key := strings.Join([]string{o.Kind, o.Namespace, o.Name}, "/")
			require.False(t, seen[key], key)
			seen[key] = true
		}
		other := map[string]string{"bank-a": "bank-b", "bank-b": "bank-a"}[tenant]
		require.False(t, parseAll(t, objects).says(other))
	}
}
