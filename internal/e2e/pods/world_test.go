//go:build e2e

package pods_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/stretchr/testify/require"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/remotecommand"
)

const (
	overrides = "testdata/overrides.yaml"
	patience  = 3 * time.Minute
	lookEvery = 200 * time.Millisecond
)

// world is a namespace of the cluster, as its owner sees it.
type world struct {
	slipway   string // the program
	namespace string
	config    *rest.Config
	api       kubernetes.Interface
	gateway   string // URLs of Services
	signer    string
	client    *http.Client
	token     string // for the signer: callers in the cluster may send, and not read
}

func newWorld(t *testing.T, namespace string) *world {
	t.Helper()
	w := &world{slipway: os.Getenv("SLIPWAY"), namespace: namespace, client: &http.Client{Timeout: 40 * time.Second}}
	var err error
	require.NotEmpty(t, w.slipway, "SLIPWAY is the program to test: run it with make cluster-e2e")
	w.config, err = clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	require.NoError(t, err)
	w.config.QPS = -1
	w.api, err = kubernetes.NewForConfig(w.config)
	require.NoError(t, err)
	return w
}

// run runs slipway and returns what it printed on standard output; progress
// goes to the test's output.
func (w *world) run(t *testing.T, args ...string) string {
	t.Helper()
	out, _, err := w.try(t, args...)
	require.NoError(t, err)
	return out
}

// fail runs slipway, which must fail, and returns all that it printed.
func (w *world) fail(t *testing.T, args ...string) string {
	t.Helper()
	out, progress, err := w.try(t, args...)
	require.Error(t, err)
	return out + progress
}

func (w *world) try(t *testing.T, args ...string) (out, progress string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	command := exec.CommandContext(ctx, w.slipway, append(args, "--namespace="+w.namespace)...)
	var told bytes.Buffer
	command.Stderr = &told
	began := time.Now()
	printed, err := command.Output()
	t.Logf("slipway %s: %s\n%s%s", strings.Join(args, " "), time.Since(began).Round(100*time.Millisecond), told.String(), printed)
	require.NotRegexp(t, `(?m)^[IWEF]\d{4} `, told.String(), "lines of a library's own log")
	return string(printed), told.String(), err
}

// with are the flags of verbs that take values. There is one machine, which four
// validators share.
func with(profile string, more ...string) []string {
	return append([]string{"--profile=" + profile, "--values=" + overrides, "--allow=placement", "--timeout=3m"}, more...)
}

// find notes where the programs' Services are, and gets a key for reading at the
// signer. Names are not used: the machine of the tests has a name server of its
// own.
func (w *world) find(t *testing.T) {
	t.Helper()
	url := func(name string, port int) string {
		service, err := w.api.CoreV1().Services(w.namespace).Get(t.Context(), name, meta.GetOptions{})
		require.NoError(t, err)
		return fmt.Sprintf("http://%s:%d", service.Spec.ClusterIP, port)
	}
	w.gateway, w.signer = url("gateway", 4000), url("signer", 3000)
	if w.token != "" {
		return // the signer's database has it, also for an installation that took it up again
	}
	made := w.inPod(t, w.pod(t, "signer").Name, "signer", "keys", "create", "--name=reader", "--roles=read", "--config=/etc/slipway/signer.yaml")
	var key struct{ Token string }
	require.NoError(t, json.Unmarshal([]byte(made), &key))
	w.token = key.Token
}

// pod is a ready pod of a component.
func (w *world) pod(t *testing.T, component string) core.Pod {
	t.Helper()
	pods, err := w.api.CoreV1().Pods(w.namespace).List(t.Context(), meta.ListOptions{LabelSelector: "app.kubernetes.io/name=" + component})
	require.NoError(t, err)
	for _, pod := range pods.Items {
		if pod.DeletionTimestamp == nil && isReady(pod) {
			return pod
		}
	}
	require.Fail(t, "no pod is ready", component)
	return core.Pod{}
}

func isReady(pod core.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c core.PodCondition) bool { return c.Type == core.PodReady && c.Status == core.ConditionTrue })
}

func restarts(pod core.Pod) int {
	var out int
	for _, container := range pod.Status.ContainerStatuses {
		out += int(container.RestartCount)
	}
	return out
}

// crash kills the processes of a pod, as a lack of memory would, and waits until
// the kubelet has started them again and the pod is ready.
func (w *world) crash(t *testing.T, pod core.Pod) {
	t.Helper()
	require.NotZero(t, killProcesses(t, string(pod.UID)), "no process of pod %s was found", pod.Name)
	require.Eventually(t, func() bool {
		now, err := w.api.CoreV1().Pods(w.namespace).Get(t.Context(), pod.Name, meta.GetOptions{})
		return err == nil && restarts(*now) > restarts(pod) && isReady(*now)
	}, patience, lookEvery, "pod %s does not come back", pod.Name)
}

// killProcesses kills what runs in the cgroups of a pod, but for the process that
// holds its namespaces. The test sees them because it runs beside the kubelet.
func killProcesses(t *testing.T, pod string) int {
	t.Helper()
	groups, err := filepath.Glob("/proc/[0-9]*/cgroup")
	require.NoError(t, err)
	var killed int
	for _, group := range groups {
		text, _ := os.ReadFile(group) // a process that has ended is in none
		if !strings.Contains(string(text), pod) {
			continue
		}
		dir := filepath.Dir(group)
		line, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		if strings.HasPrefix(string(line), "sleep\x00infinity") {
			continue
		}
		if syscall.Kill(processOf(t, group), syscall.SIGKILL) == nil {
			killed++
		}
	}
	return killed
}

// processOf is the process of a file below /proc.
func processOf(t *testing.T, file string) int {
	t.Helper()
	id, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
	require.NoError(t, err)
	return id
}

// inPod runs a command in a pod and returns what it prints.
func (w *world) inPod(t *testing.T, pod string, command ...string) string {
	t.Helper()
	request := w.api.CoreV1().RESTClient().Post().Resource("pods").Namespace(w.namespace).Name(pod).SubResource("exec").
		VersionedParams(&core.PodExecOptions{Command: command, Stdout: true, Stderr: true}, scheme.ParameterCodec)
	executor, err := remotecommand.NewSPDYExecutor(w.config, http.MethodPost, request.URL())
	require.NoError(t, err)
	var stdout, stderr bytes.Buffer
	err = executor.StreamWithContext(t.Context(), remotecommand.StreamOptions{Stdout: &stdout, Stderr: &stderr})
	require.NoError(t, err, stderr.String())
	return strings.TrimSpace(stdout.String())
}

// height is that of the chain, by the gateway.
func (w *world) height(t *testing.T) uint64 {
	t.Helper()
	text, err := w.call(t.Context(), w.client, "eth_blockNumber")
	require.NoError(t, err)
	return quantity(t, text)
}

// longestPause is the longest time between two blocks that follow each other.
func (w *world) longestPause(t *testing.T, from, to uint64) time.Duration {
	t.Helper()
	var last, longest uint64
	for number := from; number <= to; number++ {
		text, err := w.call(t.Context(), w.client, "eth_getBlockByNumber", fmt.Sprintf("0x%x", number), false)
		require.NoError(t, err)
		var block struct{ Timestamp json.RawMessage }
		require.NoError(t, json.Unmarshal(text, &block))
		at := quantity(t, block.Timestamp)
		if number > from {
			longest = max(longest, at-last)
		}
		last = at
	}
	return time.Duration(longest) * time.Second
}

// validators are those that make the next block, by the gateway.
func (w *world) validators(t *testing.T) (out []string) {
	t.Helper()
	text, err := w.call(t.Context(), w.client, "qbft_getValidatorsByBlockNumber", "latest")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &out))
	return out
}

// quantity reads a number as JSON-RPC has it.
func quantity(t *testing.T, text json.RawMessage) uint64 {
	t.Helper()
	var value hexutil.Uint64
	require.NoError(t, json.Unmarshal(text, &value))
	return uint64(value)
}

// call asks the gateway.
func (w *world) call(ctx context.Context, client *http.Client, method string, params ...any) (json.RawMessage, error) {
	if params == nil {
		params = []any{}
	}
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	if err != nil {
		return nil, err
	}
	var answer struct {
		Result json.RawMessage
		Error  any
	}
	code, err := post(ctx, client, w.gateway, nil, body, &answer)
	if err == nil && (code != http.StatusOK || answer.Error != nil) {
		err = fmt.Errorf("%s: status %d: %v", method, code, answer.Error)
	}
	return answer.Result, err
}

// post sends JSON and reads JSON.
func post(ctx context.Context, client *http.Client, url string, header http.Header, body []byte, answer any) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	for name, value := range header {
		request.Header[name] = value
	}
	request.Header.Set("Content-Type", "application/json")
	return do(client, request, answer)
}

func do(client *http.Client, request *http.Request, answer any) (int, error) {
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return response.StatusCode, fmt.Errorf("status %d: %s", response.StatusCode, text)
	}
	return response.StatusCode, nil
}
