package deploy

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

// alloyBlock gives a block of Alloy's file by its first line, without what it
// is indented by.
func alloyBlock(t *testing.T, r rendered, begins string) []string {
	t.Helper()
	text := find[corev1.ConfigMap](t, r, "ConfigMap", "alloy").Data["config.alloy"]
	require.Equal(t, strings.Count(text, "{"), strings.Count(text, "}"))
	_, text, found := strings.Cut(text, begins+" {\n")
	require.True(t, found, begins)
	text, _, _ = strings.Cut(text, "\n}")
	var out []string
	for _, line := range strings.Split(text, "\n") {
		out = append(out, strings.TrimSpace(line))
	}
	return out
}

// TestAlloy_TakesLogsOfThisReleaseAlone: the Kubernetes API gives them, so no pod
// needs a folder of its machine.
func TestAlloy_TakesLogsOfThisReleaseAlone(t *testing.T) {
	t.Parallel()
	r := mustRender(t, "")
	require.Contains(t, alloyBlock(t, r, `discovery.kubernetes "pods"`), `label = "app.kubernetes.io/instance=slipway"`)
	require.Contains(t, alloyBlock(t, r, `discovery.kubernetes "pods"`), `names = ["atk"]`)
	require.Contains(t, alloyBlock(t, r, `loki.source.kubernetes "pods"`), `forward_to = [loki.write.default.receiver]`)
	require.Contains(t, alloyBlock(t, r, `loki.write "default"`), `url = "http://loki.atk.svc.cluster.local:3100/loki/api/v1/push"`)
	require.Contains(t, find[rbacv1.Role](t, r, "Role", "alloy").Rules, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods/log"}, Verbs: []string{"get"}})
	require.False(t, mustRender(t, "observability: {alloy: {logs: {enabled: false}}}").says("pods/log"))
}

// TestAlloy_LogsInElsewhere is about stores of metrics, logs and traces that are the house's.
func TestAlloy_LogsInElsewhere(t *testing.T) {
	t.Parallel()
	const elsewhere = `
observability:
  alloy:
    externalLabels: {cluster: "eu-1", 'say "x"': a}
    metrics: {url: 'https://metrics.example:9009/api/v1/push', existingSecret: metrics-login, tenant: bank, caFile: /etc/ca/ca.crt}
    logs: {url: 'https://logs.example/loki/api/v1/push', tokenFile: /var/run/secrets/kubernetes.io/serviceaccount/token, tenant: bank}
    traces: {url: 'https://traces.example', existingSecret: traces-login, tenant: bank, caFile: /etc/ca/ca.crt}
  victoriaMetrics: {enabled: false}
  loki: {enabled: false}
  tempo: {enabled: false}
`
	r := mustRender(t, elsewhere)
	metrics, logs := alloyBlock(t, r, `prometheus.remote_write "default"`), alloyBlock(t, r, `loki.write "default"`)
	for _, block := range [][]string{metrics, logs} {
		require.Subset(t, block, []string{`external_labels = {`, `"cluster" = "eu-1",`, `"say \"x\"" = "a",`})
	}
	require.Subset(t, metrics, []string{
		`url = "https://metrics.example:9009/api/v1/push"`, `headers = {"X-Scope-OrgID" = "bank"}`,
		`bearer_token_file = "/run/secrets/slipway/metrics/token"`, `ca_file = "/etc/ca/ca.crt"`,
	})
	require.Subset(t, logs, []string{`url = "https://logs.example/loki/api/v1/push"`, `tenant_id = "bank"`, `bearer_token_file = "/var/run/secrets/kubernetes.io/serviceaccount/token"`})
	require.NotContains(t, logs, `tls_config {`)
	require.Subset(t, alloyBlock(t, r, `otelcol.exporter.otlphttp "default"`), []string{
		`endpoint = "https://traces.example"`, `headers = {"X-Scope-OrgID" = "bank"}`, `auth = otelcol.auth.bearer.traces.handler`, `ca_file = "/etc/ca/ca.crt"`,
	})
	require.Contains(t, alloyBlock(t, r, `otelcol.auth.bearer "traces"`), `token = local.file.traces_token.content`)
	require.Contains(t, alloyBlock(t, r, `local.file "traces_token"`), `filename  = "/run/secrets/slipway/traces/token"`)

	pod := find[appsv1.Deployment](t, r, "Deployment", "alloy").Spec.Template.Spec
	mounted := make(map[string]string)
	for _, mount := range pod.Containers[0].VolumeMounts {
		mounted[mount.Name] = mount.MountPath
	}
	secrets := make(map[string]string)
	for _, volume := range pod.Volumes {
		if volume.Secret != nil {
			require.Equal(t, []corev1.KeyToPath{{Key: "token", Path: "token"}}, volume.Secret.Items)
			secrets[volume.Secret.SecretName] = mounted[volume.Name]
		}
	}
	require.Equal(t, map[string]string{"metrics-login": "/run/secrets/slipway/metrics", "traces-login": "/run/secrets/slipway/traces"}, secrets)
	require.True(t, *pod.AutomountServiceAccountToken, "its own token is one that can be shown")
	var ports []int32
	for _, rule := range find[networkingv1.NetworkPolicy](t, r, "NetworkPolicy", "alloy").Spec.Egress {
		for _, port := range rule.Ports {
			ports = append(ports, port.Port.IntVal)
		}
	}
	require.Subset(t, ports, []int32{443, 9009})
}

func TestAlloy_UsersHavePasswords(t *testing.T) {
	t.Parallel()
	r := mustRender(t, `
observability:
  alloy:
    metrics: {username: me, existingSecret: a}
    logs: {username: me, existingSecret: b}
    traces: {username: me, existingSecret: c}
`)
	for kind, secret := range map[string]string{"METRICS": "a", "LOGS": "b", "TRACES": "c"} {
		require.Equal(t, secret+"/password", env(t, r, "alloy", kind+"_PASSWORD"))
		require.True(t, r.says(`password = sys.env("`+kind+`_PASSWORD")`))
	}
	require.Contains(t, alloyBlock(t, r, `otelcol.exporter.otlphttp "default"`), `auth = otelcol.auth.basic.traces.handler`)
	require.False(t, r.says("bearer_token_file"))
	for _, kind := range []string{"metrics", "logs", "traces"} {
		for text, key := range map[string]string{"{username: me}": ".existingSecret", "{existingSecret: a, tokenFile: /b}": ".tokenFile"} {
			_, err := Render(t.Context(), Target{Release: "slipway", Namespace: "atk"}, values(t, "observability: {alloy: {"+kind+": "+text+"}}"))
			require.ErrorContains(t, err, "observability.alloy."+kind+key)
		}
	}
}

func TestAlloy_LabelsWhatTenantsHave(t *testing.T) {
	t.Parallel()
	r := mustRender(t, "global: {tenant: {enabled: true, client: bank-a, environment: test}}\nobservability: {alloy: {externalLabels: {environment: mine}}}")
	for _, block := range []string{`prometheus.remote_write "default"`, `loki.write "default"`} {
		require.Subset(t, alloyBlock(t, r, block), []string{`"client" = "bank-a",`, `"environment" = "mine",`}, "the values win")
	}
	require.False(t, mustRender(t, "").says("external_labels"))
}

// TestGrafana_HasItsSources: what it shows without a hand, and no more than there is.
func TestGrafana_HasItsSources(t *testing.T) {
	t.Parallel()
	sources := func(text string) map[string]string {
		r := mustRender(t, text)
		var file struct {
			Datasources []struct{ Type, URL string }
		}
		require.NoError(t, yaml.Unmarshal([]byte(find[corev1.ConfigMap](t, r, "ConfigMap", "grafana").Data["datasources.yaml"]), &file))
		out := make(map[string]string)
		for _, source := range file.Datasources {
			out[source.Type] = source.URL
		}
		pod := find[appsv1.StatefulSet](t, r, "StatefulSet", "grafana").Spec.Template.Spec
		require.Equal(t, "/etc/slipway/provisioning", env(t, r, "grafana", "GF_PATHS_PROVISIONING"))
		require.Contains(t, pod.Containers[0].VolumeMounts, corev1.VolumeMount{Name: "sources", MountPath: "/etc/slipway/provisioning/datasources", ReadOnly: true})
		return out
	}
	require.Equal(t, map[string]string{
		"prometheus": "http://victoria-metrics.atk.svc.cluster.local:8428", "loki": "http://loki.atk.svc.cluster.local:3100", "tempo": "http://tempo.atk.svc.cluster.local:3200",
	}, sources(""))
	require.Equal(t, map[string]string{"prometheus": "http://victoria-metrics.atk.svc.cluster.local:8428"},
		sources("observability: {loki: {enabled: false}, tempo: {enabled: false}, alloy: {logs: {enabled: false}, traces: {enabled: false}}}"))
}

func TestGrafana_PasswordIsMadeOnceOrSomebodys(t *testing.T) {
	t.Parallel()
	for text, secret := range map[string]string{"": "grafana-admin", "observability: {grafana: {admin: {username: me, existingSecret: vault-grafana}}}": "vault-grafana"} {
		r := mustRender(t, text)
		pod := find[appsv1.StatefulSet](t, r, "StatefulSet", "grafana").Spec.Template.Spec
		require.Equal(t, "/run/secrets/slipway/password", env(t, r, "grafana", "GF_SECURITY_ADMIN_PASSWORD__FILE"))
		found := false
		for _, volume := range pod.Volumes {
			if volume.Name == "admin" {
				found = true
				require.Equal(t, secret, volume.Secret.SecretName)
			}
		}
		require.True(t, found)
		require.Equal(t, secret == "grafana-admin", r.has("ConfigMap", "secret-request-grafana-grafana-admin"), "it is asked for where there is none")
	}
}
