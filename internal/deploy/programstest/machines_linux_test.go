//go:build programs

package programstest_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	authentication "k8s.io/api/authentication/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/slipwayhq/slipway/internal/clustertest"
	"github.com/slipwayhq/slipway/internal/deploy"
)

func TestPrograms_NodeExporterTellsOfTheMachine(t *testing.T) {
	objects := render(t, namespace, "{}")
	i := image{program: "node-exporter", path: "/bin/node_exporter", entrypoint: []string{"/bin/node_exporter"}}
	pod := start(t, objects, "DaemonSet", "node-exporter", i, "", nil)
	pod.becomesReady()
	text := ask(t, http.MethodGet, "http://"+podIP+":9100/metrics", "", "")
	for _, name := range []string{"node_cpu_seconds_total", "node_memory_MemAvailable_bytes", "node_load1", "node_disk_io_now"} {
		require.Contains(t, text, "\n"+name)
	}
	require.NotContains(t, text, "node_network_", "a pod's own network is not the machine's")
	require.NotContains(t, text, "\nnode_filesystem_")
	require.NotContains(t, text, `node_scrape_collector_success{collector="cpu"} 0`)
	pod.stop()
}

// resources are the kinds that the account's rights are made of.
func resources() map[string]schema.GroupVersionResource {
	rbac := func(name string) schema.GroupVersionResource {
		return schema.GroupVersionResource{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: name}
	}
	return map[string]schema.GroupVersionResource{
		"ServiceAccount": {Version: "v1", Resource: "serviceaccounts"}, "Role": rbac("roles"), "RoleBinding": rbac("rolebindings"),
		"ClusterRole": rbac("clusterroles"), "ClusterRoleBinding": rbac("clusterrolebindings"),
	}
}

// settle makes the rendered account of a component, with its rights, at a real
// API server.
func settle(t *testing.T, server *clustertest.API, objects []deploy.Object, name string) *account {
	t.Helper()
	require.True(t, server.IsReal(), "SLIPWAY_CLUSTER is not set")
	client, err := dynamic.NewForConfig(server.Config)
	require.NoError(t, err)
	for _, o := range objects {
		kind, known := resources()[o.Kind]
		var object unstructured.Unstructured
		require.NoError(t, yaml.Unmarshal([]byte(o.Text), &object.Object))
		if !known || object.GetLabels()["app.kubernetes.io/name"] != name {
			continue
		}
		if object.GetNamespace() == "" {
			_, err = client.Resource(kind).Create(t.Context(), &object, meta.CreateOptions{})
		} else {
			_, err = client.Resource(kind).Namespace(object.GetNamespace()).Create(t.Context(), &object, meta.CreateOptions{})
		}
		require.NoError(t, err, o.Text)
	}
	admin, err := kubernetes.NewForConfig(server.Config)
	require.NoError(t, err)
	token, err := admin.CoreV1().ServiceAccounts(server.Namespace).CreateToken(t.Context(), name, &authentication.TokenRequest{}, meta.CreateOptions{})
	require.NoError(t, err)
	address, err := url.Parse(server.Config.Host)
	require.NoError(t, err)
	config := rest.CopyConfig(server.Config)
	require.NoError(t, rest.LoadTLSFiles(config))
	return &account{token: []byte(token.Status.Token), authority: config.CAData, host: address.Hostname(), port: address.Port()}
}

func TestPrograms_KubeStateMetricsSeesWhatItsRoleLets(t *testing.T) {
	i := image{program: "kube-state-metrics", path: "/kube-state-metrics", entrypoint: []string{"/kube-state-metrics", "--port=8080", "--telemetry-port=8081"}}
	for name, c := range map[string]struct {
		values string
		wide   bool
	}{
		"namespace": {"{}", false},
		"cluster":   {"observability: {kubeStateMetrics: {clusterWide: true}}", true},
	} {
		t.Run(name, func(t *testing.T) {
			server := clustertest.Start(t)
			objects := render(t, server.Namespace, c.values)
			as := settle(t, server, objects, "kube-state-metrics")
			admin, err := kubernetes.NewForConfig(server.Config)
			require.NoError(t, err)
			_, err = admin.CoreV1().ConfigMaps(server.Namespace).Create(t.Context(), &core.ConfigMap{ObjectMeta: meta.ObjectMeta{Name: "tried"}}, meta.CreateOptions{})
			require.NoError(t, err)
			pod := start(t, objects, "Deployment", "kube-state-metrics", i, "", as)
			pod.becomesReady()
			eventually(t, "http://"+podIP+":8080/metrics", `configmap="tried"`)
			text := ask(t, http.MethodGet, "http://"+podIP+":8080/metrics", "", "")
			require.Equal(t, c.wide, strings.Contains(text, "\nkube_namespace_created{"))
			require.NotContains(t, text, "\nkube_secret_info{")
			require.NotContains(t, pod.output.String(), "forbidden")
			require.NotContains(t, ask(t, http.MethodGet, "http://"+podIP+":8081/metrics", "", ""), `result="error"`)
			pod.stop()
		})
	}
}

func TestPrograms_MetricsServerHasTheRightsItNeeds(t *testing.T) {
	i := image{program: "metrics-server", path: "/metrics-server", entrypoint: []string{"/metrics-server"}}
	server := clustertest.Start(t)
	objects := render(t, server.Namespace, "observability: {metricsServer: {enabled: true, insecureKubelets: true}}")
	as := settle(t, server, objects, "metrics-server")
	pod := start(t, objects, "Deployment", "metrics-server", i, "", as)
	pod.answers("liveness", pod.main.LivenessProbe, patience(pod.main.LivenessProbe))
	// Without a kubelet there are no metrics yet, and nothing else is missing.
	require.Eventually(t, func() bool {
		err := pod.try(pod.main.ReadinessProbe)
		return err != nil && strings.Contains(err.Error(), "[-]metric-storage-ready") && strings.Count(err.Error(), "[-]") == 1
	}, longestStart, 200*time.Millisecond, "%v", pod.try(pod.main.ReadinessProbe))
	require.NotContains(t, pod.output.String(), "forbidden")
	pod.stop()
}
