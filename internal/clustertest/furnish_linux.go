package clustertest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	core "k8s.io/api/core/v1"
	storage "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	storagev1 "k8s.io/client-go/kubernetes/typed/storage/v1"
	"k8s.io/client-go/rest"
)

// volumeCount is how many claims the cluster can bind. Volumes are never used
// twice, so that a claim that stays keeps its data.
const volumeCount = 60

// furnish gives a cluster a default StorageClass with volumes, and waits until
// its machine is ready. The volumes are folders of the machine, of the kind
// "local": on these the kubelet sets the group of a pod, as on real disks.
func furnish(ctx context.Context, config *rest.Config, dir string) error {
	config.QPS = -1 // no limit of the client's own
	classes, err := storagev1.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("configure a client: %w", err)
	}
	api, err := corev1.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("configure a client: %w", err)
	}
	late := storage.VolumeBindingWaitForFirstConsumer
	if _, err := classes.StorageClasses().Create(ctx, &storage.StorageClass{
		ObjectMeta:  meta.ObjectMeta{Name: "local", Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": "true"}},
		Provisioner: "kubernetes.io/no-provisioner", VolumeBindingMode: &late,
	}, meta.CreateOptions{}); err != nil {
		return fmt.Errorf("make the StorageClass: %w", err)
	}
	for i := range volumeCount {
		volume := localVolume(filepath.Join(dir, strconv.Itoa(i)), i)
		if err := os.MkdirAll(volume.Spec.Local.Path, 0o750); err != nil {
			return fmt.Errorf("make a volume: %w", err)
		}
		if _, err := api.PersistentVolumes().Create(ctx, volume, meta.CreateOptions{}); err != nil {
			return fmt.Errorf("make a volume: %w", err)
		}
	}
	return waitForNode(ctx, api)
}

func localVolume(path string, number int) *core.PersistentVolume {
	return &core.PersistentVolume{
		ObjectMeta: meta.ObjectMeta{Name: fmt.Sprintf("volume-%d", number)},
		Spec: core.PersistentVolumeSpec{
			Capacity:                      core.ResourceList{core.ResourceStorage: resource.MustParse("1Ti")},
			AccessModes:                   []core.PersistentVolumeAccessMode{core.ReadWriteOnce},
			PersistentVolumeReclaimPolicy: core.PersistentVolumeReclaimRetain,
			StorageClassName:              "local",
			PersistentVolumeSource:        core.PersistentVolumeSource{Local: &core.LocalVolumeSource{Path: path}},
			NodeAffinity: &core.VolumeNodeAffinity{Required: &core.NodeSelector{NodeSelectorTerms: []core.NodeSelectorTerm{{
				MatchExpressions: []core.NodeSelectorRequirement{{Key: core.LabelHostname, Operator: core.NodeSelectorOpIn, Values: []string{nodeName}}},
			}}}},
		},
	}
}

func waitForNode(ctx context.Context, api corev1.CoreV1Interface) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for {
		machine, err := api.Nodes().Get(ctx, nodeName, meta.GetOptions{})
		if err == nil && isReady(machine) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the machine is not ready after %s; the log of the kubelet says why: %w", readyWithin, ctx.Err())
		case <-time.After(lookEvery):
		}
	}
}

func isReady(machine *core.Node) bool {
	for _, condition := range machine.Status.Conditions {
		if condition.Type == core.NodeReady {
			return condition.Status == core.ConditionTrue
		}
	}
	return false
}
