package deploy

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// certificate is what the tests need of cert-manager's Certificate.
type certificate struct {
	Spec struct {
		SecretName string            `json:"secretName"`
		DNSNames   []string          `json:"dnsNames"`
		IssuerRef  map[string]string `json:"issuerRef"`
	} `json:"spec"`
}

// certificates gives those that are rendered, by name.
func certificates(t *testing.T, r rendered) map[string]certificate {
	t.Helper()
	out := make(map[string]certificate)
	for _, o := range r.objects {
		if o.Kind == "Certificate" {
			out[o.Name] = decodeLoosely[certificate](t, o)
		}
	}
	return out
}

const exposed = `
global:
  domain: example.org
  expose:
    className: alb
    annotations: {alb.example/scheme: internet-facing, alb.example/who: all}
    tls: {issuerRef: {name: corporate, kind: Issuer, group: step.example}}
gateway: {expose: {annotations: {alb.example/who: gateway}}}
`

// TestExpose_HasHostClassAndCertificate looks at everything that is reached from outside.
func TestExpose_HasHostClassAndCertificate(t *testing.T) {
	t.Parallel()
	r := mustRenderValues(t, overlaid(t, everything, withDApp, exposed))
	made, ingresses := certificates(t, r), all[networkingv1.Ingress](t, r, "Ingress")
	require.Equal(t, []string{"blockscout", "blockscout-frontend", "dapp", "gateway", "grafana", "graph-node", "hasura", "ipfs", "object-store", "portal", "signer"}, slices.Sorted(maps.Keys(ingresses)))
	for name, ingress := range ingresses {
		host := strings.TrimSuffix(name, "-frontend") + ".example.org"
		require.Equal(t, "alb", *ingress.Spec.IngressClassName, name)
		require.Equal(t, "internet-facing", ingress.Annotations["alb.example/scheme"], name)
		require.Equal(t, map[bool]string{true: "gateway", false: "all"}[name == "gateway"], ingress.Annotations["alb.example/who"], name)
		for annotation := range ingress.Annotations {
			require.True(t, strings.HasPrefix(annotation, "alb.example/"), "%s: %s is of another controller", name, annotation)
		}
		require.Len(t, ingress.Spec.Rules, 1, name)
		require.Equal(t, host, ingress.Spec.Rules[0].Host)
		require.Equal(t, []string{host}, ingress.Spec.TLS[0].Hosts)
		require.Equal(t, ingress.Spec.TLS[0].SecretName, made[name].Spec.SecretName, name)
		require.Equal(t, []string{host}, made[name].Spec.DNSNames)
		require.Equal(t, map[string]string{"name": "corporate", "kind": "Issuer", "group": "step.example"}, made[name].Spec.IssuerRef, name)
	}

	// The same hosts, whatever object carries them.
	for kind, hosts := range map[string]func(spec map[string]any) any{
		"HTTPRoute":      func(spec map[string]any) any { return spec["hostnames"].([]any)[0] }, //nolint:forcetypeassert // a test
		"VirtualService": func(spec map[string]any) any { return spec["hosts"].([]any)[0] },     //nolint:forcetypeassert // a test
		"Route":          func(spec map[string]any) any { return spec["host"] },
	} {
		v := overlaid(t, everything, withDApp, exposed, map[string]string{
			"HTTPRoute": "global: {expose: {type: gateway}}", "VirtualService": "global: {expose: {type: istio}, mesh: {type: istio}}", "Route": "global: {expose: {type: route}}",
		}[kind])
		other := mustRenderValues(t, v)
		seen := make(map[string]bool)
		for i, o := range other.objects {
			require.NotEqual(t, "Ingress", o.Kind)
			if o.Kind != kind {
				continue
			}
			name := other.parsed[i]["metadata"].(map[string]any)["labels"].(map[string]any)["app.kubernetes.io/name"].(string) //nolint:forcetypeassert // a test
			seen[name] = true
			require.Equal(t, ingresses[name].Spec.Rules[0].Host, hosts(other.parsed[i]["spec"].(map[string]any)), "%s %s", kind, o.Name) //nolint:forcetypeassert // a test
		}
		require.Len(t, seen, len(ingresses), kind)
		require.Equal(t, made, certificates(t, other), kind)
	}
}

// TestExpose_IsAskedFor: nothing is reached from outside by itself, and a secret of
// somebody's own serves without an issuer.
func TestExpose_IsAskedFor(t *testing.T) {
	t.Parallel()
	plain := mustRender(t, "")
	require.Empty(t, all[networkingv1.Ingress](t, plain, "Ingress"))
	for name, service := range all[corev1.Service](t, plain, "Service") {
		require.Contains(t, []corev1.ServiceType{"", corev1.ServiceTypeClusterIP}, service.Spec.Type, name)
	}
	r := mustRender(t, "global: {domain: example.org, expose: {tls: {enabled: true}}}\ngateway: {expose: {enabled: true, host: rpc.example.org, tls: {secretName: mine}}}")
	ingress := find[networkingv1.Ingress](t, r, "Ingress", "gateway")
	require.Equal(t, []networkingv1.IngressTLS{{Hosts: []string{"rpc.example.org"}, SecretName: "mine"}}, ingress.Spec.TLS)
	require.Equal(t, "rpc.example.org", ingress.Spec.Rules[0].Host)
	require.Nil(t, ingress.Spec.IngressClassName, "the cluster's default")
	require.Empty(t, certificates(t, r))
	require.True(t, mustRender(t, "gateway: {expose: {enabled: true}}").says("gateway.k8s.orb.local"))
}

// TestServices_AreLoadBalancersWhereAsked is about balancers that clouds make of Services.
func TestServices_AreLoadBalancersWhereAsked(t *testing.T) {
	t.Parallel()
	r := mustRenderValues(t, overlaid(t, everything, withDApp, `
gateway: {service: &balancer {type: LoadBalancer, annotations: {networking.gke.io/load-balancer-type: External}}}
signer: {service: *balancer}
portal: {service: *balancer}
hasura: {service: *balancer}
graph-node: {service: *balancer}
ipfs: {service: *balancer}
blockscout: {service: *balancer, frontend: {service: *balancer}}
dapp: {service: *balancer}
observability: {alloy: {service: *balancer}, grafana: {service: *balancer}}
`))
	var balanced []string
	for name, service := range all[corev1.Service](t, r, "Service") {
		if service.Spec.Type == corev1.ServiceTypeLoadBalancer {
			balanced = append(balanced, name)
			require.Equal(t, "External", service.Annotations["networking.gke.io/load-balancer-type"], name)
		}
	}
	require.ElementsMatch(t, []string{"alloy", "blockscout", "blockscout-frontend", "dapp", "gateway", "grafana", "graph-node", "hasura", "ipfs", "portal", "signer"}, balanced)
}

// TestPlatforms_UseTheBalancerOfTheCloud is about what the values for clouds say.
func TestPlatforms_UseTheBalancerOfTheCloud(t *testing.T) {
	t.Parallel()
	for platform, want := range map[string]struct{ class, annotation, allowed string }{
		"eks": {"alb", "alb.ingress.kubernetes.io/target-type", "alb.ingress.kubernetes.io/inbound-cidrs"},
		"aks": {"azure-application-gateway", "", "appgw.ingress.kubernetes.io/whitelist-source-range"},
	} {
		r := renderPlatform(t, platform, "gateway: {expose: {enabled: true}}\nglobal: {expose: {allowedCIDRs: [192.0.2.0/24]}}")
		ingress := find[networkingv1.Ingress](t, r, "Ingress", "gateway")
		require.Equal(t, want.class, *ingress.Spec.IngressClassName)
		require.Equal(t, "192.0.2.0/24", ingress.Annotations[want.allowed], platform)
		if want.annotation != "" {
			require.Contains(t, ingress.Annotations, want.annotation)
		}
		require.False(t, r.says("nginx.ingress.kubernetes.io"), platform)
	}
	service := find[corev1.Service](t, renderPlatform(t, "gke", ""), "Service", "gateway")
	require.Equal(t, "External", service.Annotations["networking.gke.io/load-balancer-type"])
	require.Equal(t, `{"ingress": true}`, service.Annotations["cloud.google.com/neg"], "the balancer sends to pods themselves")
}

// TestBlockscout_APIAndInterfaceAreApart: each has an Ingress of its own, and the
// interface can be left out.
func TestBlockscout_APIAndInterfaceAreApart(t *testing.T) {
	t.Parallel()
	paths := func(ingress networkingv1.Ingress) map[string]string {
		out := make(map[string]string)
		for _, path := range ingress.Spec.Rules[0].HTTP.Paths {
			out[path.Path] = path.Backend.Service.Name
		}
		return out
	}
	r := mustRender(t, "blockscout: {expose: {enabled: true}}")
	require.Equal(t, map[string]string{"/api": "blockscout", "/socket": "blockscout"}, paths(find[networkingv1.Ingress](t, r, "Ingress", "blockscout")))
	require.Equal(t, map[string]string{"/": "blockscout-frontend"}, paths(find[networkingv1.Ingress](t, r, "Ingress", "blockscout-frontend")))
	require.Equal(t, "blockscout", env(t, r, "blockscout", "PGDATABASE"))
	require.Equal(t, "http://gateway.atk.svc.cluster.local:4000", env(t, r, "blockscout", "ETHEREUM_JSONRPC_HTTP_URL"))

	r = mustRender(t, "blockscout: {expose: {enabled: true}, frontend: {enabled: false}}")
	require.Equal(t, map[string]string{"/": "blockscout"}, paths(find[networkingv1.Ingress](t, r, "Ingress", "blockscout")))
	require.False(t, r.has("Deployment", "blockscout-frontend"))
	require.False(t, r.has("Ingress", "blockscout-frontend"))
}
