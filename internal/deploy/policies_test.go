package deploy

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// clientLabel is what pods have for each port they call. Policies let them in by
// it, whoever they are, so no pod need have it.
const clientLabel = "slipway.io/calls-"

func TestPolicies_SelectPodsThatAreThere(t *testing.T) {
	t.Parallel()
	for name, r := range bases(t) {
		pods := r.pods(t)
		require.NotEmpty(t, pods)
		policies := all[networkingv1.NetworkPolicy](t, r, "NetworkPolicy")
		for _, policy := range policies {
			require.Len(t, policy.Spec.PolicyTypes, 2, "%s: both directions are decided", policy.Name)
			require.NotEmpty(t, selected(pods, policy.Spec.PodSelector.MatchLabels), "%s: %s selects no pod", name, policy.Name)
			for _, rule := range policy.Spec.Egress {
				for _, peer := range rule.To {
					if peer.PodSelector == nil {
						continue
					}
					targets := selected(pods, peer.PodSelector.MatchLabels)
					require.NotEmpty(t, targets, "%s: %s: egress to no pod: %v", name, policy.Name, peer.PodSelector.MatchLabels)
					for _, port := range rule.Ports {
						for _, target := range targets {
							require.True(t, target.hasPort(port.Port.IntVal), "%s: %s: %s does not listen on %s", name, policy.Name, target.owner.Name, port.Port)
						}
					}
				}
			}
			for _, rule := range policy.Spec.Ingress {
				for _, peer := range rule.From {
					if peer.PodSelector == nil {
						continue
					}
					for label := range peer.PodSelector.MatchLabels {
						require.True(t, strings.HasPrefix(label, clientLabel), "%s: %s", policy.Name, label)
					}
				}
			}
		}
		for _, p := range pods {
			require.True(t, has(policies, p.Labels["app.kubernetes.io/name"]), "%s: no policy is about %s", name, p.owner.Name)
		}
	}
}

func selected(pods []pod, by map[string]string) []pod {
	var out []pod
	for _, p := range pods {
		if p.isSelected(by) {
			out = append(out, p)
		}
	}
	return out
}

func (p pod) hasPort(number int32) bool {
	for _, c := range p.spec.Containers {
		for _, port := range c.Ports {
			if port.ContainerPort == number {
				return true
			}
		}
	}
	return false
}

// TestPolicies_AllowWhatIsDeclared asks the policies of both sides about every
// call of the table of components.
func TestPolicies_AllowWhatIsDeclared(t *testing.T) {
	t.Parallel()
	r := mustRender(t, everything)
	table := components(t)
	pods := r.pods(t)
	policies := all[networkingv1.NetworkPolicy](t, r, "NetworkPolicy")
	for from, c := range table {
		callers := selected(pods, map[string]string{"app.kubernetes.io/name": from})
		if len(callers) == 0 {
			continue // its chart is not written yet
		}
		calls := c.Calls
		for store := range c.Stores {
			if store == "objectStore" {
				calls = append(calls, "object-store.http")
				continue
			}
			calls = append(calls, store+".tcp")
		}
		for _, call := range calls {
			to, portName, _ := strings.Cut(call, ".")
			port := int32(table[to].Ports[portName])
			targets := selected(pods, map[string]string{"app.kubernetes.io/name": to})
			require.NotEmpty(t, targets, call)
			for _, caller := range callers {
				for _, target := range targets {
					require.True(t, lets(policies, caller, target, port), "%s may not call %s", from, call)
				}
			}
		}
	}
	signer := selected(pods, map[string]string{"app.kubernetes.io/name": "signer"})[0]
	validator := selected(pods, map[string]string{"app.kubernetes.io/name": "besu-node-validator"})[0]
	require.False(t, lets(policies, signer, validator, 8545), "what is not declared is denied")
	redis := selected(pods, map[string]string{"app.kubernetes.io/name": "redis"})[0]
	require.False(t, lets(policies, signer, redis, 6379))
}

// lets says what a network that enforces policies would: every policy that
// selects a side counts, and one that allows is enough for it.
func lets(policies map[string]networkingv1.NetworkPolicy, from, to pod, port int32) bool {
	out, in := false, false
	for _, policy := range policies {
		if from.isSelected(policy.Spec.PodSelector.MatchLabels) {
			for _, rule := range policy.Spec.Egress {
				out = out || (isPeer(rule.To, to) && isPort(rule.Ports, port))
			}
		}
		if to.isSelected(policy.Spec.PodSelector.MatchLabels) {
			for _, rule := range policy.Spec.Ingress {
				in = in || (isPeer(rule.From, from) && isPort(rule.Ports, port))
			}
		}
	}
	return out && in
}

func isPeer(peers []networkingv1.NetworkPolicyPeer, p pod) bool {
	if len(peers) == 0 {
		return true
	}
	for _, peer := range peers {
		if peer.PodSelector != nil && p.isSelected(peer.PodSelector.MatchLabels) {
			return true
		}
	}
	return false
}

func isPort(ports []networkingv1.NetworkPolicyPort, number int32) bool {
	for _, port := range ports {
		if port.Port.IntVal == number && *port.Protocol == corev1.ProtocolTCP {
			return true
		}
	}
	return len(ports) == 0
}

// TestPolicies_AllowEveryAddress requires that whatever address a pod is given,
// its policy lets it go there.
func TestPolicies_AllowEveryAddress(t *testing.T) {
	t.Parallel()
	for name, r := range bases(t) {
		policies := all[networkingv1.NetworkPolicy](t, r, "NetworkPolicy")
		services := all[corev1.Service](t, r, "Service")
		configs := all[corev1.ConfigMap](t, r, "ConfigMap")
		pods := r.pods(t)
		for _, p := range pods {
			if len(p.spec.Containers) == 0 {
				continue
			}
			for _, address := range p.addresses(configs) {
				host, port, err := net.SplitHostPort(address)
				if err != nil || strings.Contains(address, "$") || !isInCluster(host) {
					continue
				}
				var number int32
				_, err = fmt.Sscan(port, &number)
				require.NoError(t, err)
				labels := strings.Split(host, ".")
				service, found := services[labels[0]]
				if !found && len(labels) > 1 {
					service, found = services[labels[1]]
				}
				require.True(t, found, "%s: %s", name, address)
				for _, target := range selected(pods, service.Spec.Selector) {
					require.True(t, lets(policies, p, target, number), "%s: %s is told %s, and may not go there", name, p.owner.Name, address)
				}
			}
		}
	}
}

// addresses are the host:port of all that a pod is told to talk to.
func (p pod) addresses(configs map[string]corev1.ConfigMap) []string {
	var texts, out []string
	for _, c := range p.containers() {
		variables := make(map[string]string)
		for _, e := range c.Env {
			variables[e.Name] = e.Value
			texts = append(texts, e.Value)
		}
		if host := variables["PGHOST"]; host != "" {
			out = append(out, net.JoinHostPort(host, variables["PGPORT"]))
		}
		if address := variables["REDIS_ADDRESS"]; address != "" {
			out = append(out, address)
		}
		texts = append(texts, c.Args...)
	}
	for _, v := range p.spec.Volumes {
		if v.ConfigMap != nil {
			for _, text := range configs[v.ConfigMap.Name].Data {
				texts = append(texts, text)
			}
		}
	}
	for _, text := range texts {
		for _, found := range aURL.FindAllString(text, -1) {
			if u, err := url.Parse(found); err == nil && u.Port() != "" {
				out = append(out, u.Host)
			}
		}
	}
	return out
}

// TestPolicies_MetricsBesideOtherThingsAreNotForEverybody looks at ports at
// which more can be had than metrics.
func TestPolicies_MetricsBesideOtherThingsAreNotForEverybody(t *testing.T) {
	t.Parallel()
	stranger := pod{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "prometheus"}}}
	reaches := func(r rendered, name string, port int32) bool {
		in := false
		for _, rule := range find[networkingv1.NetworkPolicy](t, r, "NetworkPolicy", name).Spec.Ingress {
			in = in || (isPeer(rule.From, stranger) && isPort(rule.Ports, port))
		}
		return in
	}
	r := mustRender(t, "")
	require.True(t, reaches(r, "gateway", 4001))
	require.False(t, reaches(r, "portal", 3000))
	r = mustRender(t, "global: {networkPolicy: {metricsFrom: [{podSelector: {matchLabels: {app: prometheus}}}]}}")
	require.True(t, reaches(r, "portal", 3000))
}

func TestPolicies_CanBeLeftOut(t *testing.T) {
	t.Parallel()
	require.False(t, mustRender(t, "global: {networkPolicy: {enabled: false}}").says("kind: NetworkPolicy"))
}
