//go:build programs

package programstest_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/slipwayhq/slipway/internal/clustertest"
	"github.com/slipwayhq/slipway/internal/deploy"
)

// podIP is the address scripts/programs-run.sh gives the namespace of the network that all
// tests of this package share, as a pod has one: a program that listens on the
// loopback device alone is not found there.
const podIP = "10.77.0.2"

// longestStart bounds the time until a program is ready; Loki and Tempo wait 15 s
// of their own accord, and machines that build are slow.
const longestStart = 2 * time.Minute

func TestMain(m *testing.M) {
	if text := os.Getenv(containerVariable); text != "" {
		fmt.Fprintln(os.Stderr, "container:", become(text)) // it returns with an error only
		os.Exit(1)
	}
	os.Exit(clustertest.Main(m))
}

// image is what the program's own image says, and the chart leaves to it.
type image struct {
	program    string   // name below bin/programs
	path       string   // where the image has it
	entrypoint []string // its ENTRYPOINT
	shell      bool     // it has sh
	folders    []string // it has these, empty
}

// pod is a running one with a single container.
type pod struct {
	t         *testing.T
	main      core.Container
	volumes   map[string]string // name of a volume, its folder on the machine
	output    *output
	process   *exec.Cmd
	ended     chan struct{}
	startedAt time.Time
}

// output is what a program has printed.
type output struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.text.String()
}

// account is the token and the certificate a kubelet puts into pods that call the API server.
type account struct {
	token, authority []byte
	host, port       string
}

// start runs the pod of a workload. data, where it is not empty, is the folder of
// its claims, so that a second pod finds what the first one wrote.
func start(t *testing.T, objects []deploy.Object, kind, name string, i image, data string, as *account) *pod {
	t.Helper()
	template := find[workload](t, objects, kind, name)
	spec := template.Spec.Template.Spec
	require.Len(t, spec.Containers, 1)
	main := spec.Containers[0]
	root := filepath.Join(shallow(t), "root")
	p := &pod{t: t, main: main, volumes: map[string]string{}, output: &output{}, ended: make(chan struct{})}
	c := container{Root: root, User: int(*spec.SecurityContext.RunAsUser), Group: int(*spec.SecurityContext.RunAsGroup), Groups: []int{int(*spec.SecurityContext.FSGroup)}}
	require.NotZero(t, c.User)
	require.True(t, *main.SecurityContext.ReadOnlyRootFilesystem)
	require.Equal(t, []core.Capability{"ALL"}, main.SecurityContext.Capabilities.Drop)

	files := map[string]string{
		"etc/hosts":       hosts(objects),
		"etc/passwd":      "root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/home:/bin/false\n",
		"etc/resolv.conf": "nameserver " + podIP + "\n",
	}
	for path, text := range files {
		write(t, filepath.Join(root, path), text, 0o644)
	}
	for _, folder := range append([]string{"proc", "sys", "dev"}, i.folders...) {
		require.NoError(t, os.MkdirAll(filepath.Join(root, folder), 0o755))
	}
	c.Mounts = append(c.Mounts, mount{"/sys", "sys", true})
	binary, err := filepath.Abs(filepath.Join(os.Getenv("SLIPWAY_PROGRAMS"), i.program))
	require.NoError(t, err)
	mountFile(t, &c, binary, i.path)
	for _, device := range []string{"null", "zero", "random", "urandom"} {
		write(t, filepath.Join(root, "dev", device), "", 0o644)
		c.Mounts = append(c.Mounts, mount{"/dev/" + device, "dev/" + device, false})
	}
	if i.shell {
		for _, folder := range []string{"lib", "lib64", "usr/lib"} {
			require.NoError(t, os.MkdirAll(filepath.Join(root, folder), 0o755))
			c.Mounts = append(c.Mounts, mount{"/" + folder, folder, true})
		}
		mountFile(t, &c, "/bin/sh", "/bin/sh")
	}

	for _, v := range spec.Volumes {
		p.volumes[v.Name] = p.volume(objects, v, c.Groups[0])
	}
	for _, claim := range template.Spec.VolumeClaimTemplates {
		if data == "" {
			data = folder(t, c.Groups[0])
		}
		p.volumes[claim.Name] = data
	}
	for _, m := range main.VolumeMounts {
		require.Contains(t, p.volumes, m.Name)
		require.NoError(t, os.MkdirAll(filepath.Join(root, m.MountPath), 0o755))
		c.Mounts = append(c.Mounts, mount{p.volumes[m.Name], m.MountPath, m.ReadOnly})
	}
	environment := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME=" + name + "-0"}
	for _, e := range main.Env {
		require.Nil(t, e.ValueFrom, "%s: this test has no Secrets", e.Name)
		environment = append(environment, e.Name+"="+e.Value)
	}
	if spec.AutomountServiceAccountToken != nil && *spec.AutomountServiceAccountToken {
		require.NotNil(t, as, "%s calls the API server", name)
		environment = append(environment, "KUBERNETES_SERVICE_HOST="+as.host, "KUBERNETES_SERVICE_PORT="+as.port)
		token := folder(t, c.Groups[0])
		for file, text := range map[string][]byte{"token": as.token, "ca.crt": as.authority, "namespace": []byte(template.Metadata.Namespace)} {
			path := filepath.Join(token, file)
			write(t, path, string(text), 0o640)
			require.NoError(t, os.Chown(path, 0, c.Groups[0]))
		}
		const target = "var/run/secrets/kubernetes.io/serviceaccount"
		require.NoError(t, os.MkdirAll(filepath.Join(root, target), 0o755))
		c.Mounts = append(c.Mounts, mount{token, target, true})
	}
	c.Env = environment
	c.Args = append(append([]string(nil), i.entrypoint...), main.Args...)
	if len(main.Command) > 0 {
		c.Args = append(append([]string(nil), main.Command...), main.Args...)
	}
	if c.Args[0] == "sh" {
		c.Args[0] = "/bin/sh"
	}
	p.run(c)
	return p
}

// run starts the container, and ends it with the test.
func (p *pod) run(c container) {
	p.t.Helper()
	text, err := json.Marshal(c)
	require.NoError(p.t, err)
	p.process = exec.Command("/proc/self/exe")
	p.process.Env = []string{containerVariable + "=" + string(text)}
	p.process.Stdout, p.process.Stderr = p.output, p.output
	p.process.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	p.startedAt = time.Now()
	require.NoError(p.t, p.process.Start())
	go func() {
		_ = p.process.Wait() // how it ended is looked at by stop
		close(p.ended)
	}()
	p.t.Cleanup(func() {
		_ = p.process.Process.Kill()
		<-p.ended
		if p.t.Failed() {
			p.t.Logf("%s printed:\n%s", p.main.Name, tail(p.output.String()))
		}
	})
}

// stop ends the pod as a kubelet does, and requires that it ends in time, by itself.
func (p *pod) stop() {
	p.t.Helper()
	require.NoError(p.t, p.process.Process.Signal(syscall.SIGTERM))
	select {
	case <-p.ended:
	case <-time.After(30 * time.Second):
		require.Fail(p.t, "it does not end within 30 s of SIGTERM", tail(p.output.String()))
	}
}

// becomesReady waits until the probes answer: those of liveness before a kubelet
// would end the container, and that of readiness.
func (p *pod) becomesReady() {
	p.t.Helper()
	if p.main.StartupProbe != nil {
		p.answers("startup", p.main.StartupProbe, longestStart)
	}
	p.answers("liveness", p.main.LivenessProbe, patience(p.main.LivenessProbe))
	p.answers("readiness", p.main.ReadinessProbe, longestStart)
	p.answers("liveness", p.main.LivenessProbe, time.Second)
	for _, complaint := range []string{"read-only file system", "permission denied", "Permission denied", "operation not permitted"} {
		require.NotContains(p.t, p.output.String(), complaint)
	}
}

// callsNobody requires that the program has not looked for a name: there is
// nothing here that would tell one, so that it complains.
func (p *pod) callsNobody() {
	p.t.Helper()
	require.NotContains(p.t, p.output.String(), "dial tcp: lookup ")
}

// patience is how long a kubelet bears that a probe fails; what is left out of a
// probe is 10 s and 3 times.
func patience(probe *core.Probe) time.Duration {
	period, failures := max(probe.PeriodSeconds, 0), probe.FailureThreshold
	if period == 0 {
		period = 10
	}
	if failures == 0 {
		failures = 3
	}
	return time.Duration(probe.InitialDelaySeconds+period*failures) * time.Second
}

func (p *pod) answers(what string, probe *core.Probe, within time.Duration) {
	p.t.Helper()
	require.NotNil(p.t, probe, what)
	var last error
	for deadline := time.Now().Add(within); ; {
		if last = p.try(probe); last == nil {
			return
		}
		select {
		case <-p.ended:
			require.Fail(p.t, "it ended", "%s\n%s", p.process.ProcessState, tail(p.output.String()))
		case <-time.After(100 * time.Millisecond):
		}
		require.False(p.t, time.Now().After(deadline), "%s: %v", what, last)
	}
}

// try asks once, at the address of the pod, as a kubelet does.
func (p *pod) try(probe *core.Probe) error {
	if probe.TCPSocket != nil {
		connection, err := net.DialTimeout("tcp", net.JoinHostPort(podIP, p.port(probe.TCPSocket.Port)), time.Second)
		if err != nil {
			return err
		}
		return connection.Close()
	}
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // a kubelet does not check it either
	scheme := strings.ToLower(string(probe.HTTPGet.Scheme))
	if scheme == "" {
		scheme = "http"
	}
	answer, err := client.Get(fmt.Sprintf("%s://%s%s", scheme, net.JoinHostPort(podIP, p.port(probe.HTTPGet.Port)), probe.HTTPGet.Path))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode < 200 || answer.StatusCode >= 400 {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 500))
		return fmt.Errorf("%s: %s", answer.Status, text)
	}
	return nil
}

// port is the number of a port that a probe names.
func (p *pod) port(port intstr.IntOrString) string {
	for _, declared := range p.main.Ports {
		if declared.Name == port.StrVal {
			return fmt.Sprint(declared.ContainerPort)
		}
	}
	return port.String()
}

// volume is the folder of a volume, as a kubelet fills it.
func (p *pod) volume(objects []deploy.Object, v core.Volume, group int) string {
	p.t.Helper()
	made := folder(p.t, group)
	switch {
	case v.ConfigMap != nil:
		data := find[core.ConfigMap](p.t, objects, "ConfigMap", v.ConfigMap.Name).Data
		for key, text := range data {
			write(p.t, filepath.Join(made, key), text, 0o644)
		}
	case v.EmptyDir != nil:
	default:
		require.Fail(p.t, "a volume the test does not know", v.Name)
	}
	return made
}

// folder is an empty one that a group may write to, which is what fsGroup does.
func folder(t *testing.T, group int) string {
	t.Helper()
	made := shallow(t)
	require.NoError(t, os.Chown(made, 0, group))
	require.NoError(t, os.Chmod(made, os.ModeSetgid|0o775))
	return made
}

// shallow is a temporary folder whose parents anybody may walk through.
func shallow(t *testing.T) string {
	t.Helper()
	made, err := os.MkdirTemp("", "slipway-pod-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(made, 0o755))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(made)) })
	return made
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), mode))
	require.NoError(t, os.Chmod(path, mode))
}

func mountFile(t *testing.T, c *container, source, target string) {
	t.Helper()
	write(t, filepath.Join(c.Root, target), "", 0o755)
	c.Mounts = append(c.Mounts, mount{source, target, true})
}

func tail(text string) string { return text[max(0, len(text)-4000):] }
