package deploy

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// passed has a signer that ends TLS itself; nobody in the release calls it in clear.
const passed = `
signer: {expose: {enabled: true}, networks: {cidrs: []}, passthrough: {enabled: true, clientCASecret: callers}}
portal: {enabled: false}
hasura: {portal: {enabled: false}, actions: {enabled: false}}
dapp: {enabled: false}
global: {expose: {type: gateway, tls: {issuerRef: {name: letsencrypt}}}}
`

// specOf is the spec of the signer's object of a kind, as it is written.
func specOf(t *testing.T, r rendered, kind string) map[string]any {
	t.Helper()
	at := slices.IndexFunc(r.objects, func(o Object) bool { return o.Kind == kind && o.Name == "signer" })
	require.GreaterOrEqual(t, at, 0, kind)
	spec, _ := r.parsed[at]["spec"].(map[string]any)
	return spec
}

func TestPassthrough_LeavesTLSToTheComponent(t *testing.T) {
	t.Parallel()
	r := mustRender(t, passed)
	require.Equal(t, map[string]any{
		"parentRefs": []any{map[string]any{"name": "slipway"}},
		"hostnames":  []any{"signer.k8s.orb.local"},
		"rules":      []any{map[string]any{"backendRefs": []any{map[string]any{"name": "signer", "port": 3000.0}}}},
	}, specOf(t, r, "TLSRoute"))
	require.False(t, r.has("HTTPRoute", "signer"))
	require.Equal(t, "signer-tls", specOf(t, r, "Certificate")["secretName"], "made by cert-manager, and mounted")

	tls := loadSigner(t, r).App.TLS
	require.Equal(t, []string{"/run/slipway/tls/tls.crt", "/run/slipway/tls/tls.key", "/run/slipway/callers/ca.crt"}, []string{tls.CertFile, tls.KeyFile, tls.CAFile})
	pod := find[appsv1.Deployment](t, r, "Deployment", "signer").Spec.Template.Spec
	for path, secret := range map[string]string{"/run/slipway/tls": "signer-tls", "/run/slipway/callers": "callers"} {
		mount := slices.IndexFunc(pod.Containers[0].VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == path })
		require.GreaterOrEqual(t, mount, 0, path)
		volume := slices.IndexFunc(pod.Volumes, func(v corev1.Volume) bool { return v.Name == pod.Containers[0].VolumeMounts[mount].Name })
		require.Equal(t, secret, pod.Volumes[volume].Secret.SecretName)
	}
	require.Equal(t, "metrics", pod.Containers[0].ReadinessProbe.HTTPGet.Port.String(), "which has no TLS")

	route := specOf(t, mustRenderValues(t, overlaid(t, passed, "global: {expose: {type: route}}")), "Route")
	require.Equal(t, map[string]any{"termination": "passthrough", "insecureEdgeTerminationPolicy": "None"}, route["tls"])
	require.NotContains(t, route, "path", "there is none in TLS")
	service := specOf(t, mustRenderValues(t, overlaid(t, passed, "global: {expose: {type: istio}}")), "VirtualService")
	require.NotContains(t, service, "http")
	require.Equal(t, []any{map[string]any{
		"match": []any{map[string]any{"port": 443.0, "sniHosts": []any{"signer.k8s.orb.local"}}},
		"route": []any{map[string]any{"destination": map[string]any{"host": "signer", "port": map[string]any{"number": 3000.0}}}},
	}}, service["tls"])
}

func TestPassthrough_OfTheGateway(t *testing.T) {
	t.Parallel()
	r := mustRender(t, `
gateway: {expose: {enabled: true}, passthrough: {enabled: true}}
global: {expose: {type: route}, endpoints: {gateway: 'https://gateway.k8s.orb.local'}}
`)
	server := loadGateway(t, r).App.TLS
	require.Equal(t, "/run/slipway/tls/tls.crt", server.CertFile)
	require.Empty(t, server.CAFile, "nobody asks for certificates")
	require.Equal(t, "https://gateway.k8s.orb.local", env(t, r, "signer", "SLIPWAY_GATEWAY_URL"), "those inside use TLS too")
}

func TestPassthrough_IsRefusedWhereItCannotBe(t *testing.T) {
	t.Parallel()
	for text, key := range map[string]string{
		"global: {expose: {type: ingress}}":                              "global.expose.type",
		"global: {expose: {type: ingress, controller: {enabled: true}}}": "global.expose.type",
		"signer: {expose: {enabled: false}}":                             "signer.expose.enabled",
		// Nothing tells who comes through from who is inside.
		"signer: {networks: {cidrs: [10.0.0.0/8], evenIfExposed: true}}": "signer.networks.cidrs",
		"portal: {enabled: true}": "global.endpoints.signer",
		"gateway: {expose: {enabled: true}, passthrough: {enabled: true}}": "global.endpoints.gateway",
	} {
		_, err := Render(t.Context(), Target{Release: "slipway", Namespace: "atk"}, overlaid(t, passed, text))
		var problems Problems
		require.ErrorAs(t, err, &problems, text)
		require.Equal(t, key, problems[0].Key, text)
	}
}
