package deploy

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	apischema "k8s.io/apimachinery/pkg/runtime/schema"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
)

func TestTooMany(t *testing.T) {
	t.Parallel()
	snapshot := func(claim, day string, ready bool) unstructured.Unstructured {
		at, err := time.Parse("2006-01-02", "2026-01-"+day)
		require.NoError(t, err)
		one := snapshotObject(claim, SnapshotRequest{Release: "slipway"}, at)
		require.NoError(t, unstructured.SetNestedField(one.Object, ready, "status", "readyToUse"))
		return *one
	}
	for name, c := range map[string]struct {
		all  []unstructured.Unstructured
		want []string
	}{
		"none":               {nil, nil},
		"as many as kept":    {[]unstructured.Unstructured{snapshot("a", "01", true), snapshot("a", "02", true)}, nil},
		"one more":           {[]unstructured.Unstructured{snapshot("a", "01", true), snapshot("a", "03", true), snapshot("a", "02", true)}, []string{"a-20260101-000000"}},
		"of each volume":     {[]unstructured.Unstructured{snapshot("a", "01", true), snapshot("b", "02", true), snapshot("b", "03", true)}, nil},
		"unusable newer one": {[]unstructured.Unstructured{snapshot("a", "01", true), snapshot("a", "02", true), snapshot("a", "03", false)}, nil},
		"unusable old one":   {[]unstructured.Unstructured{snapshot("a", "01", false), snapshot("a", "02", true), snapshot("a", "03", true)}, []string{"a-20260101-000000"}},
		"never a usable one": {[]unstructured.Unstructured{snapshot("a", "01", false), snapshot("a", "02", false), snapshot("a", "03", false)}, nil},
	} {
		require.Equal(t, c.want, tooMany(c.all, 2), name)
	}
}

// TestSnapshot_OfEachVolumeOfTheNodes runs against client-go's imitation of the API.
func TestSnapshot_OfEachVolumeOfTheNodes(t *testing.T) {
	t.Parallel()
	claim := func(name, component, release string) runtime.Object {
		return &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "atk", Labels: map[string]string{"app.kubernetes.io/name": component, "app.kubernetes.io/instance": release}}}
	}
	kinds := map[apischema.GroupVersionResource]string{snapshotResource(): "VolumeSnapshotList"}
	client := dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), kinds)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := snapshots{
		api: fake.NewClientset(
			claim("data-besu-node-validator-0-0", "besu-node-validator", "slipway"), claim("data-besu-node-rpc-0", "besu-node-rpc", "slipway"),
			claim("data-postgresql-0", "postgresql", "slipway"), claim("data-besu-node-rpc-9", "besu-node-rpc", "other"),
		),
		objects: client.Resource(snapshotResource()).Namespace("atk"), namespace: "atk", now: func() time.Time { return now },
	}
	report, err := s.run(t.Context(), SnapshotRequest{Release: "slipway", Class: "fast", Keep: 1})
	require.NoError(t, err)
	require.Equal(t, []string{"data-besu-node-rpc-0-20260102-030405", "data-besu-node-validator-0-0-20260102-030405"}, report.Made)
	made, err := s.objects.Get(t.Context(), report.Made[0], metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, map[string]any{"volumeSnapshotClassName": "fast", "source": map[string]any{"persistentVolumeClaimName": "data-besu-node-rpc-0"}}, made.Object["spec"])

	require.NoError(t, unstructured.SetNestedField(made.Object, true, "status", "readyToUse"))
	_, err = s.objects.Update(t.Context(), made, metav1.UpdateOptions{})
	require.NoError(t, err)
	now = now.Add(24 * time.Hour)
	report, err = s.run(t.Context(), SnapshotRequest{Release: "slipway", Keep: 1})
	require.NoError(t, err)
	require.Empty(t, report.Deleted, "the new ones are not usable yet")

	_, err = s.run(t.Context(), SnapshotRequest{Release: "nobody", Keep: 1})
	require.ErrorIs(t, err, ErrNoVolumes)
}

func TestSnapshots_AreMadeWithTheLeastRights(t *testing.T) {
	t.Parallel()
	r := mustRender(t, "network: {snapshots: {enabled: true, keep: 3, className: fast}}")
	job := find[batchv1.CronJob](t, r, "CronJob", "snapshots").Spec.JobTemplate.Spec.Template.Spec
	require.Equal(t, []string{"snapshot", "--release=slipway", "--namespace=atk", "--keep=3", "--class=fast"}, job.Containers[0].Args)
	require.Equal(t, []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"persistentvolumeclaims"}, Verbs: []string{"list"}},
		{APIGroups: []string{"snapshot.storage.k8s.io"}, Resources: []string{"volumesnapshots"}, Verbs: []string{"list", "create", "delete"}},
	}, find[rbacv1.Role](t, r, "Role", "snapshots").Rules)
	require.False(t, mustRender(t, "").has("CronJob", "snapshots"))
}
