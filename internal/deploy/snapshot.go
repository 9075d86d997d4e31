package deploy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	apischema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
)

// SnapshotRequest says of what snapshots are made.
type SnapshotRequest struct {
	Release string
	// Class is a VolumeSnapshotClass; empty takes the default one of the driver.
	Class string
	// Keep is how many of each volume are kept, at least 1.
	Keep int
}

// SnapshotReport is what was made and taken away.
type SnapshotReport struct {
	Made    []string `json:"made"`
	Deleted []string `json:"deleted,omitempty"`
}

// ErrNoVolumes says that the release has no volumes of nodes.
var ErrNoVolumes = errors.New("there are no volumes of nodes")

// snapshotOf is the label with the claim of which a snapshot is.
const snapshotOf = "slipway.io/snapshot-of"

// snapshotTime is how the end of a snapshot's name tells when it was made, in UTC.
const snapshotTime = "20060102-150405"

func snapshotResource() apischema.GroupVersionResource {
	return apischema.GroupVersionResource{Group: "snapshot.storage.k8s.io", Version: "v1", Resource: "volumesnapshots"}
}

// Snapshot makes a snapshot of each volume of the nodes of a release, and then
// takes away the ones that are too many. Making is asked for and not waited for:
// what is not usable yet counts as none of those that are kept.
func (c *Cluster) Snapshot(ctx context.Context, r SnapshotRequest) (SnapshotReport, error) {
	client, err := dynamic.NewForConfig(c.rest)
	if err != nil {
		return SnapshotReport{}, fmt.Errorf("configure the connection to the cluster: %w", err)
	}
	s := snapshots{api: c.api, objects: client.Resource(snapshotResource()).Namespace(c.namespace), namespace: c.namespace, now: time.Now}
	report, err := s.run(ctx, r)
	if apierrors.IsNotFound(err) {
		return report, fmt.Errorf("%w: the cluster has no snapshot controller: install the CRDs and the controller of kubernetes-csi/external-snapshotter", err)
	}
	return report, c.explain("make snapshots", err)
}

// snapshots makes them.
type snapshots struct {
	api       kubernetes.Interface
	objects   dynamic.ResourceInterface
	namespace string
	now       func() time.Time
}

func (s snapshots) run(ctx context.Context, r SnapshotRequest) (SnapshotReport, error) {
	var report SnapshotReport
	claims, err := s.api.CoreV1().PersistentVolumeClaims(s.namespace).List(ctx, meta.ListOptions{
		LabelSelector: fmt.Sprintf("app.kubernetes.io/instance=%s,app.kubernetes.io/name in (%s,%s)", r.Release, validatorName, rpcName),
	})
	if err != nil {
		return report, fmt.Errorf("list the volume claims: %w", err)
	}
	if len(claims.Items) == 0 {
		return report, fmt.Errorf("%w in release %s of namespace %s", ErrNoVolumes, r.Release, s.namespace)
	}
	for _, claim := range claims.Items {
		wanted := snapshotObject(claim.Name, r, s.now())
		if _, err := s.objects.Create(ctx, wanted, meta.CreateOptions{FieldManager: fieldManager}); err != nil {
			return report, fmt.Errorf("make VolumeSnapshot %s: %w", wanted.GetName(), err)
		}
		report.Made = append(report.Made, wanted.GetName())
	}
	there, err := s.objects.List(ctx, meta.ListOptions{LabelSelector: snapshotOf + ",app.kubernetes.io/instance=" + r.Release})
	if err != nil {
		return report, fmt.Errorf("list the snapshots: %w", err)
	}
	for _, name := range tooMany(there.Items, r.Keep) {
		if err := s.objects.Delete(ctx, name, meta.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return report, fmt.Errorf("delete VolumeSnapshot %s: %w", name, err)
		}
		report.Deleted = append(report.Deleted, name)
	}
	return report, nil
}

func snapshotObject(claim string, r SnapshotRequest, at time.Time) *unstructured.Unstructured {
	spec := map[string]any{"source": map[string]any{"persistentVolumeClaimName": claim}}
	if r.Class != "" {
		spec["volumeSnapshotClassName"] = r.Class
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshot",
		"metadata": map[string]any{
			"name": claim + "-" + at.UTC().Format(snapshotTime),
			"labels": map[string]any{
				snapshotOf: claim, "app.kubernetes.io/instance": r.Release, "app.kubernetes.io/part-of": "slipway", "app.kubernetes.io/managed-by": "slipway",
			},
		},
		"spec": spec,
	}}
}

// tooMany names the snapshots that are older than the newest usable ones of
// their volume that are kept. One that is not usable is only taken away when
// it is older than all of those.
func tooMany(all []unstructured.Unstructured, keep int) []string {
	newestFirst := slices.SortedFunc(slices.Values(all), func(a, b unstructured.Unstructured) int { return cmp.Compare(b.GetName(), a.GetName()) })
	usable := make(map[string]int) // of each claim, so far
	var out []string
	for _, one := range newestFirst {
		claim := one.GetLabels()[snapshotOf]
		if usable[claim] >= keep {
			out = append(out, one.GetName())
			continue
		}
		if ready, _, _ := unstructured.NestedBool(one.Object, "status", "readyToUse"); ready {
			usable[claim]++
		}
	}
	slices.Sort(out)
	return out
}
