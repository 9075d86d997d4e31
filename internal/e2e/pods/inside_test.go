//go:build e2e

package pods_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	core "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// doctorInAPod looks names up, which it cannot do from outside: with a name server,
// and with one that does not answer.
func doctorInAPod(t *testing.T, l *load) {
	t.Helper()
	const account = "doctor"
	_, err := l.api.CoreV1().ServiceAccounts(l.namespace).Create(t.Context(), &core.ServiceAccount{ObjectMeta: meta.ObjectMeta{Name: account}}, meta.CreateOptions{})
	require.NoError(t, err)
	_, err = l.api.RbacV1().RoleBindings(l.namespace).Create(t.Context(), &rbac.RoleBinding{
		ObjectMeta: meta.ObjectMeta{Name: account}, RoleRef: rbac.RoleRef{APIGroup: rbac.GroupName, Kind: "ClusterRole", Name: "admin"},
		Subjects: []rbac.Subject{{Kind: rbac.ServiceAccountKind, Name: account, Namespace: l.namespace}},
	}, meta.CreateOptions{})
	require.NoError(t, err)

	phase, said := l.doctorPod(t, account, "well")
	require.Equal(t, core.PodSucceeded, phase)
	require.Regexp(t, `(?m)^ok +dns `, said)
	require.NotContains(t, said, "broken")

	resume := l.stopNameServer(t)
	phase, said = l.doctorPod(t, account, "without-names")
	resume()
	require.Equal(t, core.PodFailed, phase)
	require.Regexp(t, `(?m)^broken +dns +gateway\.`+l.namespace+`\.svc\.cluster\.local\.: .*timeout`, said)
	for _, check := range []string{"nodes", "peers", "quorum", "ports"} {
		require.Regexp(t, `(?m)^ok +`+check+` `, said, "names are no reason to doubt the rest")
	}

	require.NoError(t, l.api.RbacV1().RoleBindings(l.namespace).Delete(t.Context(), account, meta.DeleteOptions{}))
	require.NoError(t, l.api.CoreV1().ServiceAccounts(l.namespace).Delete(t.Context(), account, meta.DeleteOptions{}))
}

// doctorPod runs doctor in a pod of our image to its end, and returns what it printed.
func (w *world) doctorPod(t *testing.T, account, name string) (core.PodPhase, string) {
	t.Helper()
	isNot, is := false, true
	pods := w.api.CoreV1().Pods(w.namespace)
	_, err := pods.Create(t.Context(), &core.Pod{ObjectMeta: meta.ObjectMeta{Name: name}, Spec: core.PodSpec{
		ServiceAccountName: account, RestartPolicy: core.RestartPolicyNever,
		SecurityContext: &core.PodSecurityContext{RunAsNonRoot: &is, SeccompProfile: &core.SeccompProfile{Type: core.SeccompProfileTypeRuntimeDefault}},
		Containers: []core.Container{{
			Name: "doctor", Image: w.pod(t, "gateway").Spec.Containers[0].Image, Command: []string{"slipway", "doctor", "--namespace=" + w.namespace},
			SecurityContext: &core.SecurityContext{AllowPrivilegeEscalation: &isNot, Capabilities: &core.Capabilities{Drop: []core.Capability{"ALL"}}},
		}},
	}}, meta.CreateOptions{})
	require.NoError(t, err)
	var phase core.PodPhase
	require.Eventually(t, func() bool {
		pod, err := pods.Get(t.Context(), name, meta.GetOptions{})
		if err == nil {
			phase = pod.Status.Phase
		}
		return phase == core.PodSucceeded || phase == core.PodFailed
	}, patience, lookEvery)
	stream, err := pods.GetLogs(name, new(core.PodLogOptions)).Stream(t.Context())
	require.NoError(t, err)
	defer stream.Close()
	said, err := io.ReadAll(stream)
	require.NoError(t, err)
	t.Logf("slipway doctor in a pod:\n%s", said)
	require.NoError(t, pods.Delete(t.Context(), name, meta.DeleteOptions{}))
	return phase, string(said)
}

// stopNameServer lets CoreDNS stand still, which runs beside the test, until the
// function that it returns is called.
func (w *world) stopNameServer(t *testing.T) (resume func()) {
	t.Helper()
	programs, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, file := range programs {
		line, _ := os.ReadFile(file) // a process that has ended has none
		if name, _, _ := strings.Cut(string(line), "\x00"); filepath.Base(name) == "coredns" {
			id := processOf(t, file)
			require.NoError(t, syscall.Kill(id, syscall.SIGSTOP))
			resume = func() { _ = syscall.Kill(id, syscall.SIGCONT) } // it is there as long as the cluster
			t.Cleanup(resume)
			return resume
		}
	}
	require.Fail(t, "no name server runs")
	return nil
}
