package clustertest

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	corev1 "k8s.io/client-go/kubernetes/typed/core/v1"
)

// StuckAnnotation on a pod keeps it from ever becoming ready on StartMachines'
// machines; FailAnnotation lets the pod of a job end with exit code 1.
const (
	StuckAnnotation = "clustertest/stuck"
	FailAnnotation  = "clustertest/fail"
)

// component is the label by which pods are spread.
const component = "app.kubernetes.io/name"

// playEvery is the time between two looks at the pods.
const playEvery = 100 * time.Millisecond

// machineCount is how many machines a real API server has here. All tests share
// them, as all namespaces of a cluster do: each has a pod of every DaemonSet.
const machineCount = 4

// machines play kubelet and scheduler for the pods of one namespace: nothing
// runs, but pods get a machine and become ready, jobs end, and what is deleted
// goes.
type machines struct {
	api   corev1.CoreV1Interface
	names []string
}

// StartMachines lets the pods of the namespace become ready, as long as the test
// lasts, on four machines, of which each is a zone of its own.
func (a *API) StartMachines(t *testing.T) {
	t.Helper()
	require.True(t, a.IsReal(), "the imitation knows no pods")
	api, err := corev1.NewForConfig(a.Config)
	require.NoError(t, err)
	m := &machines{api: api}
	for i := range machineCount {
		name := fmt.Sprintf("machine-%d", i)
		m.names = append(m.names, name)
		_, err := api.Nodes().Create(t.Context(), &core.Node{ObjectMeta: meta.ObjectMeta{
			// The role is what the platforms' values look for.
			Name: name, Labels: map[string]string{core.LabelTopologyZone: fmt.Sprintf("zone-%d", i), core.LabelHostname: name, "atk-role": "stateful"},
		}}, meta.CreateOptions{})
		if !apierrors.IsAlreadyExists(err) {
			require.NoError(t, err)
		}
		// Every machine begins as one that is not ready.
		_, err = api.Nodes().Patch(t.Context(), name, types.MergePatchType, []byte(`{"spec":{"taints":null}}`), meta.PatchOptions{})
		require.NoError(t, err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var playing sync.WaitGroup
	playing.Go(func() { m.play(ctx, a.Namespace) })
	t.Cleanup(func() {
		stop()
		playing.Wait()
	})
}

func (m *machines) play(ctx context.Context, namespace string) {
	for {
		pods, err := m.api.Pods(namespace).List(ctx, meta.ListOptions{})
		if err == nil {
			for i := range pods.Items {
				m.step(ctx, &pods.Items[i], pods.Items) // what fails now is tried again
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(playEvery):
		}
	}
}

// step takes a pod one step on.
func (m *machines) step(ctx context.Context, pod *core.Pod, all []core.Pod) {
	pods := m.api.Pods(pod.Namespace)
	switch {
	case pod.DeletionTimestamp != nil:
		now := int64(0)
		_ = pods.Delete(ctx, pod.Name, meta.DeleteOptions{GracePeriodSeconds: &now})
	case pod.Spec.NodeName == "":
		to := core.ObjectReference{Kind: "Node", Name: cmp.Or(chosen(pod), m.emptiest(pod.Labels[component], all))}
		err := pods.Bind(ctx, &core.Binding{ObjectMeta: meta.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace}, Target: to}, meta.CreateOptions{})
		if err == nil {
			pod.Spec.NodeName = to.Name
		}
	case pod.Status.Phase == core.PodPending || pod.Status.Phase == "":
		if pod.Annotations[StuckAnnotation] == "" {
			pod.Status = started(*pod)
		} else if len(pod.Status.ContainerStatuses) == 0 {
			pod.Status.ContainerStatuses = []core.ContainerStatus{{
				Name: pod.Spec.Containers[0].Name, Image: pod.Spec.Containers[0].Image,
				State: core.ContainerState{Waiting: &core.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "not found"}},
			}}
		} else {
			return
		}
		_, _ = pods.UpdateStatus(ctx, pod, meta.UpdateOptions{})
	}
}

// chosen is the machine that a DaemonSet wants its pod on; empty is any.
func chosen(pod *core.Pod) string {
	if pod.Spec.Affinity == nil || pod.Spec.Affinity.NodeAffinity == nil || pod.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return ""
	}
	for _, term := range pod.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms {
		for _, field := range term.MatchFields {
			if field.Key == meta.ObjectNameField && len(field.Values) == 1 {
				return field.Values[0]
			}
		}
	}
	return ""
}

// emptiest is the machine with the fewest pods of the same component.
func (m *machines) emptiest(name string, all []core.Pod) string {
	on := make(map[string]int)
	for _, other := range all {
		if other.Labels[component] == name {
			on[other.Spec.NodeName]++
		}
	}
	best := m.names[0]
	for _, machine := range m.names {
		if on[machine] < on[best] {
			best = machine
		}
	}
	return best
}

// started is the status of a pod that runs, or of a job's that has ended.
func started(pod core.Pod) core.PodStatus {
	status, now := pod.Status, meta.Now()
	status.StartTime = &now
	state, ready := core.ContainerState{Running: &core.ContainerStateRunning{StartedAt: now}}, core.ConditionTrue
	status.Phase = core.PodRunning
	if pod.Spec.RestartPolicy != core.RestartPolicyAlways {
		ready, status.Phase = core.ConditionFalse, core.PodSucceeded
		ended := &core.ContainerStateTerminated{StartedAt: now, FinishedAt: now, Reason: "Completed"}
		if pod.Annotations[FailAnnotation] != "" {
			status.Phase, ended.ExitCode, ended.Reason = core.PodFailed, 1, "Error"
		}
		state = core.ContainerState{Terminated: ended}
	}
	status.Conditions = nil
	for _, kind := range []core.PodConditionType{core.PodScheduled, core.PodInitialized, core.ContainersReady, core.PodReady} {
		value := ready
		if kind == core.PodScheduled || kind == core.PodInitialized {
			value = core.ConditionTrue
		}
		status.Conditions = append(status.Conditions, core.PodCondition{Type: kind, Status: value, LastTransitionTime: now})
	}
	status.ContainerStatuses = nil
	for _, one := range pod.Spec.Containers {
		started := true
		status.ContainerStatuses = append(status.ContainerStatuses, core.ContainerStatus{
			Name: one.Name, Image: one.Image, Ready: ready == core.ConditionTrue, Started: &started, State: state,
		})
	}
	return status
}
