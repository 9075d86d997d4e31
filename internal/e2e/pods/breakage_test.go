//go:build e2e

package pods_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What breaks here is mended as doctor says.

// scale gives a StatefulSet so many replicas, and waits until it has them.
func (w *world) scale(t *testing.T, set string, to int32) {
	t.Helper()
	sets := w.api.AppsV1().StatefulSets(w.namespace)
	scale, err := sets.GetScale(t.Context(), set, meta.GetOptions{})
	require.NoError(t, err)
	scale.Spec.Replicas = to
	_, err = sets.UpdateScale(t.Context(), set, scale, meta.UpdateOptions{})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		is, err := sets.Get(t.Context(), set, meta.GetOptions{})
		return err == nil && is.Status.ReadyReplicas == to && is.Status.Replicas == to
	}, patience, lookEvery, "%s does not get %d replicas", set, to)
}

// requireFinding waits until doctor fails and says this.
func (w *world) requireFinding(t *testing.T, want string) {
	t.Helper()
	var said string
	require.Eventually(t, func() bool {
		out, _, err := w.try(t, "doctor")
		said = out
		return err != nil && strings.Contains(out, want)
	}, patience, lookEvery, "doctor does not say %q", want)
	require.Contains(t, said, "→ ", "what to do")
}

// doctorNamesWhatCannotStart takes the key of a validator away. Every revision's
// job makes it again from the network's record.
func doctorNamesWhatCannotStart(t *testing.T, l *load) {
	t.Helper()
	const name = "besu-node-validator-0"
	require.NoError(t, l.api.CoreV1().Secrets(l.namespace).Delete(t.Context(), name+"-private-key", meta.DeleteOptions{}))
	require.NoError(t, l.api.CoreV1().Pods(l.namespace).Delete(t.Context(), name+"-0", meta.DeleteOptions{}))
	l.requireFinding(t, `secret "`+name+`-private-key" not found`)
	require.Contains(t, l.fail(t, "status"), "private-key")
	l.run(t, append([]string{"upgrade"}, grown("--set=network.bootstrap.podAnnotations.again=yes")...)...)
	requireAllIsWell(t, l)
}

// doctorNamesAnotherChain lets an RPC node start with another chain id: the hash of
// a genesis block does not tell it.
func doctorNamesAnotherChain(t *testing.T, l *load) {
	t.Helper()
	const node = "besu-node-rpc-1"
	maps := l.api.CoreV1().ConfigMaps(l.namespace)
	right, err := maps.Get(t.Context(), "besu-genesis", meta.GetOptions{})
	require.NoError(t, err)
	replace := func(text string) {
		require.NoError(t, maps.Delete(t.Context(), right.Name, meta.DeleteOptions{}))
		_, err := maps.Create(t.Context(), &core.ConfigMap{
			ObjectMeta: meta.ObjectMeta{Name: right.Name, Labels: right.Labels, Annotations: right.Annotations},
			Data:       map[string]string{"genesis.json": text}, Immutable: right.Immutable,
		}, meta.CreateOptions{})
		require.NoError(t, err)
	}
	var file map[string]any
	require.NoError(t, json.Unmarshal([]byte(right.Data["genesis.json"]), &file))
	config, _ := file["config"].(map[string]any)
	config["chainId"] = 4242
	text, err := json.Marshal(file)
	require.NoError(t, err)

	replace(string(text))
	l.beginAnew(t, node)
	l.requireFinding(t, node+" has chain id 4242, and the values say 53771311147")
	replace(right.Data["genesis.json"])
	l.beginAnew(t, node)
	require.Eventually(t, func() bool {
		pod, err := l.api.CoreV1().Pods(l.namespace).Get(t.Context(), node, meta.GetOptions{})
		return err == nil && isReady(*pod)
	}, patience, lookEvery)
	requireAllIsWell(t, l)
}

// beginAnew takes a node's volume claim and pod away.
func (w *world) beginAnew(t *testing.T, pod string) {
	t.Helper()
	old, err := w.api.CoreV1().Pods(w.namespace).Get(t.Context(), pod, meta.GetOptions{})
	require.NoError(t, err)
	require.NoError(t, w.api.CoreV1().PersistentVolumeClaims(w.namespace).Delete(t.Context(), "data-"+pod, meta.DeleteOptions{}))
	require.NoError(t, w.api.CoreV1().Pods(w.namespace).Delete(t.Context(), pod, meta.DeleteOptions{}))
	require.Eventually(t, func() bool {
		now, err := w.api.CoreV1().Pods(w.namespace).Get(t.Context(), pod, meta.GetOptions{})
		return apierrors.IsNotFound(err) || err == nil && now.UID != old.UID
	}, patience, lookEvery)
}

// doctorNamesALostQuorum takes two of four validators. The chain stands, and goes on
// by itself with the first that comes back.
func doctorNamesALostQuorum(t *testing.T, l *load) {
	t.Helper()
	l.scale(t, "besu-node-validator-2", 0)
	l.scale(t, "besu-node-validator-3", 0)
	l.requireFinding(t, "quorum is lost: 2 of 4 validators work, and 3 must agree")
	stands := l.height(t)
	l.scale(t, "besu-node-validator-2", 1)
	require.Eventually(t, func() bool { return l.height(t) > stands+1 }, patience, lookEvery)
	require.Contains(t, l.fail(t, "doctor"), "3 of 4 validators work; the chain stops below 3")
	l.scale(t, "besu-node-validator-3", 1)
}
