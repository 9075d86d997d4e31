package deploy

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

const ownAndGateway = "gateway: {expose: {enabled: true}}\nglobal: {expose: {controller: {enabled: true}}}"

// flags are the arguments of the controller, by name.
func controllerFlags(t *testing.T, r rendered) map[string]string {
	t.Helper()
	out := make(map[string]string)
	for _, arg := range find[appsv1.Deployment](t, r, "Deployment", "traefik").Spec.Template.Spec.Containers[0].Args {
		name, value, found := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		require.True(t, found, arg)
		require.NotContains(t, out, name)
		out[name] = value
	}
	return out
}

func TestOwnController_OneSettingDoesIt(t *testing.T) {
	t.Parallel()
	r := mustRender(t, ownAndGateway)
	ingress := find[networkingv1.Ingress](t, r, "Ingress", "gateway")
	require.Equal(t, "atk-slipway", *ingress.Spec.IngressClassName)
	require.Empty(t, ingress.Annotations)
	require.Equal(t, "traefik.io/ingress-controller", find[networkingv1.IngressClass](t, r, "IngressClass", "atk-slipway").Spec.Controller)
	flags := controllerFlags(t, r)
	require.Equal(t, "atk-slipway", flags["providers.kubernetesingress.ingressclass"])
	require.Equal(t, "atk", flags["providers.kubernetesingress.namespaces"])
	require.NotContains(t, flags, "providers.kubernetesingress.disableclusterscoperesources")
	require.Equal(t, "true", flags["entrypoints.https.http.tls"], "an Ingress alone does not say it")
	require.NotContains(t, flags, "entrypoints.http.http.redirections.entrypoint.to", "there is no TLS to go to")
	require.Len(t, find[corev1.Service](t, r, "Service", "traefik").Spec.Ports, 1)

	r = mustRenderValues(t, overlaid(t, ownAndGateway, "global: {expose: {className: mine, tls: {enabled: true}}}"))
	require.Equal(t, "mine", *find[networkingv1.Ingress](t, r, "Ingress", "gateway").Spec.IngressClassName)
	require.True(t, r.has("IngressClass", "mine"))
	require.Equal(t, ":443", controllerFlags(t, r)["entrypoints.http.http.redirections.entrypoint.to"], "the port of the Service, not of the pod")
	require.Len(t, find[corev1.Service](t, r, "Service", "traefik").Spec.Ports, 2)

	r = mustRender(t, "gateway: {expose: {enabled: true}}\nglobal: {expose: {className: nginx}}")
	require.Equal(t, "nginx", *find[networkingv1.Ingress](t, r, "Ingress", "gateway").Spec.IngressClassName)
	for _, trace := range []string{"traefik", "slipway.io/exposed", "calls-exposed"} {
		require.False(t, r.says(trace), "%s: somebody else's controller is as before", trace)
	}
}

// TestOwnController_HasTheLeastRights is about its Role, and about what is of the whole cluster.
func TestOwnController_HasTheLeastRights(t *testing.T) {
	t.Parallel()
	r := mustRender(t, ownAndGateway)
	namespaced := find[rbacv1.Role](t, r, "Role", "traefik").Rules
	require.Equal(t, []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"secrets", "services"}, Verbs: []string{"list", "watch"}},
		{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: []string{"list", "watch"}},
		{APIGroups: []string{"networking.k8s.io"}, Resources: []string{"ingresses"}, Verbs: []string{"list", "watch"}},
		{APIGroups: []string{"networking.k8s.io"}, Resources: []string{"ingresses/status"}, Verbs: []string{"update"}},
	}, namespaced)
	require.Equal(t, []rbacv1.PolicyRule{
		{APIGroups: []string{"networking.k8s.io"}, Resources: []string{"ingressclasses"}, Verbs: []string{"list", "watch"}},
		{APIGroups: []string{""}, Resources: []string{"nodes"}, Verbs: []string{"list", "watch"}},
	}, find[rbacv1.ClusterRole](t, r, "ClusterRole", "atk-slipway-traefik").Rules)
	for name, text := range map[string]string{
		"not asked for": "global: {expose: {controller: {clusterWide: false}}}",
		"a tenant":      "support: {ingress: {service: {type: ClusterIP}}}\nglobal: {tenant: {enabled: true}}",
	} {
		r := mustRenderValues(t, overlaid(t, ownAndGateway, text))
		for _, o := range r.objects {
			require.NotContains(t, []string{"ClusterRole", "ClusterRoleBinding", "IngressClass"}, o.Kind, name)
		}
		ingress := find[networkingv1.Ingress](t, r, "Ingress", "gateway")
		require.Nil(t, ingress.Spec.IngressClassName, name)
		require.Equal(t, "atk-slipway", ingress.Annotations["kubernetes.io/ingress.class"], name)
		require.Equal(t, "true", controllerFlags(t, r)["providers.kubernetesingress.disableclusterscoperesources"], name)
	}
	r = mustRenderValues(t, overlaid(t, ownAndGateway, "support: {ingress: {service: {type: NodePort}}}"))
	require.Len(t, find[rbacv1.Role](t, r, "Role", "traefik").Rules, 3, "it writes the addresses of load balancers alone")
	require.NotContains(t, controllerFlags(t, r), "providers.kubernetesingress.ingressendpoint.publishedservice")
}

func TestOwnController_IsRefusedWhereItWouldNotWork(t *testing.T) {
	t.Parallel()
	for text, key := range map[string]string{
		"global: {expose: {type: gateway}}": "global.expose.type",
		"global: {expose: {type: route}}":   "global.expose.type",
		"global: {mesh: {type: istio}}":     "global.expose.controller.enabled",
		"global: {tenant: {enabled: true}}": "support.ingress.service.type",
		external:                            "global.expose.controller.enabled",
	} {
		_, err := Render(t.Context(), Target{Release: "slipway", Namespace: "atk"}, overlaid(t, ownAndGateway, text))
		var problems Problems
		require.ErrorAs(t, err, &problems, text)
		require.Equal(t, key, problems[0].Key, text)
	}
	mustRenderValues(t, overlaid(t, ownAndGateway, "global: {tenant: {enabled: true, quota: {services.loadbalancers: '1'}}}"))
}

func TestOwnController_ReachesWhatIsExposedAndIsAloneInThat(t *testing.T) {
	t.Parallel()
	r := mustRenderValues(t, overlaid(t, ownAndGateway, "portal: {expose: {enabled: true}}"))
	pods := r.pods(t)
	named := func(name string) pod { return selected(pods, map[string]string{"app.kubernetes.io/name": name})[0] }
	policies := all[networkingv1.NetworkPolicy](t, r, "NetworkPolicy")
	controller, stranger := named("traefik"), pod{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "stranger"}}}
	anywhere := networkingv1.NetworkPolicy{Spec: networkingv1.NetworkPolicySpec{
		PodSelector: metav1.LabelSelector{MatchLabels: stranger.Labels}, Egress: []networkingv1.NetworkPolicyEgressRule{{}},
	}}
	policies["stranger"] = anywhere
	require.True(t, lets(policies, controller, named("gateway"), 4000))
	require.True(t, lets(policies, controller, named("portal"), 3000))
	require.True(t, lets(policies, controller, named("portal"), 3001))
	for _, hidden := range []string{"signer", "hasura", "besu-node-validator", "postgresql"} {
		for _, port := range named(hidden).spec.Containers[0].Ports {
			require.False(t, lets(policies, controller, named(hidden), port.ContainerPort), "%s is not exposed", hidden)
		}
	}
	require.False(t, lets(policies, stranger, named("gateway"), 4000), "only through the controller")
	require.True(t, lets(policies, stranger, controller, 8000))
	require.True(t, lets(policies, stranger, controller, 8443))

	r = mustRenderValues(t, overlaid(t, ownAndGateway, "global: {networkPolicy: {ingressFrom: [{podSelector: {matchLabels: {app: front}}}]}}"))
	policies = all[networkingv1.NetworkPolicy](t, r, "NetworkPolicy")
	policies["stranger"] = anywhere
	require.False(t, lets(policies, stranger, selected(r.pods(t), map[string]string{"app.kubernetes.io/name": "traefik"})[0], 8000), "who may reach what is exposed may reach the controller")
}

func TestOwnController_AllowsNetworksByItsFile(t *testing.T) {
	t.Parallel()
	r := mustRenderValues(t, overlaid(t, ownAndGateway, "support: {ingress: {trustedProxies: [10.9.0.0/16]}}\nglobal: {expose: {allowedCIDRs: [192.0.2.0/24, 198.51.100.0/24]}}"))
	require.Equal(t, map[string]string{"traefik.ingress.kubernetes.io/router.middlewares": "allowed@file"}, find[networkingv1.Ingress](t, r, "Ingress", "gateway").Annotations)
	var file map[string]any
	require.NoError(t, yaml.UnmarshalStrict([]byte(find[corev1.ConfigMap](t, r, "ConfigMap", "traefik").Data["dynamic.yaml"]), &file))
	require.Equal(t, map[string]any{"allowed": map[string]any{"ipAllowList": map[string]any{
		"sourceRange": []any{"192.0.2.0/24", "198.51.100.0/24"},
		"ipStrategy":  map[string]any{"excludedIPs": []any{"10.9.0.0/16"}},
	}}}, file["http"].(map[string]any)["middlewares"]) //nolint:forcetypeassert // it has been read
	require.Equal(t, "10.9.0.0/16", controllerFlags(t, r)["entrypoints.http.forwardedheaders.trustedips"])
	require.Equal(t, corev1.ServiceExternalTrafficPolicyLocal, find[corev1.Service](t, r, "Service", "traefik").Spec.ExternalTrafficPolicy, "callers' addresses must arrive")
	require.False(t, mustRender(t, ownAndGateway).says("ipAllowList"))
}

// TestOwnController_IsNoCallerToTheSigner holds ADR 0036 against a controller that the chart itself makes.
func TestOwnController_IsNoCallerToTheSigner(t *testing.T) {
	t.Parallel()
	const exposed = "signer: {expose: {enabled: true}}\nglobal: {expose: {controller: {enabled: true}}}"
	_, err := Render(t.Context(), Target{Release: "slipway", Namespace: "atk"}, values(t, exposed))
	var problems Problems
	require.ErrorAs(t, err, &problems)
	require.Equal(t, "signer.networks.cidrs", problems[0].Key)
	r := mustRenderValues(t, overlaid(t, exposed, "signer: {networks: {cidrs: []}}"))
	require.Empty(t, loadSigner(t, r).App.Access.TrustedProxies, "nobody's X-Forwarded-For is believed unasked")
}
