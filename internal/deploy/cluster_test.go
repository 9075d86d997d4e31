//go:build cluster

// Tests of the verbs against the real kube-apiserver and the controllers that
// make pods: make cluster-test. Pods are played by clustertest's machines.

package deploy

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/release"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/slipwayhq/slipway/internal/clustertest"
)

// heard collects events.
type heard struct {
	mu    sync.Mutex
	lines []string
}

func (h *heard) tell(e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = append(h.lines, strings.TrimSpace(e.Step+" "+e.Object+" "+e.Text))
}

func (h *heard) text() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.lines, "\n")
}

// world is a namespace of a real cluster with machines.
type world struct {
	*Cluster
	server *clustertest.API
	admin  kubernetes.Interface
}

func newWorld(t *testing.T) world {
	t.Helper()
	server := clustertest.Start(t)
	server.StartMachines(t)
	admin, err := kubernetes.NewForConfig(server.Config)
	require.NoError(t, err)
	_, err = admin.CoreV1().Namespaces().Patch(t.Context(), server.Namespace, "application/merge-patch+json",
		[]byte(`{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"restricted","pod-security.kubernetes.io/warn":"restricted"}}}`), meta.PatchOptions{})
	require.NoError(t, err)
	cluster, err := Connect(t.Context(), Connection{Kubeconfig: server.Kubeconfig(t), Namespace: server.Namespace})
	require.NoError(t, err)
	cluster.poll = 100 * time.Millisecond
	return world{cluster, server, admin}
}

func (w world) request(t *testing.T, values string) (Request, *heard) {
	t.Helper()
	h := new(heard)
	return Request{Release: "slipway", Values: valuesOf(t, values), Timeout: 3 * time.Minute, Tell: h.tell}, h
}

func valuesOf(t *testing.T, text string) Values {
	t.Helper()
	return values(t, text)
}

func TestCluster_InstallUpgradeRollbackUninstall(t *testing.T) {
	t.Parallel()
	w := newWorld(t)

	first, told := w.request(t, "")
	plan, err := w.Plan(t.Context(), first)
	require.NoError(t, err)
	require.Equal(t, Absent, plan.State)
	require.Empty(t, plan.Refusals)
	require.NotEmpty(t, plan.Changes)

	result, err := w.Install(t.Context(), first)
	require.NoError(t, err, told.text())
	require.Equal(t, 1, result.Revision)
	status, err := w.Status(t.Context(), "slipway")
	require.NoError(t, err)
	require.True(t, status.Ready, "%+v", status)

	// Again: nothing to do, and nothing done.
	again, err := w.Install(t.Context(), first)
	require.NoError(t, err)
	require.False(t, again.Changed)
	require.Equal(t, 1, again.Revision)
	plan, err = w.Plan(t.Context(), first)
	require.NoError(t, err)
	require.Empty(t, plan.Changes)

	// Other values are for upgrade.
	second, told := w.request(t, "network: {image: {tag: 25.11.0}}")
	_, err = w.Install(t.Context(), second)
	require.ErrorIs(t, err, ErrAlreadyInstalled)
	before := w.podUIDs(t)
	result, err = w.Upgrade(t.Context(), second)
	require.NoError(t, err, told.text())
	require.Equal(t, 2, result.Revision)
	rolled := 0
	for _, line := range told.lines {
		if strings.HasPrefix(line, "roll besu-node-validator-") && strings.Contains(line, "deleted") {
			rolled++
		}
	}
	require.Equal(t, 4, rolled, told.text())
	for name, uid := range w.podUIDs(t) {
		if isValidator(strings.TrimSuffix(name, "-0")) {
			require.NotEqual(t, before[name], uid, "%s runs the new version", name)
		}
	}

	// Back is a downgrade of Besu, which is refused until it is allowed.
	back, told := w.request(t, "")
	_, err = w.Rollback(t.Context(), back, 0)
	require.ErrorIs(t, err, ErrRefused)
	require.ErrorContains(t, err, "from 25.11.0 back to 25.10.0")
	back.Allow = []string{"besu-downgrade"}
	result, err = w.Rollback(t.Context(), back, 0)
	require.NoError(t, err, told.text())
	require.Equal(t, 3, result.Revision)

	_, err = w.Rollback(t.Context(), back, 77)
	require.ErrorIs(t, err, ErrNoRevision)

	gone, err := w.Uninstall(t.Context(), back)
	require.NoError(t, err)
	require.Contains(t, strings.Join(gone.Notes, "\n"), "volume claims")
	_, err = w.Status(t.Context(), "slipway")
	require.ErrorIs(t, err, ErrNotInstalled)
	sets, err := w.admin.AppsV1().StatefulSets(w.namespace).List(t.Context(), meta.ListOptions{})
	require.NoError(t, err)
	require.Empty(t, sets.Items)
	_, err = w.Uninstall(t.Context(), back)
	require.NoError(t, err, "again is no error")
}

func (w world) podUIDs(t *testing.T) map[string]string {
	t.Helper()
	pods, err := w.pods(t.Context(), "slipway")
	require.NoError(t, err)
	out := make(map[string]string)
	for _, pod := range pods {
		out[pod.Name] = string(pod.UID)
	}
	return out
}

const stuckGateway = `gateway: {podAnnotations: {clustertest/stuck: "yes"}}`

func TestCluster_FailedInstallSaysWhatIsLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r, _ := w.request(t, stuckGateway)
	r.Timeout = 30 * time.Second

	_, err := w.Install(t.Context(), r)
	require.ErrorIs(t, err, ErrNotReady)
	require.ErrorContains(t, err, "Deployment gateway: 0 of")
	require.ErrorContains(t, err, "cannot be pulled: not found")
	require.ErrorContains(t, err, "revision 1 is left as failed")
	status, err := w.Status(t.Context(), "slipway")
	require.NoError(t, err)
	require.Equal(t, Failed, status.State)

	// The same command goes on when the cause is mended.
	mended, told := w.request(t, "")
	result, err := w.Install(t.Context(), mended)
	require.NoError(t, err, told.text())
	require.Equal(t, 2, result.Revision)
}

func TestCluster_AtomicLeavesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r, _ := w.request(t, stuckGateway)
	r.Timeout, r.Atomic = 30*time.Second, true

	_, err := w.Install(t.Context(), r)
	require.ErrorIs(t, err, ErrNotReady)
	require.ErrorContains(t, err, "everything was taken away again")
	_, err = w.Status(t.Context(), "slipway")
	require.ErrorIs(t, err, ErrNotInstalled)

	good, told := w.request(t, "")
	_, err = w.Install(t.Context(), good)
	require.NoError(t, err, told.text())
	bad, _ := w.request(t, stuckGateway)
	bad.Timeout, bad.Atomic = 30*time.Second, true
	_, err = w.Upgrade(t.Context(), bad)
	require.ErrorContains(t, err, "revision 1 was put back")
	status, err := w.Status(t.Context(), "slipway")
	require.NoError(t, err)
	require.True(t, status.Ready, "%+v", status)
}

func TestCluster_StuckReleaseIsRecognisedAndMended(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r, told := w.request(t, "")
	_, err := w.Install(t.Context(), r)
	require.NoError(t, err, told.text())

	// Somebody's upgrade was killed.
	o, err := w.begin(t.Context(), r)
	require.NoError(t, err)
	killed := *o.history.last()
	info := *killed.Info
	info.Status = release.StatusPendingUpgrade
	killed.Version, killed.Info = 2, &info
	require.NoError(t, o.helm.Releases.Create(&killed))

	_, err = w.Upgrade(t.Context(), r)
	require.ErrorIs(t, err, ErrStuck)
	require.ErrorContains(t, err, "--recover")
	r.Recover = true
	result, err := w.Upgrade(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, 3, result.Revision)
}

// Several upgrades did not get to their end: something of each is in the
// cluster, and the newest revision does not name it all.
func TestCluster_WhatFailedRevisionsLeftGoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good, told := w.request(t, "")
	_, err := w.Install(t.Context(), good)
	require.NoError(t, err, told.text())
	tried := func(values string) {
		r, _ := w.request(t, values)
		r.Timeout = 20 * time.Second
		_, err := w.Upgrade(t.Context(), r)
		require.ErrorIs(t, err, ErrNotReady)
		require.ErrorContains(t, err, "cannot be pulled")
	}
	const backedUp = `{gateway: {podAnnotations: {clustertest/stuck: "yes", first: "1"}}, signer: {backup: {enabled: true}}}`
	jobs := func() []batch.CronJob {
		list, err := w.admin.BatchV1().CronJobs(w.namespace).List(t.Context(), meta.ListOptions{})
		require.NoError(t, err)
		return list.Items
	}

	tried(backedUp)
	require.Len(t, jobs(), 1)
	tried(`gateway: {podAnnotations: {clustertest/stuck: "yes", second: "2"}}`)
	require.Empty(t, jobs())
	plan, err := w.Plan(t.Context(), good)
	require.NoError(t, err)
	require.Contains(t, planned(plan), "change Deployment gateway")
	require.Contains(t, planned(plan), "delete CronJob signer-backup")
	_, err = w.Upgrade(t.Context(), good)
	require.NoError(t, err)
	gateway, err := w.admin.AppsV1().Deployments(w.namespace).Get(t.Context(), "gateway", meta.GetOptions{})
	require.NoError(t, err)
	for _, key := range []string{clustertest.StuckAnnotation, "first", "second"} {
		require.NotContains(t, gateway.Spec.Template.Annotations, key)
	}

	// A program that is killed may not even get to what the revision before left.
	tried(backedUp)
	o, err := w.begin(t.Context(), good)
	require.NoError(t, err)
	killed, info := *o.history.deployed(), *o.history.last().Info
	killed.Version, killed.Info = o.history.last().Version+1, &info
	require.NoError(t, o.helm.Releases.Create(&killed))
	require.Len(t, jobs(), 1)
	_, err = w.Uninstall(t.Context(), good)
	require.NoError(t, err)
	require.Empty(t, jobs())
	copies, err := w.admin.CoreV1().PersistentVolumeClaims(w.namespace).Get(t.Context(), "signer-backup", meta.GetOptions{})
	require.NoError(t, err, "copies stay")
	require.Nil(t, copies.DeletionTimestamp)
}

func planned(plan Plan) []string {
	var out []string
	for _, change := range plan.Changes {
		out = append(out, change.Action+" "+change.Object)
	}
	return out
}

func TestCluster_PreflightKnowsTheChain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r, told := w.request(t, "")
	_, err := w.Install(t.Context(), r)
	require.NoError(t, err, told.text())
	for name, c := range map[string]struct{ values, says string }{
		"chain id":       {`global: {chainId: "7"}`, "[genesis]"},
		"storage format": {`network: {besu: {dataStorageFormat: BONSAI}}`, "[storage-format]"},
		"quorum":         {`global: {networkNodes: {validatorReplicaCount: 2}}`, "[quorum]"},
		"volume":         {`network: {validator: {persistence: {size: 30Gi}}}`, "[immutable]"},
	} {
		refused, _ := w.request(t, c.values)
		_, err := w.Upgrade(t.Context(), refused)
		require.ErrorIs(t, err, ErrRefused, name)
		require.ErrorContains(t, err, c.says, name)
	}
	status, err := w.Status(t.Context(), "slipway")
	require.NoError(t, err)
	require.Len(t, status.Revisions, 1)
}

func TestCluster_TooFewMachines(t *testing.T) {
	t.Parallel()
	s := situation{wanted: chain{Validators: 4}, machines: machines(2, 0)}
	require.Equal(t, "placement", s.judge(nil)[0].Rule)
}

func TestCluster_EndedOperationIsWrittenDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r, told := w.request(t, stuckGateway)
	ctx, cancel := context.WithCancel(t.Context())
	r.Tell = func(e Event) {
		told.tell(e)
		if strings.Contains(e.Text, "cannot be pulled") {
			cancel() // Ctrl-C
		}
	}
	_, err := w.Install(ctx, r)
	require.ErrorIs(t, err, context.Canceled)
	status, err := w.Status(t.Context(), "slipway")
	require.NoError(t, err)
	require.Equal(t, Failed, status.State, "and not stuck")
}

func TestCluster_NamespaceIsMadeRestricted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	name := w.namespace + "-new"
	cluster, err := Connect(t.Context(), Connection{Kubeconfig: w.server.Kubeconfig(t), Namespace: name})
	require.NoError(t, err)
	r, _ := w.request(t, "")
	r.Timeout, r.Allow = 30*time.Second, []string{"placement"}
	_, err = cluster.Install(t.Context(), r)
	require.ErrorIs(t, err, ErrNotReady, "no machine plays pods there")
	made, err := w.admin.CoreV1().Namespaces().Get(t.Context(), name, meta.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, "restricted", made.Labels["pod-security.kubernetes.io/enforce"])
	require.Equal(t, "restricted", made.Labels["pod-security.kubernetes.io/warn"])
}

func TestCluster_SupportBundleHasNoSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	secrets := []string{"correct-horse-battery", "s3cr3t/with+signs", "word1 word2 word3 word4"}
	r, told := w.request(t, `
global: {datastores: {default: {postgresql: {password: correct-horse-battery}}}}
signer: {mnemonic: {value: word1 word2 word3 word4}, extraEnv: [{name: MY_TOKEN, value: plain-token-value}]}
`)
	_, err := w.Install(t.Context(), r)
	require.NoError(t, err, told.text())
	_, err = w.admin.CoreV1().Secrets(w.namespace).Create(t.Context(), &core.Secret{
		ObjectMeta: meta.ObjectMeta{Name: "mine"}, StringData: map[string]string{"key": "s3cr3t/with+signs"},
	}, meta.CreateOptions{})
	require.NoError(t, err)
	// Somebody wrote a secret where none belongs.
	_, err = w.admin.CoreV1().ConfigMaps(w.namespace).Create(t.Context(), &core.ConfigMap{
		ObjectMeta: meta.ObjectMeta{Name: "leak"}, Data: map[string]string{"url": "postgres://x:" + url.QueryEscape("s3cr3t/with+signs") + "@db/x", "plain": "correct-horse-battery"},
	}, meta.CreateOptions{})
	require.NoError(t, err)

	var archive bytes.Buffer
	require.NoError(t, w.SupportBundle(t.Context(), Examination{Release: "slipway"}, &archive))
	files := unpack(t, &archive)
	for _, name := range []string{"version.txt", "status.json", "doctor.json", "gaps.txt", "revision-1/values.yaml", "objects/Secret/mine.yaml", "objects/ConfigMap/leak.yaml", "objects/StatefulSet/besu-node-rpc.yaml"} {
		require.Contains(t, files, "slipway-support/"+name)
	}
	require.Contains(t, files["slipway-support/objects/ConfigMap/leak.yaml"], redacted)
	for name, text := range files {
		for _, secret := range append(secrets, "plain-token-value") {
			require.NotContains(t, text, secret, name)
			require.NotContains(t, text, url.QueryEscape(secret), name)
			require.NotContains(t, text, base64.StdEncoding.EncodeToString([]byte(secret)), name)
		}
	}
}

func unpack(t *testing.T, from io.Reader) map[string]string {
	t.Helper()
	compressed, err := gzip.NewReader(from)
	require.NoError(t, err)
	archive := tar.NewReader(compressed)
	out := make(map[string]string)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		require.NoError(t, err)
		text, err := io.ReadAll(archive)
		require.NoError(t, err)
		out[header.Name] = string(text)
	}
}
