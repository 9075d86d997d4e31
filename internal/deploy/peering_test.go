package deploy

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// peerPorts are the ports of a Service for peers.
func peerPorts(service corev1.Service) []string {
	var out []string
	for _, port := range service.Spec.Ports {
		out = append(out, port.TargetPort.String()+"/"+string(port.Protocol))
	}
	return out
}

func TestValidators_MayHaveALoadBalancerEach(t *testing.T) {
	t.Parallel()
	r := mustRender(t, peered)
	args := func(name string) []string {
		return find[appsv1.StatefulSet](t, r, "StatefulSet", name).Spec.Template.Spec.Containers[0].Args[1:]
	}
	for i, address := range []string{"203.0.113.10", "203.0.113.11", "", ""} {
		name := fmt.Sprintf("besu-node-validator-%d", i)
		service := find[corev1.Service](t, r, "Service", name+"-peers")
		require.Equal(t, corev1.ServiceTypeLoadBalancer, service.Spec.Type)
		require.Equal(t, address, service.Spec.LoadBalancerIP)
		require.Equal(t, []string{"198.51.100.0/24"}, service.Spec.LoadBalancerSourceRanges)
		require.Equal(t, name, service.Spec.Selector["slipway.io/node"], "it leads to one node")
		require.True(t, service.Spec.PublishNotReadyAddresses)
		require.Equal(t, []string{"p2p/", "discovery/UDP"}, peerPorts(service), "and to no other port")
		if address == "" {
			require.Equal(t, []string{"--p2p-host=$(POD_IP)"}, args(name), "no address is known")
		} else {
			require.Equal(t, []string{"--p2p-host=" + address, "--nat-method=NONE"}, args(name))
		}
		inside := find[corev1.Service](t, r, "Service", name)
		require.Equal(t, corev1.ClusterIPNone, inside.Spec.ClusterIP, "static nodes are as before")
	}
	require.Equal(t, map[string]string{"lb.example/pool": "b"}, find[corev1.Service](t, r, "Service", "besu-node-validator-1-peers").Annotations)
	require.False(t, mustRender(t, "").says("-peers\n"), "nobody gets one unasked")

	nodePorts := mustRender(t, "network: {validator: {peering: {type: NodePort, nodes: [{nodePort: 31303}]}}}")
	service := find[corev1.Service](t, nodePorts, "Service", "besu-node-validator-0-peers")
	require.Equal(t, corev1.ServiceTypeNodePort, service.Spec.Type)
	for _, port := range service.Spec.Ports {
		require.Equal(t, int32(31303), port.NodePort)
	}
}

func TestValidators_LetInPeersOfOtherClusters(t *testing.T) {
	t.Parallel()
	policy := func(text string) networkingv1.NetworkPolicySpec {
		return find[networkingv1.NetworkPolicy](t, mustRender(t, text), "NetworkPolicy", "besu-node-validator").Spec
	}
	plain, open, narrow := policy(""), policy("network: {validator: {peering: {type: NodePort}}}"), policy(peered)
	require.Len(t, open.Ingress, len(plain.Ingress)+1)
	require.Len(t, open.Egress, len(plain.Egress)+1)
	added := narrow.Ingress[len(narrow.Ingress)-1]
	require.Equal(t, "198.51.100.0/24", added.From[0].IPBlock.CIDR)
	require.Len(t, added.Ports, 2)
	for _, port := range added.Ports {
		require.Equal(t, int32(30303), port.Port.IntVal, "JSON-RPC stays inside")
	}
	require.Equal(t, "198.51.100.0/24", narrow.Egress[len(narrow.Egress)-1].To[0].IPBlock.CIDR)
	require.Empty(t, open.Ingress[len(open.Ingress)-1].From, "from everywhere")

	_, err := Render(t.Context(), Target{Release: "slipway", Namespace: "atk"}, overlaid(t, peered, "global: {tenant: {enabled: true}}"))
	var problems Problems
	require.ErrorAs(t, err, &problems)
	require.Equal(t, "network.validator.peering.type", problems[0].Key)
}
