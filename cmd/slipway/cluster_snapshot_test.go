//go:build cluster

package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

// TestCluster_SnapshotsAreMadeAndPruned runs what the CronJob's pod would, with its
// arguments and its rights, against the definitions of the snapshot controller.
// Nothing plays the controller but this test, which says what is usable.
func TestCluster_SnapshotsAreMadeAndPruned(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	succeed(t, p.with("install", "--profile", "preview", "--timeout", "3m", "--set", "network.snapshots.enabled=true",
		"--set", "network.snapshots.keep=1", "--set", "network.snapshots.className=fast")...)
	job, err := p.admin.BatchV1().CronJobs(p.Namespace).Get(t.Context(), "snapshots", meta.GetOptions{})
	require.NoError(t, err)
	pod := job.Spec.JobTemplate.Spec.Template.Spec
	args := append(pod.Containers[0].Args, "--kubeconfig", p.token(t, pod.ServiceAccountName), "--output", "json")
	type report struct{ Made, Deleted []string }
	snapshot := func() (out report) {
		require.Eventually(t, func() bool { // names have the second in them
			code, printed, failed := slipway(t, args...)
			require.True(t, code == 0 || strings.Contains(failed, "already exists"), failed)
			return code == 0 && json.Unmarshal([]byte(printed), &out) == nil
		}, time.Minute, 300*time.Millisecond)
		return out
	}

	first := snapshot()
	require.Len(t, first.Made, 2, "of the validator and the RPC node")
	all := p.snapshots(t)
	require.Len(t, all, 2)
	class, _, err := unstructured.NestedString(all[0].Object, "spec", "volumeSnapshotClassName")
	require.NoError(t, err)
	require.Equal(t, "fast", class)
	p.setUsable(t, first.Made)

	second := snapshot()
	require.Empty(t, second.Deleted, "the new ones are not usable yet")
	p.setUsable(t, second.Made)
	third := snapshot()
	require.Equal(t, first.Made, third.Deleted)
	require.Len(t, p.snapshots(t), 4)
}

func (p place) snapshotAPI(t *testing.T) dynamic.ResourceInterface {
	t.Helper()
	client, err := dynamic.NewForConfig(p.Config)
	require.NoError(t, err)
	return client.Resource(schema.GroupVersionResource{Group: "snapshot.storage.k8s.io", Version: "v1", Resource: "volumesnapshots"}).Namespace(p.Namespace)
}

func (p place) snapshots(t *testing.T) []unstructured.Unstructured {
	t.Helper()
	list, err := p.snapshotAPI(t).List(t.Context(), meta.ListOptions{})
	require.NoError(t, err)
	return list.Items
}

// setUsable says what the snapshot controller would say when the driver is done.
func (p place) setUsable(t *testing.T, names []string) {
	t.Helper()
	for _, name := range names {
		_, err := p.snapshotAPI(t).Patch(t.Context(), name, types.MergePatchType, []byte(`{"status":{"readyToUse":true}}`), meta.PatchOptions{}, "status")
		require.NoError(t, err)
	}
}
