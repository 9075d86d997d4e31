package deploy

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"
)

// meshPolicy is what the tests need of Istio's AuthorizationPolicy.
type meshPolicy struct {
	Spec struct {
		Selector struct {
			MatchLabels map[string]string `json:"matchLabels"`
		} `json:"selector"`
		Rules []struct {
			From []struct {
				Source struct {
					Principals []string `json:"principals"`
				} `json:"source"`
			} `json:"from"`
			To []struct {
				Operation struct {
					Ports []string `json:"ports"`
				} `json:"operation"`
			} `json:"to"`
		} `json:"rules"`
	} `json:"spec"`
}

// allows says whether some rule lets an account in at a port; one without ports is about all.
func (a meshPolicy) allows(account, port string) bool {
	for _, rule := range a.Spec.Rules {
		for _, from := range rule.From {
			there := len(rule.To) == 0 || slices.Contains(rule.To[0].Operation.Ports, port)
			if there && slices.Contains(from.Source.Principals, "cluster.local/ns/atk/sa/"+account) {
				return true
			}
		}
	}
	return false
}

// TestMesh_AllowsWhatNetworkPoliciesAllow compares the two: for each pair of pods, and
// each port, both let in or none.
func TestMesh_AllowsWhatNetworkPoliciesAllow(t *testing.T) {
	t.Parallel()
	traces := "global: {otlpEndpoint: 'alloy:4317'}\nnetwork: {besu: {metricsProtocol: opentelemetry}}"
	r := mustRenderValues(t, overlaid(t, everything, withDApp, traces, "global: {mesh: {type: istio}, expose: {type: istio}}"))
	require.True(t, r.has("PeerAuthentication", "slipway"))
	require.True(t, r.says("mtls: {mode: STRICT}"))
	require.True(t, r.has("AuthorizationPolicy", "default-deny"))
	policies, pods, compared := all[networkingv1.NetworkPolicy](t, r, "NetworkPolicy"), r.pods(t), 0
	users := make(map[string]map[string]bool) // of each account
	for _, p := range pods {
		if users[p.spec.ServiceAccountName] == nil {
			users[p.spec.ServiceAccountName] = make(map[string]bool)
		}
		users[p.spec.ServiceAccountName][p.Labels["app.kubernetes.io/name"]] = true
	}
	for name, facts := range components(t) {
		policy, found := policies[name]
		if !found {
			continue
		}
		var mesh meshPolicy
		if at := slices.IndexFunc(r.objects, func(o Object) bool { return o.Kind == "AuthorizationPolicy" && o.Name == name }); at >= 0 {
			mesh = meshPolicy{}
			require.NoError(t, yaml.Unmarshal([]byte(r.objects[at].Text), &mesh))
			require.Len(t, selected(pods, mesh.Spec.Selector.MatchLabels), len(selected(pods, policy.Spec.PodSelector.MatchLabels)), name)
		}
		for port, number := range facts.Ports {
			for _, caller := range pods {
				label := caller.Labels[fmt.Sprintf("slipway.io/calls-%s.%s", name, port)] == "true"
				scrapes := caller.Labels["slipway.io/calls-metrics"] == "true" && facts.Metrics["port"] == port
				shares := caller.spec.ServiceAccountName == "default" || len(users[caller.spec.ServiceAccountName]) > 1
				if shares && !label {
					continue // several pods have the account
				}
				compared++
				require.Equal(t, label || scrapes, mesh.allows(caller.spec.ServiceAccountName, fmt.Sprint(number)), "%s calls %s.%s", caller.owner.Name, name, port)
			}
		}
	}
	require.Greater(t, compared, 100)
	require.False(t, mustRender(t, "").says("istio.io"))
}

func TestMesh_HostsAndTheSignersCallers(t *testing.T) {
	t.Parallel()
	r := mustRender(t, "global: {mesh: {type: istio}, expose: {type: istio, gateway: {name: edge, namespace: istio-system}}}\ngraph-node: {expose: {enabled: true}}")
	require.True(t, r.has("VirtualService", "graph-node"))
	require.True(t, r.says("gateways: [istio-system/edge]"))
	require.True(t, r.says("istio-ingressgateway-service-account"))
	other := mustRender(t, "global: {mesh: {type: istio, ingressPrincipals: [cluster.local/ns/edge/sa/door]}}\ngraph-node: {expose: {enabled: true}}")
	require.True(t, other.says("cluster.local/ns/edge/sa/door"))
	_, err := whoCalls(t, r, "127.0.0.6")
	require.NoError(t, err, "the sidecar's own address")
	_, err = whoCalls(t, mustRender(t, ""), "127.0.0.6")
	require.Error(t, err)
	named := mustRender(t, "global: {mesh: {type: istio, trustDomain: td}}\nportal: {serviceAccount: {name: mine}}")
	require.True(t, named.says("td/ns/atk/sa/mine"))
	require.False(t, named.says("td/ns/atk/sa/portal"))
}
