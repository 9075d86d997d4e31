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

// TestBesu_SendsTracesOrHasMetrics: it is one of the two, since Besu records traces
// with the metrics system of OpenTelemetry alone, and that one has no port.
func TestBesu_SendsTracesOrHasMetrics(t *testing.T) {
	t.Parallel()
	const roles = "besu-node-validator besu-node-rpc"
	config := func(r rendered, role string) string {
		return find[corev1.ConfigMap](t, r, "ConfigMap", role).Data["config.toml"]
	}
	plain := mustRender(t, "global: {otlpEndpoint: 'alloy:4317', metrics: {monitor: pod}}")
	sends := mustRender(t, "global: {otlpEndpoint: 'alloy:4317', metrics: {monitor: pod}}\nnetwork: {besu: {metricsProtocol: opentelemetry}}")
	for role := range strings.FieldsSeq(roles) {
		require.Contains(t, config(plain, role), `metrics-protocol="PROMETHEUS"`)
		require.Contains(t, config(plain, role), "metrics-port=9545")
		require.True(t, plain.has("PodMonitor", role))

		require.Contains(t, config(sends, role), `metrics-protocol="OPENTELEMETRY"`)
		require.NotContains(t, config(sends, role), "metrics-port")
		require.False(t, sends.has("PodMonitor", role), "there is nothing to scrape")
		for _, rule := range find[networkingv1.NetworkPolicy](t, sends, "NetworkPolicy", role).Spec.Ingress {
			require.False(t, isPort(rule.Ports, 9545), role)
		}
	}
	alloy := selected(sends.pods(t), map[string]string{"app.kubernetes.io/name": "alloy"})[0]
	policies, nodes := all[networkingv1.NetworkPolicy](t, sends, "NetworkPolicy"), 0
	for _, p := range sends.pods(t) {
		name := p.Labels["app.kubernetes.io/name"]
		if !strings.Contains(roles, name) {
			continue
		}
		nodes++
		require.NotContains(t, p.Annotations, "prometheus.io/scrape", p.owner.Name)
		require.False(t, p.hasPort(9545), p.owner.Name)
		besu := p.spec.Containers[0]
		require.Contains(t, besu.Args, "--metrics-push-prometheus-job=$(POD_NAME)")
		require.Equal(t, "http://alloy:4317", valueOf(besu, "OTEL_EXPORTER_OTLP_ENDPOINT"))
		require.Equal(t, "grpc", valueOf(besu, "OTEL_EXPORTER_OTLP_PROTOCOL"))
		require.True(t, lets(policies, p, alloy, 4317), p.owner.Name)
	}
	require.Equal(t, 5, nodes, "four sets of one validator, and one of RPC nodes")
	for _, p := range plain.pods(t) {
		if strings.Contains(roles, p.Labels["app.kubernetes.io/name"]) {
			require.Empty(t, valueOf(p.spec.Containers[0], "OTEL_EXPORTER_OTLP_ENDPOINT"))
		}
	}
	for name, service := range all[corev1.Service](t, sends, "Service") {
		for _, port := range service.Spec.Ports {
			require.NotEqual(t, int32(9545), port.Port, name)
		}
	}
	_, err := Render(t.Context(), Target{Release: "slipway", Namespace: "atk"}, values(t, "network: {besu: {metricsProtocol: opentelemetry}}"))
	require.ErrorContains(t, err, "global.otlpEndpoint: is needed")
}

// TestTraces_ReachTheirCollector: whoever sends is told where, and let through.
func TestTraces_ReachTheirCollector(t *testing.T) {
	t.Parallel()
	for _, endpoint := range []string{"alloy:4317", "alloy.atk:4317", "alloy.atk.svc:4317", "alloy.atk.svc.cluster.local:4317"} {
		r := mustRenderValues(t, overlaid(t, everything, withDApp, "global: {otlpEndpoint: '"+endpoint+"'}"))
		alloy := selected(r.pods(t), map[string]string{"app.kubernetes.io/name": "alloy"})[0]
		policies := all[networkingv1.NetworkPolicy](t, r, "NetworkPolicy")
		for _, sender := range []string{"gateway", "dapp"} {
			from := selected(r.pods(t), map[string]string{"app.kubernetes.io/name": sender})[0]
			require.True(t, lets(policies, from, alloy, 4317), "%s to %s", sender, endpoint)
		}
		require.Equal(t, endpoint, loadGateway(t, r).App.Tracing.Endpoint.Reveal())
		require.Equal(t, "http://"+endpoint, env(t, r, "dapp", "OTEL_EXPORTER_OTLP_ENDPOINT"))
		tempo := selected(r.pods(t), map[string]string{"app.kubernetes.io/name": "tempo"})[0]
		require.True(t, lets(policies, alloy, tempo, 4318))
		require.Contains(t, alloyBlock(t, r, `otelcol.exporter.otlphttp "default"`), `endpoint = "http://tempo.atk.svc.cluster.local:4318"`)
	}
	for _, o := range mustRender(t, everything).objects { // its collector is at port 4317 of another host
		if o.Kind == "NetworkPolicy" && o.Name == "gateway" {
			require.Contains(t, o.Text, "{port: 4317, protocol: TCP}")
			require.Contains(t, o.Text, "0.0.0.0/0")
		}
	}
	require.Nil(t, loadGateway(t, mustRender(t, "")).App.Tracing, "without a word, nobody sends")
}

func TestStores_KeepAsLongAsTheySay(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][3]string{
		"": {"168h", "168h", "--retentionPeriod=30d"},
		"observability: {loki: {retentionHours: 48}, tempo: {retentionHours: 24}, victoriaMetrics: {retention: 1y}}": {"48h", "24h", "--retentionPeriod=1y"},
	} {
		r := mustRender(t, text)
		loki := find[corev1.ConfigMap](t, r, "ConfigMap", "loki").Data["loki.yaml"]
		require.Contains(t, loki, "retention_period: "+want[0])
		require.Contains(t, loki, "retention_enabled: true", "without it nothing is ever deleted")
		require.Contains(t, find[corev1.ConfigMap](t, r, "ConfigMap", "tempo").Data["tempo.yaml"], "block_retention: "+want[1])
		require.Contains(t, find[appsv1.StatefulSet](t, r, "StatefulSet", "victoria-metrics").Spec.Template.Spec.Containers[0].Args, want[2])
	}
}
