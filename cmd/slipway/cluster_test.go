//go:build cluster

// Tests of the program against the real kube-apiserver: make cluster-test.
// Pods are played by clustertest's machines; what the program does in pods, it
// does here with the tokens and the arguments of these pods.

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	authentication "k8s.io/api/authentication/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/slipwayhq/slipway/internal/clustertest"
	"github.com/slipwayhq/slipway/internal/deploy"
)

// place is a namespace for restricted pods, and how the program is told of it.
type place struct {
	*clustertest.API
	admin kubernetes.Interface
	where []string
}

func newPlace(t *testing.T) place {
	t.Helper()
	server := clustertest.Start(t)
	server.StartMachines(t)
	admin, err := kubernetes.NewForConfig(server.Config)
	require.NoError(t, err)
	_, err = admin.CoreV1().Namespaces().Patch(t.Context(), server.Namespace, "application/merge-patch+json",
		[]byte(`{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"restricted"}}}`), meta.PatchOptions{})
	require.NoError(t, err)
	return place{server, admin, []string{"--kubeconfig", server.Kubeconfig(t), "--namespace", server.Namespace}}
}

// with are the arguments of a verb for the place.
func (p place) with(verb string, more ...string) []string {
	return append(append([]string{verb}, p.where...), more...)
}

// token is a kubeconfig of a service account.
func (p place) token(t *testing.T, account string) string {
	t.Helper()
	token, err := p.admin.CoreV1().ServiceAccounts(p.Namespace).CreateToken(t.Context(), account, &authentication.TokenRequest{}, meta.CreateOptions{})
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, clientcmd.WriteToFile(api.Config{
		CurrentContext: "c",
		Clusters:       map[string]*api.Cluster{"c": {Server: p.Config.Host, CertificateAuthority: p.Config.CAFile}},
		AuthInfos:      map[string]*api.AuthInfo{"c": {Token: token.Status.Token}},
		Contexts:       map[string]*api.Context{"c": {Cluster: "c", AuthInfo: "c", Namespace: p.Namespace}},
	}, path))
	return path
}

// texts are all ConfigMaps and Secrets but Helm's.
func (p place) texts(t *testing.T) map[string]string {
	t.Helper()
	out := make(map[string]string)
	secrets, err := p.admin.CoreV1().Secrets(p.Namespace).List(t.Context(), meta.ListOptions{FieldSelector: "type!=helm.sh/release.v1"})
	require.NoError(t, err)
	for _, one := range secrets.Items {
		text, err := json.Marshal(one.Data)
		require.NoError(t, err)
		out["Secret "+one.Name] = string(text)
	}
	configMaps, err := p.admin.CoreV1().ConfigMaps(p.Namespace).List(t.Context(), meta.ListOptions{})
	require.NoError(t, err)
	for _, one := range configMaps.Items {
		text, err := json.Marshal(one.Data)
		require.NoError(t, err)
		out["ConfigMap "+one.Name] = string(text)
	}
	return out
}

// TestCluster_Short is what `make test` runs of all this.
func TestCluster_Short(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	succeed(t, p.with("install", "--profile", "preview", "--timeout", "3m")...)

	// The bootstrap, as the job's pod would do it, and once more.
	job, err := p.admin.BatchV1().Jobs(p.Namespace).Get(t.Context(), "bootstrap-1", meta.GetOptions{})
	require.NoError(t, err)
	pod := job.Spec.Template.Spec
	args := append(pod.Containers[0].Args, "--kubeconfig", p.token(t, pod.ServiceAccountName))
	first := hashIn(t, succeed(t, args...))
	made := p.texts(t)
	for _, name := range []string{"ConfigMap besu-genesis", "ConfigMap besu-static-nodes", "Secret besu-node-validator-0-private-key", "Secret signer-mnemonic", "Secret signer-postgresql", "Secret grafana-admin"} {
		require.Contains(t, made, name)
	}
	require.Equal(t, first, hashIn(t, succeed(t, args...)))
	require.Equal(t, made, p.texts(t))

	// What a node's pod does before Besu starts.
	node, err := p.admin.AppsV1().StatefulSets(p.Namespace).Get(t.Context(), "besu-node-validator-0", meta.GetOptions{})
	require.NoError(t, err)
	compile := initContainer(t, node.Spec.Template.Spec, "compile-genesis")
	genesis := filepath.Join(t.TempDir(), "genesis.json")
	for i, arg := range compile {
		if strings.HasPrefix(arg, "--output-path=") {
			compile[i] = "--output-path=" + genesis
		}
	}
	succeed(t, append(compile, "--kubeconfig", p.token(t, node.Spec.Template.Spec.ServiceAccountName))...)
	require.FileExists(t, genesis)

	// Every Secret and ConfigMap that a pod mounts is there now.
	p.requireMounted(t, made)

	require.Contains(t, succeed(t, p.with("plan", "--profile", "preview", "--exit-code")...), "0 objects to create, 0 to change, 0 to delete")
	code, _, failed := slipway(t, p.with("install", "--profile", "preview", "--set", "gateway.replicas=2")...)
	require.Equal(t, 1, code)
	require.Contains(t, failed, "the release is installed already")
	require.Contains(t, failed, "slipway upgrade")
	succeed(t, p.with("upgrade", "--profile", "preview", "--set", "gateway.replicas=2", "--timeout", "3m")...)
	succeed(t, p.with("rollback", "--timeout", "3m")...)
	var status deploy.Status
	require.NoError(t, json.Unmarshal([]byte(succeed(t, p.with("status", "--output", "json")...)), &status))
	require.Len(t, status.Revisions, 3)
	require.True(t, status.Ready)

	require.Contains(t, succeed(t, p.with("uninstall", "--timeout", "3m")...), "Secrets of the bootstrap")
	after := p.texts(t)
	require.Equal(t, made["Secret besu-node-validator-0-private-key"], after["Secret besu-node-validator-0-private-key"], "keys stay")
}

func initContainer(t *testing.T, pod core.PodSpec, name string) []string {
	t.Helper()
	for _, one := range pod.InitContainers {
		if one.Name == name {
			return one.Args
		}
	}
	require.Fail(t, "missing", name)
	return nil
}

// requireMounted looks for what the pods of the namespace cannot start without.
func (p place) requireMounted(t *testing.T, made map[string]string) {
	t.Helper()
	pods, err := p.admin.CoreV1().Pods(p.Namespace).List(t.Context(), meta.ListOptions{})
	require.NoError(t, err)
	require.NotEmpty(t, pods.Items)
	for _, pod := range pods.Items {
		for _, volume := range pod.Spec.Volumes {
			if volume.Secret != nil && (volume.Secret.Optional == nil || !*volume.Secret.Optional) {
				require.Contains(t, made, "Secret "+volume.Secret.SecretName, pod.Name)
				for _, item := range volume.Secret.Items {
					require.Contains(t, made["Secret "+volume.Secret.SecretName], `"`+item.Key+`":`, "%s: volume %s", pod.Name, volume.Name)
				}
			}
			if volume.ConfigMap != nil && (volume.ConfigMap.Optional == nil || !*volume.ConfigMap.Optional) {
				require.Contains(t, made, "ConfigMap "+volume.ConfigMap.Name, pod.Name)
			}
		}
		for _, container := range append(pod.Spec.InitContainers, pod.Spec.Containers...) {
			for _, variable := range container.Env {
				if variable.ValueFrom == nil || variable.ValueFrom.SecretKeyRef == nil {
					continue
				}
				ref := variable.ValueFrom.SecretKeyRef
				if ref.Optional == nil || !*ref.Optional {
					require.Contains(t, made["Secret "+ref.Name], `"`+ref.Key+`":`, "%s: %s", pod.Name, variable.Name)
				}
			}
		}
	}
}

// killed runs the program in a process of its own, and kills it when it waits
// for a gateway that never becomes ready: it cannot be done before.
func (p place) killed(t *testing.T, args ...string) {
	t.Helper()
	var stdout, stderr output
	args = append(args, "--set-string", "gateway.podAnnotations."+clustertest.StuckAnnotation+"=yes")
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		if t.Failed() {
			t.Log("the program that was to be killed said: " + stdout.String() + stderr.String())
		}
	})
	require.Eventually(t, func() bool { return strings.Contains(stderr.String(), "\nwait      Deployment gateway ") }, 2*time.Minute, 20*time.Millisecond, "it never waited")
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
}

func TestCluster_KilledInTheMiddle(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.killed(t, p.with("install", "--profile", "preview")...)
	for _, verb := range []string{"install", "upgrade", "rollback", "uninstall"} {
		code, _, failed := slipway(t, p.with(verb)...)
		require.Equal(t, 1, code, verb)
		require.Contains(t, failed, "another operation on the release has not ended: revision 1 of slipway is pending-install since", verb)
		require.Contains(t, failed, "--recover", verb)
	}
	code, _, failed := slipway(t, p.with("plan", "--profile", "preview")...)
	require.Equal(t, 1, code)
	require.Contains(t, failed, "[stuck] revision 1 did not end: run the operation with --recover")
	code, said, _ := slipway(t, p.with("status")...)
	require.Equal(t, 3, code)
	require.Contains(t, said, "--recover")
	succeed(t, p.with("install", "--profile", "preview", "--recover", "--timeout", "3m")...)

	p.killed(t, p.with("upgrade", "--profile", "preview", "--set", "gateway.podAnnotations.revision=two")...)
	code, _, failed = slipway(t, p.with("upgrade", "--profile", "preview")...)
	require.Equal(t, 1, code)
	require.Contains(t, failed, "is pending-upgrade since")
	succeed(t, p.with("upgrade", "--profile", "preview", "--set", "gateway.podAnnotations.revision=two", "--recover", "--timeout", "3m")...)
	code, said, failed = slipway(t, p.with("status")...)
	require.Zero(t, code, said+failed)
}

func TestCluster_BadInputChangesNothing(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	before := p.texts(t)
	for name, c := range map[string]struct {
		args []string
		says []string
	}{
		"unknown key":    {p.with("install", "--set", "gateway.replicass=2"), []string{"gateway.replicass: there is no such key; did you mean replicas?"}},
		"a text":         {p.with("install", "--set", "gateway.replicas=many"), []string{"gateway.replicas"}},
		"chain id 0":     {p.with("install", "--set-string", "global.chainId=0"), []string{"global.chainId: must match"}},
		"a number":       {p.with("install", "--set", "global.chainId=7"), []string{"global.chainId: must be string, not number: put it into quotes, or use --set-string"}},
		"a chain's name": {p.with("install", "--set", "global.chainId=mainnet"), []string{"global.chainId"}},
		"no validators":  {p.with("install", "--set", "global.networkNodes.validatorReplicaCount=0"), []string{"global.networkNodes.validatorReplicaCount: must be at least 1"}},
		"no profile":     {p.with("install", "--profile", "huge"), []string{`there is no profile "huge"; there are`, "production"}},
		"no file":        {p.with("install", "-f", "/none.yaml"), []string{"/none.yaml"}},
		"release":        {p.with("install", "--release", "My_Release"), []string{"release"}},
		"not installed":  {p.with("upgrade"), []string{"there is no such release", "slipway install"}},
		"nothing back":   {p.with("rollback"), []string{"there is no such release"}},
		"insecure":       {[]string{"install", "--namespace", p.Namespace, "--kubeconfig", p.insecure(t)}, []string{"insecure-skip-tls-verify", "certificate-authority"}},
		"same keys":      {p.with("bootstrap", "--keys", sameKeys(t)), []string{"besu-node-validator-1", "besu-node-validator-0"}},
		"one validator":  {p.with("bootstrap", "--validators", "0"), []string{"validator"}},
	} {
		code, said, failed := slipway(t, c.args...)
		require.NotZero(t, code, "%s: %s", name, said)
		for _, text := range c.says {
			require.Contains(t, failed, text, name)
		}
		t.Log(name + ": " + failed)
		require.Equal(t, before, p.texts(t), name)
	}
	pods, err := p.admin.CoreV1().Pods(p.Namespace).List(t.Context(), meta.ListOptions{})
	require.NoError(t, err)
	require.Empty(t, pods.Items)
}

// insecure is a kubeconfig that trusts whoever answers.
func (p place) insecure(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, clientcmd.WriteToFile(api.Config{
		CurrentContext: "c",
		Clusters:       map[string]*api.Cluster{"c": {Server: p.Config.Host, InsecureSkipTLSVerify: true}},
		AuthInfos:      map[string]*api.AuthInfo{"c": {ClientCertificate: p.Config.CertFile, ClientKey: p.Config.KeyFile}},
		Contexts:       map[string]*api.Context{"c": {Cluster: "c", AuthInfo: "c"}},
	}, path))
	return path
}

// sameKeys is a folder in which two validators have one key.
func sameKeys(t *testing.T) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "network")
	succeed(t, "network", "generate", "--output", "folder", "--to", folder)
	key, err := os.ReadFile(filepath.Join(folder, "besu-node-validator-0", "key"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "besu-node-validator-1", "key"), key, 0o600))
	return folder
}
