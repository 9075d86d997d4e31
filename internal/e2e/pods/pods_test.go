//go:build e2e

package pods_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// firstTransactionWithin is what is promised: from the command to a transaction
// in a block.
const firstTransactionWithin = 60 * time.Second

// What users who know where they are going do.
func TestProduction_InstallsFromNothing(t *testing.T) { //nolint:paralleltest // the machine is full with one
	w := newWorld(t, "production")
	l := &load{world: w}
	installAndMine(t, l, "production")
	requireAllIsWell(t, l)
	require.Len(t, w.validators(t), 4)
	validatorIsTakenOut(t, l)
	w.run(t, "uninstall", "--timeout=3m")
}

// One release lives through all of it, from a preview on: each step finds what the
// ones before left.
func TestRelease_LivesWithRealPods(t *testing.T) { //nolint:paralleltest // the machine is full with one
	w := newWorld(t, "chain")
	l := &load{world: w}
	for _, step := range []struct {
		name string
		run  func(t *testing.T, l *load)
	}{
		{"install a preview and mine the first transaction", func(t *testing.T, l *load) { t.Helper(); installAndMine(t, l, "preview") }},
		{"the verbs see that all is well with the preview", verbsSeeThatAllIsWell},
		{"the preview becomes production", previewBecomesProduction},
		{"doctor in a pod sees that all is well", doctorInAPod},
		{"a support bundle has logs and no secrets", bundleHasLogsAndNoSecrets},
		{"every kind of pod crashes and nothing is lost", crashes},
		{"doctor names a validator that cannot start", doctorNamesWhatCannotStart},
		{"doctor names an RPC node of another chain", doctorNamesAnotherChain},
		{"doctor names a lost quorum", doctorNamesALostQuorum},
		{"an upgrade whose nodes do not start is taken back", badUpgradeIsTakenBack},
		{"an upgrade under load fails no request", upgrade},
		{"a rollback under load fails no request", rollback},
		{"validators that another tool changed are rolled under load", rollWhatAnotherToolChanged},
		{"uninstall leaves what it says", uninstallLeavesWhatItSays},
		{"installed again the chain goes on", installedAgain},
	} {
		if !t.Run(step.name, func(t *testing.T) { step.run(t, l) }) {
			w.explain(t)
			return
		}
	}
}

// grown are the values of a release that began as a preview: volumes keep their size.
func grown(more ...string) []string {
	return with("production", append([]string{"--set=network.validator.persistence.size=20Gi", "--set=network.rpc.persistence.size=20Gi"}, more...)...)
}

func upgrade(t *testing.T, l *load) {
	t.Helper()
	rollsWithoutFailure(t, l, append([]string{"upgrade"}, grown("--set=global.images.slipway.tag=99.0.0", "--set=network.image.tag=99.0.0")...)...)
	require.Regexp(t, "/besu:99.0.0$", l.pod(t, "besu-node-validator").Spec.Containers[0].Image)
}

func rollback(t *testing.T, l *load) {
	t.Helper()
	rollsWithoutFailure(t, l, "rollback", "--timeout=3m", "--allow=placement", "--allow=besu-downgrade")
	require.NotRegexp(t, "/besu:99.0.0$", l.pod(t, "besu-node-validator").Spec.Containers[0].Image)
}

// explain prints what a reader of a failed test asks first.
func (w *world) explain(t *testing.T) {
	t.Helper()
	_, _, _ = w.try(t, "status") // what it says is in the output
	_, _, _ = w.try(t, "doctor")
}

func installAndMine(t *testing.T, l *load, profile string) {
	t.Helper()
	began := time.Now()
	l.run(t, append([]string{"install"}, with(profile)...)...)
	installed := time.Since(began)
	l.find(t)
	l.sender = l.account(t)
	first, err := l.ask(t.Context(), l.client, "first", "?wait=mined&timeout=30s")
	require.NoError(t, err)
	require.Equal(t, "confirmed", first.Status)
	mined := time.Since(began)
	l.accepted = append(l.accepted, first.ID)
	t.Logf("RESULT slipway install --profile %s: %.1f s; first transaction mined: %.1f s after the command began", profile, installed.Seconds(), mined.Seconds())
	require.LessOrEqual(t, mined, firstTransactionWithin)
}

// account is the signer's first.
func (l *load) account(t *testing.T) string {
	t.Helper()
	var answer struct{ Result []string }
	_, err := post(t.Context(), l.client, l.signer, nil, []byte(`{"jsonrpc":"2.0","id":1,"method":"eth_accounts","params":[]}`), &answer)
	require.NoError(t, err)
	require.NotEmpty(t, answer.Result)
	return answer.Result[0]
}

func verbsSeeThatAllIsWell(t *testing.T, w *load) {
	t.Helper()
	requireAllIsWell(t, w)
	id, err := w.call(t.Context(), w.client, "eth_chainId")
	require.NoError(t, err)
	require.Equal(t, uint64(53771311147), quantity(t, id), "the charts' own")
	w.run(t, "plan", "--profile=preview", "--values="+overrides, "--exit-code")
	require.Contains(t, w.run(t, append([]string{"install"}, with("preview")...)...), "installed with these values already")
	require.Contains(t, w.run(t, "roll", "--timeout=1m"), "of their newest template")
}

// requireAllIsWell asks the verbs that look, which must find nothing at all.
func requireAllIsWell(t *testing.T, w *load) {
	t.Helper()
	require.Contains(t, w.run(t, "status"), "everything is ready")
	findings := w.run(t, "doctor", "--signer-token-file="+w.tokenFile(t))
	for _, check := range []string{"release", "pods", "ports", "auth", "nodes", "chain-id", "genesis", "peers", "quorum", "height", "nonces", "callers"} {
		require.Regexp(t, `(?m)^ok +`+check+` `, findings)
	}
}

func (w *world) tokenFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(path, []byte(w.token), 0o600))
	return path
}

func bundleHasLogsAndNoSecrets(t *testing.T, w *load) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "bundle.tar.gz")
	w.run(t, "support-bundle", "--to="+file)
	packed, err := os.Open(file)
	require.NoError(t, err)
	defer packed.Close()
	unzipped, err := gzip.NewReader(packed)
	require.NoError(t, err)
	var all bytes.Buffer
	names := ""
	for archive := tar.NewReader(unzipped); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		names += header.Name + "\n"
		_, err = io.Copy(&all, archive)
		require.NoError(t, err)
	}
	t.Logf("the bundle has\n%s", names)
	require.Contains(t, all.String(), "this is a stand-in for Besu", "the nodes' logs are in it")
	secrets, err := w.api.CoreV1().Secrets(w.namespace).List(t.Context(), meta.ListOptions{})
	require.NoError(t, err)
	for _, secret := range secrets.Items {
		for key, value := range secret.Data {
			if secret.Type == core.SecretTypeOpaque && len(value) > 8 {
				require.NotContains(t, all.String(), string(value), "%s of Secret %s", key, secret.Name)
			}
		}
	}
}

func crashes(t *testing.T, l *load) {
	t.Helper()
	stop := l.start(t)
	for _, component := range []string{"gateway", "signer", "redis", "besu-node-rpc", "besu-node-validator", "postgresql"} {
		l.take()
		began := time.Now()
		l.crash(t, l.pod(t, component))
		ready := time.Since(began)
		before := l.count()
		require.Eventually(t, func() bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			return len(l.accepted) > before && l.status(t, l.accepted[before]) == "confirmed"
		}, patience, lookEvery, "after the crash of %s no transaction is mined", component)
		_, _, failures := l.take()
		t.Logf("RESULT crash of %s: ready again after %.1f s, new transaction mined after %.1f s, %d requests failed meanwhile",
			component, ready.Seconds(), time.Since(began).Seconds(), len(failures))
		for _, failure := range failures[:min(3, len(failures))] {
			t.Log("   ", failure)
		}
	}
	stop()
	l.requireAllMined(t)
	_, accepted, _ := l.take()
	t.Logf("RESULT %d transactions accepted until here, all mined once", accepted)
}

// badUpgradeIsTakenBack gives the nodes a setting that they do not know. One
// validator and one RPC node try it; what clients see is that nothing happens.
func badUpgradeIsTakenBack(t *testing.T, l *load) {
	t.Helper()
	l.take()
	before := l.count()
	stop := l.start(t)
	said := l.fail(t, append([]string{"upgrade"}, grown("--timeout=45s", "--set=network.besu.config.nonsense=1")...)...)
	stop()
	reads, _, failures := l.take()
	t.Logf("RESULT upgrade that cannot start, under load: %d reads and %d transactions, %d requests failed", reads, l.count()-before, len(failures))
	require.Contains(t, said, "Unknown option in TOML configuration file: nonsense")
	require.Regexp(t, `revision \d+ was put back`, said)
	require.Empty(t, failures)
	require.Contains(t, l.run(t, "status"), "everything is ready")
	l.requireAllMined(t)
}

// rollsWithoutFailure runs a verb that takes all of our pods, while clients read
// and send.
func rollsWithoutFailure(t *testing.T, l *load, verb ...string) {
	t.Helper()
	l.take()
	before, from := l.count(), l.height(t)
	stop := l.start(t)
	began := time.Now()
	l.run(t, verb...)
	took := time.Since(began)
	stop()
	reads, accepted, failures := l.take()
	t.Logf("RESULT %s under load: %.1f s, %d reads and %d transactions, %d requests failed, %s at most between two blocks",
		verb[0], took.Seconds(), reads, accepted-before, len(failures), l.longestPause(t, from, l.height(t)))
	require.Empty(t, failures)
	l.requireAllMined(t)
	require.Contains(t, l.run(t, "status"), "everything is ready")
}

// rollWhatAnotherToolChanged gives the validators another template, as Argo CD would
// after a commit, and has them taken one after the other.
func rollWhatAnotherToolChanged(t *testing.T, l *load) {
	t.Helper()
	sets, err := l.api.AppsV1().StatefulSets(l.namespace).List(t.Context(), meta.ListOptions{LabelSelector: "app.kubernetes.io/name=besu-node-validator"})
	require.NoError(t, err)
	require.Len(t, sets.Items, 4)
	for _, set := range sets.Items {
		_, err := l.api.AppsV1().StatefulSets(l.namespace).Patch(t.Context(), set.Name, types.MergePatchType,
			[]byte(`{"spec":{"template":{"metadata":{"annotations":{"example.org/commit":"two"}}}}}`), meta.PatchOptions{})
		require.NoError(t, err)
	}
	rollsWithoutFailure(t, l, "roll", "--timeout=3m")
	pods, err := l.api.CoreV1().Pods(l.namespace).List(t.Context(), meta.ListOptions{LabelSelector: "app.kubernetes.io/name=besu-node-validator"})
	require.NoError(t, err)
	for _, pod := range pods.Items {
		require.Equal(t, "two", pod.Annotations["example.org/commit"], pod.Name)
	}
}

func uninstallLeavesWhatItSays(t *testing.T, w *load) {
	t.Helper()
	said := w.run(t, "uninstall", "--timeout=3m")
	require.Eventually(t, func() bool {
		pods, err := w.api.CoreV1().Pods(w.namespace).List(t.Context(), meta.ListOptions{})
		return err == nil && len(pods.Items) == 0
	}, patience, lookEvery)
	claims, secrets, maps := w.left(t)
	require.Contains(t, said, fmt.Sprintf("left in namespace %s: %d volume claims (", w.namespace, claims))
	require.Contains(t, said, fmt.Sprintf(", %d Secrets of the bootstrap ", secrets))
	require.Contains(t, said, fmt.Sprintf(", %d ConfigMaps of the bootstrap ", maps))
}

// left counts what is in the namespace, but for what Kubernetes puts into each.
// There may be nothing but these three kinds.
func (w *world) left(t *testing.T) (claims, secrets, maps int) {
	t.Helper()
	count := func(resource string, group ...string) int {
		path := append(append([]string{"/api/v1"}, group...), "namespaces", w.namespace, resource)
		if len(group) > 0 {
			path[0] = "/apis"
		}
		text, err := w.api.CoreV1().RESTClient().Get().AbsPath(path...).DoRaw(t.Context())
		require.NoError(t, err)
		var list struct {
			Items []struct{ Metadata struct{ Name string } }
		}
		require.NoError(t, json.Unmarshal(text, &list))
		var found int
		for _, item := range list.Items {
			if item.Metadata.Name != "kube-root-ca.crt" && item.Metadata.Name != "default" {
				found++
			}
		}
		return found
	}
	for resource, group := range map[string][]string{
		"services": nil, "serviceaccounts": nil, "pods": nil, "deployments": {"apps/v1"}, "statefulsets": {"apps/v1"}, "jobs": {"batch/v1"},
		"roles": {"rbac.authorization.k8s.io/v1"}, "rolebindings": {"rbac.authorization.k8s.io/v1"},
		"networkpolicies": {"networking.k8s.io/v1"}, "poddisruptionbudgets": {"policy/v1"},
	} {
		require.Zero(t, count(resource, group...), "%s are left", resource)
	}
	return count("persistentvolumeclaims"), count("secrets"), count("configmaps")
}

// installedAgain finds keys, volumes and database: the chain is the same one, and the
// signer still knows what it sent.
func installedAgain(t *testing.T, l *load) {
	t.Helper()
	l.run(t, append([]string{"install"}, grown()...)...)
	l.find(t)
	again, err := l.ask(t.Context(), l.client, "first", "?wait=mined&timeout=30s")
	require.NoError(t, err)
	require.Equal(t, l.accepted[0], again.ID, "the signer remembers the first transaction")
	next, err := l.ask(t.Context(), &http.Client{Timeout: time.Minute}, "next", "?wait=mined&timeout=40s")
	require.NoError(t, err)
	require.Equal(t, "confirmed", next.Status)
	l.accepted = append(l.accepted, next.ID)
	l.requireAllMined(t)
	require.True(t, strings.EqualFold(next.From, l.sender))
}
