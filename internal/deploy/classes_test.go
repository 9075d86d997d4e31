package deploy

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
)

func TestClasses_AreMadeForTheNodesWhereAskedFor(t *testing.T) {
	t.Parallel()
	classOf := func(r rendered, name string) string {
		class := find[appsv1.StatefulSet](t, r, "StatefulSet", name).Spec.VolumeClaimTemplates[0].Spec.StorageClassName
		if class == nil {
			return ""
		}
		return *class
	}
	r := mustRenderValues(t, overlaid(t, classes, "network: {rpc: {persistence: {storageClass: theirs}}}"))
	made := find[storagev1.StorageClass](t, r, "StorageClass", "atk-slipway")
	require.Equal(t, "ebs.csi.aws.com", made.Provisioner)
	require.Equal(t, map[string]string{"type": "gp3", "encrypted": "true"}, made.Parameters)
	require.Equal(t, corev1.PersistentVolumeReclaimRetain, *made.ReclaimPolicy)
	require.Equal(t, storagev1.VolumeBindingWaitForFirstConsumer, *made.VolumeBindingMode)
	require.True(t, *made.AllowVolumeExpansion)
	require.Empty(t, made.Annotations, "it is nobody else's default")
	require.Equal(t, "atk-slipway", classOf(r, "besu-node-validator-0"))
	require.Equal(t, "theirs", classOf(r, "besu-node-rpc"), "what is named wins")
	require.Empty(t, classOf(r, "postgresql"), "nodes only")

	at := slices.IndexFunc(r.objects, func(o Object) bool { return o.Kind == "VolumeSnapshotClass" })
	require.GreaterOrEqual(t, at, 0)
	require.Equal(t, "atk-slipway", r.objects[at].Name)
	require.Equal(t, "ebs.csi.aws.com", r.parsed[at]["driver"])
	require.Equal(t, "Delete", r.parsed[at]["deletionPolicy"], "or old snapshots would never leave the storage")
	require.True(t, r.says("--class=atk-slipway"))

	plain := mustRender(t, "")
	require.False(t, plain.says("kind: StorageClass"))
	require.Empty(t, classOf(plain, "besu-node-validator-0"))
}

func TestClasses_AreRefusedWhereTheyCannotBe(t *testing.T) {
	t.Parallel()
	for text, key := range map[string]string{
		classes + "global: {tenant: {enabled: true}}":                                                  "network.storageClass.enabled",
		"network: {storageClass: {enabled: true}}":                                                     "network.storageClass.provisioner",
		"network: {snapshots: {class: {enabled: true}}}":                                               "network.snapshots.class.driver",
		"network: {snapshots: {class: {enabled: true, driver: a}}}\nglobal: {tenant: {enabled: true}}": "network.snapshots.class.enabled",
	} {
		_, err := Render(t.Context(), Target{Release: "slipway", Namespace: "atk"}, values(t, text))
		var problems Problems
		require.ErrorAs(t, err, &problems, text)
		require.Equal(t, key, problems[0].Key, text)
	}
}
