package deploy

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

// renderPlatform renders what comes with the chart for a platform, in the larger size.
func renderPlatform(t *testing.T, name string, more string) rendered {
	t.Helper()
	v, err := Sources{Profiles: []string{"production", name}}.Load()
	require.NoError(t, err)
	merge(v, values(t, more))
	return mustRenderValues(t, v)
}

func TestPlatforms_BringTheirOwnStores(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"openshift", "eks", "aks", "gke", "onprem"} {
		r := renderPlatform(t, name, "")
		for _, store := range []string{"postgresql", "redis", "object-store", "node-exporter", "metrics-server"} {
			require.False(t, r.has("Service", store), "%s: %s", name, store)
		}
		require.Empty(t, all[corev1.Secret](t, r, "Secret"), name)
		require.Contains(t, []string{"verify-full", "verify-ca"}, env(t, r, "signer", "PGSSLMODE"), name)
		requireLogin(t, r, "signer", "postgresql", "postgresql-login", "password")
		gateway := loadGateway(t, r)
		require.NoError(t, gateway.App.Validate(), name)
		for _, p := range r.pods(t) {
			if strings.HasPrefix(p.owner.Name, "besu-node-") {
				require.NotEqual(t, "kubernetes.io/hostname", p.spec.TopologySpreadConstraints[0].TopologyKey, "%s: %s", name, p.owner.Name)
			}
		}
	}
}

func TestPlatforms_OpenShiftGivesIDsAndRoutes(t *testing.T) {
	t.Parallel()
	r := renderPlatform(t, "openshift", "gateway: {expose: {enabled: true}}\nblockscout: {expose: {enabled: true}}\nobservability: {enabled: true}")
	for _, id := range []string{"runAsUser:", "runAsGroup:", "fsGroup:", "kind: Ingress\n", "kind: DaemonSet"} {
		require.False(t, r.says(id), id)
	}
	require.True(t, r.has("Route", "gateway"))
	require.True(t, r.has("Route", "blockscout-frontend"))
	require.True(t, r.has("ServiceMonitor", "gateway"))
}

func TestPlatforms_GiveRolesToAccounts(t *testing.T) {
	t.Parallel()
	for name, annotation := range map[string]string{"eks": "eks.amazonaws.com/role-arn", "aks": "azure.workload.identity/client-id", "gke": "iam.gke.io/gcp-service-account"} {
		r := renderPlatform(t, name, "")
		for _, account := range []string{"gateway", "signer"} {
			require.Contains(t, find[corev1.ServiceAccount](t, r, "ServiceAccount", account).Annotations, annotation, name)
		}
	}
}

func TestSecretStores_AreAskedForWhatIsNamed(t *testing.T) {
	t.Parallel()
	r := mustRender(t, `
global:
  secretStore: {type: external, storeRef: {name: vault, kind: ClusterSecretStore}, secrets: {db-login: {password: "prod/db#password", url: prod/db-url}}}
`)
	at := slices.IndexFunc(r.objects, func(o Object) bool { return o.Kind == "ExternalSecret" })
	require.GreaterOrEqual(t, at, 0)
	require.Equal(t, map[string]any{
		"refreshInterval": "1h",
		"secretStoreRef":  map[string]any{"name": "vault", "kind": "ClusterSecretStore"},
		"target":          map[string]any{"name": "db-login", "creationPolicy": "Owner"},
		"data": []any{
			map[string]any{"secretKey": "password", "remoteRef": map[string]any{"key": "prod/db", "property": "password"}},
			map[string]any{"secretKey": "url", "remoteRef": map[string]any{"key": "prod/db-url"}},
		},
	}, r.parsed[at]["spec"])

	r = renderPlatform(t, "onprem", "")
	require.True(t, r.has("SecretProviderClass", "slipway"))
	for _, p := range r.pods(t) {
		mounts := slices.ContainsFunc(p.spec.Volumes, func(v corev1.Volume) bool { return v.CSI != nil })
		uses := slices.ContainsFunc([]string{"gateway", "signer", "portal", "hasura", "graph-node", "blockscout", "dapp"}, func(name string) bool {
			return p.owner.Name == name || strings.HasPrefix(p.owner.Name, name+"-setup-")
		})
		require.Equal(t, uses, mounts, "%s: the driver makes Secrets for those who mount its volume", p.owner.Name)
	}
}

func TestTenants_HaveNothingOfTheCluster(t *testing.T) {
	t.Parallel()
	r := mustRenderValues(t, overlaid(t, everything, ownIngress,
		"support: {ingress: {service: {type: ClusterIP}}}\nglobal: {domain: example.org, tenant: {enabled: true, client: bank-a, environment: test}}"))
	for _, o := range r.objects {
		require.Equal(t, "atk", o.Namespace, "%s %s", o.Kind, o.Name)
		require.NotContains(t, []string{"ClusterRole", "ClusterRoleBinding", "APIService", "DaemonSet", "IngressClass"}, o.Kind)
	}
	require.True(t, r.says("gateway.bank-a.test.example.org"))
	require.NotEmpty(t, find[corev1.ResourceQuota](t, r, "ResourceQuota", "tenant").Spec.Hard)
	require.NotEmpty(t, find[corev1.LimitRange](t, r, "LimitRange", "tenant").Spec.Limits)
	require.False(t, mustRender(t, "").says("kind: ClusterRole"), "nor has anybody who did not ask for it")
}

func TestAllowedNetworks_StandWhereTheControllerLooks(t *testing.T) {
	t.Parallel()
	const allowed = "global: {expose: {allowedCIDRs: [192.0.2.0/24, 198.51.100.0/24]}}"
	require.True(t, mustRenderValues(t, overlaid(t, everything, allowed)).says("nginx.ingress.kubernetes.io/whitelist-source-range: 192.0.2.0/24,198.51.100.0/24"))
	require.True(t, mustRenderValues(t, overlaid(t, everything, allowed, "global: {expose: {type: route}}")).says("haproxy.router.openshift.io/ip_whitelist: 192.0.2.0/24 198.51.100.0/24"))
	_, err := Render(t.Context(), Target{Release: "slipway", Namespace: "atk"}, overlaid(t, everything, allowed, "global: {expose: {type: gateway}}"))
	require.ErrorContains(t, err, "global.expose.allowedCIDRs")
}

func TestDApp_LinksToWhereTheExplorerIs(t *testing.T) {
	t.Parallel()
	r := mustRenderValues(t, overlaid(t, everything, withDApp, "global: {expose: {hosts: {blockscout: explorer.example.org}}}"))
	require.Equal(t, "https://explorer.example.org/", env(t, r, "dapp", "SETTLEMINT_BLOCKSCOUT_UI_ENDPOINT"))
	var hosts int
	for i, o := range r.objects {
		if o.Kind == "Ingress" && strings.HasPrefix(o.Name, "blockscout") {
			eachText(r.parsed[i], "", func(path, text string) {
				if strings.HasSuffix(path, ".host") {
					hosts++
					require.Equal(t, "explorer.example.org", text)
				}
			})
		}
	}
	require.Equal(t, 2, hosts, "the API and the user interface")
	_, err := Render(t.Context(), Target{Release: "slipway", Namespace: "atk"}, overlaid(t, withDApp, "blockscout: {expose: {host: other.example.org}}"))
	require.ErrorContains(t, err, "global.expose.hosts.blockscout")
}
