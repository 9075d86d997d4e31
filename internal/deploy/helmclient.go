package deploy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"helm.sh/helm/v3/pkg/kube"
	"helm.sh/helm/v3/pkg/release"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/resource"
)

// helmClient makes Helm wait in our way, and take away what revisions left that
// were not installed to their end. Helm itself takes a StatefulSet that is
// updated OnDelete for ready at once, says nothing while it waits, and compares
// with one revision only: what another one added would stay in the cluster for
// ever, a broken field of a Deployment as well as an object.
type helmClient struct {
	*kube.Client
	wait  func() error
	mixed []*release.Release
}

// Wait implements kube.Interface.
func (h helmClient) Wait(kube.ResourceList, time.Duration) error { return h.wait() }

// WaitWithJobs implements kube.Interface.
func (h helmClient) WaitWithJobs(kube.ResourceList, time.Duration) error { return h.wait() }

// Update implements kube.Interface.
func (h helmClient) Update(original, target kube.ResourceList, force bool) (*kube.Result, error) {
	for _, one := range h.mixed {
		tried, err := h.objects(one)
		if err != nil {
			return nil, err
		}
		if _, err := h.Client.Update(tried, copied(target.Intersect(tried)), force); err != nil {
			return nil, fmt.Errorf("take away what revision %d left: %w", one.Version, err)
		}
		original = append(original, tried.Difference(original)...)
	}
	return h.Client.Update(original, target, force)
}

// copied is for an update of its own: Helm writes into the list what the API
// server answers, and would ask with its resourceVersion for no other change
// in between.
func copied(list kube.ResourceList) kube.ResourceList {
	out := make(kube.ResourceList, 0, len(list))
	for _, one := range list {
		next := *one
		next.Object = one.Object.DeepCopyObject()
		out = append(out, &next)
	}
	return out
}

func (h helmClient) objects(of *release.Release) (kube.ResourceList, error) {
	list, err := h.Build(strings.NewReader(of.Manifest), false)
	if err != nil {
		return nil, fmt.Errorf("read the objects of revision %d: %w", of.Version, err)
	}
	return list, nil
}

// waitFor sets what Helm's next action waits for. Its own goroutines never see
// ctx: they write down how things ended, and must not be cut short there.
func (o *operation) waitFor(ctx context.Context, wanted []Object) {
	client := o.kubeClient()
	if client == nil {
		return // a test's own client
	}
	o.helm.KubeClient = helmClient{client, func() error {
		if err := o.roll(ctx, o.Release, o.Tell); err != nil {
			return err
		}
		return o.wait(ctx, o.Release, wanted, o.Tell)
	}, o.history.mixed()}
}

func (o *operation) kubeClient() *kube.Client {
	switch client := o.helm.KubeClient.(type) {
	case *kube.Client:
		return client
	case helmClient:
		return client.Client
	default:
		return nil
	}
}

// isTaken says whether an uninstall takes the object away.
func isTaken(one *resource.Info) bool {
	object, err := apimeta.Accessor(one.Object)
	return err == nil && object.GetAnnotations()[kube.ResourcePolicyAnno] != kube.KeepPolicy
}

// deleteMixed deletes what the newest revision does not name and the cluster
// may have all the same: Helm's uninstall knows the newest only.
func (o *operation) deleteMixed() error {
	client := o.kubeClient()
	mixed := o.history.mixed()
	if client == nil || len(mixed) == 0 {
		return nil
	}
	h := helmClient{Client: client}
	newest, err := h.objects(o.history.last())
	if err != nil {
		return err
	}
	for _, one := range mixed {
		tried, err := h.objects(one)
		if err != nil {
			return err
		}
		unnamed := tried.Difference(newest).Filter(isTaken)
		if len(unnamed) == 0 {
			continue // Helm takes an empty list for an error
		}
		if _, failed := client.DeleteWithPropagationPolicy(unnamed, meta.DeletePropagationForeground); len(failed) > 0 {
			return errors.Join(failed...)
		}
	}
	return nil
}
