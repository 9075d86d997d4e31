// Package scrapetest reads the metrics of the real programs in the way that
// the rendered chart tells a collector.
package scrapetest_test

import (
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/slipwayhq/slipway/internal/config"
	"github.com/slipwayhq/slipway/internal/deploy"
	"github.com/slipwayhq/slipway/internal/devnet"
	"github.com/slipwayhq/slipway/internal/gatewayapp"
	"github.com/slipwayhq/slipway/internal/lifecycle/lifecycletest"
	"github.com/slipwayhq/slipway/internal/pgtest"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/signerapp"
	"github.com/slipwayhq/slipway/internal/signerconfig"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

const (
	chainID = 53771311147
	phrase  = "test test test test test test test test test test test junk"
	payer   = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
)

// metricNames are some that dashboards read, of each program.
func metricNames() map[string][]string {
	return map[string][]string{
		"gateway": {"gateway_requests_total", "gateway_upstream_head_block", "erpc_upstream_request_total", "erpc_cache_hits_total"},
		"signer":  {"signer_queue_head_block", "signer_queue_leases", "go_goroutines"},
	}
}

func TestScrape_AlloyFindsTheMetricsOfTheRealPrograms(t *testing.T) {
	t.Parallel()
	objects := render(t, "global: {metrics: {monitor: pod}}")
	programs := startPrograms(t, objects)
	rules := alloyRules(t, find[corev1.ConfigMap](t, objects, "ConfigMap", "alloy").Data["config.alloy"])
	require.NotEmpty(t, rules)
	for name, listens := range programs {
		pod := find[appsv1.Deployment](t, objects, "Deployment", name).Spec.Template
		var found int
		for _, container := range pod.Spec.Containers {
			for _, port := range container.Ports {
				labels := map[string]string{
					"__address__":      fmt.Sprintf("10.0.0.7:%d", port.ContainerPort),
					"__metrics_path__": "/metrics", // what a collector takes without a word
					"__meta_kubernetes_pod_container_port_number":        fmt.Sprint(port.ContainerPort),
					"__meta_kubernetes_pod_container_name":               container.Name,
					"__meta_kubernetes_pod_label_app_kubernetes_io_name": pod.Labels["app.kubernetes.io/name"],
				}
				for key, value := range pod.Annotations {
					labels["__meta_kubernetes_pod_annotation_"+regexp.MustCompile(`[^A-Za-z0-9_]`).ReplaceAllString(key, "_")] = value
				}
				if !relabel(t, rules, labels) {
					continue
				}
				found++
				require.Equal(t, name, labels["job"])
				_, number, err := net.SplitHostPort(labels["__address__"])
				require.NoError(t, err)
				requireMetrics(t, listens, number, labels["__metrics_path__"], metricNames()[name])
			}
		}
		require.Equal(t, 1, found, "%s is scraped once", name)
	}
}

func TestScrape_PodMonitorsFindTheMetricsOfTheRealPrograms(t *testing.T) {
	t.Parallel()
	objects := render(t, "global: {metrics: {monitor: pod}}")
	for name, listens := range startPrograms(t, objects) {
		monitor := find[podMonitor](t, objects, "PodMonitor", name)
		pod := find[appsv1.Deployment](t, objects, "Deployment", name).Spec.Template
		for key, value := range monitor.Spec.Selector.MatchLabels {
			require.Equal(t, value, pod.Labels[key], key)
		}
		require.Len(t, monitor.Spec.PodMetricsEndpoints, 1)
		endpoint := monitor.Spec.PodMetricsEndpoints[0]
		for _, port := range pod.Spec.Containers[0].Ports {
			if port.Name == endpoint.Port {
				requireMetrics(t, listens, fmt.Sprint(port.ContainerPort), endpoint.Path, metricNames()[name])
			}
		}
	}
}

// Alloy refuses a file in which it would wait longer for metrics than until it asks
// for the next ones; left to itself it waits 10 s.
func TestScrape_AlloyWaitsNoLongerThanBetweenTwo(t *testing.T) {
	t.Parallel()
	for interval, want := range map[string]string{"1s": "1s", "9s": "9s", "10s": "", "15s": "", "1m": ""} {
		objects := render(t, fmt.Sprintf("observability: {alloy: {scrapeInterval: %s}}", interval))
		found := regexp.MustCompile(`scrape_timeout = "(.*)"`).FindStringSubmatch(find[corev1.ConfigMap](t, objects, "ConfigMap", "alloy").Data["config.alloy"])
		require.Equal(t, want != "", found != nil, interval)
		if want != "" {
			require.Equal(t, want, found[1])
		}
	}
}

// podMonitor is as much of one as is looked at.
type podMonitor struct {
	Spec struct {
		Selector struct {
			MatchLabels map[string]string `json:"matchLabels"`
		} `json:"selector"`
		PodMetricsEndpoints []struct{ Port, Path string } `json:"podMetricsEndpoints"`
	} `json:"spec"`
}

// listener is a program: the port its rendered file says, and where it really
// listens here.
type listener struct{ port, address string }

// requireMetrics requires that a port and a path lead to metrics.
func requireMetrics(t *testing.T, to listener, port, path string, names []string) {
	t.Helper()
	require.Equal(t, to.port, port, "the collector is sent to a port at which no metrics are")
	var text string
	require.Eventually(t, func() bool {
		text = fetch(t, http.MethodGet, "http://"+to.address+path, "")
		for _, name := range names {
			if !strings.Contains(text, "# TYPE "+name) {
				return false
			}
		}
		return true
	}, 30*time.Second, 50*time.Millisecond, "%s must have %v: %s", path, names, &text)
}

// fetch is what a request is answered with; its status must be 200.
func fetch(t *testing.T, method, url, body string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	answer, err := (&http.Client{Timeout: 30 * time.Second}).Do(request)
	require.NoError(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answer.StatusCode, "%s: %s", url, text)
	return string(text)
}

// startPrograms runs both programs with the files that are rendered for them.
func startPrograms(t *testing.T, objects []deploy.Object) map[string]listener {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	chain, err := devnet.New(devnet.Config{
		ChainID: chainID, BlockTime: 100 * time.Millisecond, HTTPAddr: "127.0.0.1:0", WSAddr: "127.0.0.1:0", Log: log,
		Alloc: map[common.Address]*big.Int{common.HexToAddress(payer): new(big.Int).Exp(big.NewInt(10), big.NewInt(20), nil)},
	})
	require.NoError(t, err)
	lifecycletest.Start(t, chain.Run)

	file, err := config.LoadGateway(configFile(t, objects, "gateway"), func(name string) string {
		return map[string]string{"CHAIN_ID": fmt.Sprint(chainID)}[name]
	})
	require.NoError(t, err)
	gatewayConfig := gatewayapp.Default()
	gatewayConfig.AdminListen = file.App.AdminListen
	gatewayPort := portOf(t, gatewayConfig.AdminListen)
	gatewayConfig.Listen, gatewayConfig.AdminListen = "127.0.0.1:0", "127.0.0.1:0"
	gatewayConfig.Pool().ChainID = chainID
	gatewayConfig.Pool().Upstreams = []upstreams.Endpoint{{URL: secret.New(chain.HTTPURL())}}
	gateway, err := gatewayapp.New(gatewayConfig, gatewayapp.Deps{Log: log})
	require.NoError(t, err)
	lifecycletest.Start(t, gateway.Run)

	variables := make(map[string]string)
	for _, e := range find[appsv1.Deployment](t, objects, "Deployment", "signer").Spec.Template.Spec.Containers[0].Env {
		variables[e.Name] = e.Value
	}
	signerFile, err := signerconfig.Load(configFile(t, objects, "signer"), func(name string) string { return variables[name] })
	require.NoError(t, err)
	signerConfig := signerFile.App
	signerPort := portOf(t, signerConfig.AdminListen)
	signerConfig.Listen, signerConfig.AdminListen = "127.0.0.1:0", "127.0.0.1:0"
	signerConfig.GatewayURL, signerConfig.DatabaseURL = secret.New("http://"+gateway.Addr()), secret.New(pgtest.DSN(t))
	signerConfig.DatabasePasswordFile, signerConfig.DatabaseUsernameFile = "", ""
	signerConfig.Keys.Mnemonic, signerConfig.Keys.MnemonicFile = secret.New(phrase), ""
	signer, err := signerapp.New(signerConfig, signerapp.Deps{Log: log})
	require.NoError(t, err)
	lifecycletest.Start(t, signer.Run)
	// A counter appears with what it counts; the second answer comes from memory.
	for range 2 {
		fetch(t, http.MethodPost, "http://"+gateway.Addr(), `{"jsonrpc":"2.0","id":1,"method":"eth_getBlockByNumber","params":["0x0",false]}`)
	}
	return map[string]listener{
		"gateway": {gatewayPort, gateway.AdminAddr()},
		"signer":  {signerPort, signer.AdminAddr()},
	}
}

func portOf(t *testing.T, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	return port
}

func configFile(t *testing.T, objects []deploy.Object, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name+".yaml")
	require.NoError(t, os.WriteFile(path, []byte(find[corev1.ConfigMap](t, objects, "ConfigMap", name).Data[name+".yaml"]), 0o600))
	return path
}

func render(t *testing.T, text string) []deploy.Object {
	t.Helper()
	values := deploy.Values{}
	require.NoError(t, yaml.Unmarshal([]byte(text), &values))
	objects, err := deploy.Render(t.Context(), deploy.Target{Release: "slipway", Namespace: "atk"}, values)
	require.NoError(t, err)
	return objects
}

func find[T any](t *testing.T, objects []deploy.Object, kind, name string) T {
	t.Helper()
	var out T
	for _, o := range objects {
		if o.Kind == kind && o.Name == name {
			require.NoError(t, yaml.Unmarshal([]byte(o.Text), &out))
			return out
		}
	}
	require.Failf(t, "missing", "%s %s", kind, name)
	return out
}

// rule is one of Prometheus' relabelling.
type rule struct {
	sources               []string
	regex, target, action string
}

// alloyRules reads the rules for metrics out of Alloy's file.
func alloyRules(t *testing.T, text string) []rule {
	t.Helper()
	_, text, found := strings.Cut(text, `discovery.relabel "metrics" {`)
	require.True(t, found)
	text, _, _ = strings.Cut(text, "\n}\n")
	var out []rule
	for _, block := range strings.Split(text, "rule {")[1:] {
		r := rule{regex: "(.*)", action: "replace"}
		for _, line := range strings.Split(block, "\n") {
			key, value, isSetting := strings.Cut(strings.TrimSpace(line), "=")
			value = strings.TrimSpace(value)
			switch strings.TrimSpace(key) {
			case "source_labels":
				for _, label := range strings.Split(strings.Trim(value, "[]"), ",") {
					r.sources = append(r.sources, strings.Trim(label, ` "`))
				}
			case "regex":
				r.regex = strings.Trim(value, `"`)
			case "target_label":
				r.target = strings.Trim(value, `"`)
			case "action":
				r.action = strings.Trim(value, `"`)
			default:
				require.False(t, isSetting, "a setting the test does not know: %s", line)
			}
		}
		out = append(out, r)
	}
	return out
}

// relabel does what Prometheus does with rules, and says whether the target stays.
func relabel(t *testing.T, rules []rule, labels map[string]string) bool {
	t.Helper()
	for _, r := range rules {
		var values []string
		for _, source := range r.sources {
			values = append(values, labels[source])
		}
		value, regex := strings.Join(values, ";"), regexp.MustCompile("^(?:"+r.regex+")$")
		switch r.action {
		case "keep":
			if !regex.MatchString(value) {
				return false
			}
		case "keepequal":
			if value != labels[r.target] {
				return false
			}
		case "replace":
			if regex.MatchString(value) {
				labels[r.target] = regex.ReplaceAllString(value, "$1")
			}
		default:
			require.Fail(t, "an action the test does not know: "+r.action)
		}
	}
	return true
}
