package deploy

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
)

// A pod that waits for a volume says so; what an event said of an earlier pod of
// the same name does not count.
func TestWaiting_TellsOfVolumesThatCannotBeMounted(t *testing.T) {
	t.Parallel()
	now := time.Now()
	event := func(name string, pod types.UID, message string, ago time.Duration) *core.Event {
		return &core.Event{
			ObjectMeta: meta.ObjectMeta{Namespace: "n", Name: name}, Reason: "FailedMount", Message: message,
			InvolvedObject: core.ObjectReference{Kind: "Pod", Name: "v-0", UID: pod}, LastTimestamp: meta.NewTime(now.Add(-ago)),
		}
	}
	c := &Cluster{namespace: "n", api: fake.NewClientset(
		event("a", "this", "something else", 2*time.Minute), event("b", "this", `secret "key" not found`, time.Minute), event("c", "before", "of the pod before", 0),
	)}
	labels := map[string]string{"app": "v"}
	w := workloads{
		wanted: []string{"StatefulSet v"}, unmounted: c.unmounted(t.Context(), now),
		sets: []apps.StatefulSet{{ObjectMeta: meta.ObjectMeta{Name: "v"}, Spec: apps.StatefulSetSpec{Selector: &meta.LabelSelector{MatchLabels: labels}}}},
		pods: []core.Pod{{ObjectMeta: meta.ObjectMeta{Name: "v-0", UID: "this", Labels: labels}, Spec: core.PodSpec{NodeName: "m"}, Status: core.PodStatus{Phase: core.PodPending}}},
	}
	require.Equal(t, []Waiting{{Object: "StatefulSet v", Why: `0 of 1 pods are ready; v-0: a volume cannot be mounted: secret "key" not found`}}, w.waiting())
	require.Equal(t, nextForMissing, nextForPod(w.waiting()[0].Why))
}

// Old pods stay as long as the new one is not ready: its reason is the one.
func TestWaiting_OldPodsStayForTheSakeOfANewOne(t *testing.T) {
	t.Parallel()
	labels := map[string]string{"app": "g"}
	pod := func(name string, ready core.ConditionStatus) core.Pod {
		return core.Pod{
			ObjectMeta: meta.ObjectMeta{Name: name, Labels: labels}, Spec: core.PodSpec{NodeName: "m"},
			Status: core.PodStatus{Phase: core.PodRunning, Conditions: []core.PodCondition{{Type: core.PodReady, Status: ready}}},
		}
	}
	w := workloads{
		wanted: []string{"Deployment g"}, pods: []core.Pod{pod("g-old", core.ConditionTrue), pod("g-new", core.ConditionFalse)},
		deployments: []apps.Deployment{{
			ObjectMeta: meta.ObjectMeta{Name: "g"}, Spec: apps.DeploymentSpec{Selector: &meta.LabelSelector{MatchLabels: labels}},
			Status: apps.DeploymentStatus{Replicas: 2, UpdatedReplicas: 1, AvailableReplicas: 1},
		}},
	}
	require.Equal(t, "1 old pods have not ended; g-new: it runs and its readiness probe does not succeed yet", w.waiting()[0].Why)
}
