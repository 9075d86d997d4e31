package deploy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Event is a step of an operation, or what is waited for.
type Event struct {
	// Step is what is done: preflight, apply, wait, roll, restore, or that the API
	// server warns.
	Step string `json:"step"`
	// Object is what it is about; empty is the whole.
	Object string `json:"object,omitempty"`
	Text   string `json:"text"`
}

// Tell takes events as they happen. It must not block.
type Tell func(Event)

// Waiting is a workload that is not as it should be yet.
type Waiting struct {
	// Object is its kind and name.
	Object string `json:"object"`
	// Why says what is missing, and of a pod that is not ready the reason.
	Why string `json:"why"`
	// Final says that waiting longer cannot help.
	Final bool `json:"final,omitempty"`
}

// String is one line.
func (w Waiting) String() string { return w.Object + ": " + w.Why }

// workloads are those of a release, as they are in the cluster.
type workloads struct {
	deployments []apps.Deployment
	sets        []apps.StatefulSet
	daemons     []apps.DaemonSet
	jobs        []batch.Job
	pods        []core.Pod
	// refused says, by kind and name, why no pod can be made for a workload.
	refused map[string]string
	// unmounted says, by pod, why a volume cannot be mounted.
	unmounted map[types.UID]string
	// wanted are kind and name of what must be there.
	wanted []string
}

// waiting judges the workloads. What is on its way out does not count.
func (w workloads) waiting() []Waiting {
	found := make(map[string]bool)
	var out []Waiting
	note := func(object, why string, final bool) {
		found[object] = true
		if refused := w.refused[object]; why != "" && refused != "" {
			why += "; no pod can be made: " + refused
		}
		if why != "" && slices.Contains(w.wanted, object) {
			out = append(out, Waiting{object, why, final})
		}
	}
	for _, d := range w.deployments {
		note("Deployment "+d.Name, w.deployment(d), false)
	}
	for _, s := range w.sets {
		note("StatefulSet "+s.Name, w.set(s), false)
	}
	for _, d := range w.daemons {
		note("DaemonSet "+d.Name, w.daemon(d), false)
	}
	for _, j := range w.jobs {
		why, final := w.job(j)
		note("Job "+j.Name, why, final)
	}
	for _, object := range w.wanted {
		if !found[object] {
			out = append(out, Waiting{object, "is not there", false})
		}
	}
	slices.SortFunc(out, func(a, b Waiting) int { return strings.Compare(a.Object, b.Object) })
	return out
}

func (w workloads) deployment(d apps.Deployment) string {
	want := replicas(d.Spec.Replicas)
	switch {
	case d.Status.ObservedGeneration < d.Generation:
		return "the change is not seen yet"
	case d.Status.UpdatedReplicas < want:
		return w.count("updated", d.Status.UpdatedReplicas, want, d.Spec.Selector.MatchLabels)
	case d.Status.AvailableReplicas < want:
		return w.count("ready", d.Status.AvailableReplicas, want, d.Spec.Selector.MatchLabels)
	case d.Status.Replicas > d.Status.UpdatedReplicas:
		return fmt.Sprintf("%d old pods have not ended", d.Status.Replicas-d.Status.UpdatedReplicas) + w.reason(d.Spec.Selector.MatchLabels)
	}
	return ""
}

func (w workloads) set(s apps.StatefulSet) string {
	want := replicas(s.Spec.Replicas)
	rolls := s.Spec.UpdateStrategy.Type != apps.OnDeleteStatefulSetStrategyType
	switch {
	case s.Status.ObservedGeneration < s.Generation:
		return "the change is not seen yet"
	case s.Status.ReadyReplicas < want:
		return w.count("ready", s.Status.ReadyReplicas, want, s.Spec.Selector.MatchLabels)
	case rolls && s.Status.UpdateRevision != "" && s.Status.UpdateRevision != s.Status.CurrentRevision && s.Status.UpdatedReplicas < want:
		return w.count("updated", s.Status.UpdatedReplicas, want, s.Spec.Selector.MatchLabels)
	}
	return ""
}

func (w workloads) daemon(d apps.DaemonSet) string {
	switch want := d.Status.DesiredNumberScheduled; {
	case d.Status.ObservedGeneration < d.Generation:
		return "the change is not seen yet"
	case d.Status.UpdatedNumberScheduled < want:
		return w.count("updated", d.Status.UpdatedNumberScheduled, want, d.Spec.Selector.MatchLabels)
	case d.Status.NumberReady < want:
		return w.count("ready", d.Status.NumberReady, want, d.Spec.Selector.MatchLabels)
	}
	return ""
}

func (w workloads) job(j batch.Job) (why string, final bool) {
	for _, condition := range j.Status.Conditions {
		if condition.Status != core.ConditionTrue {
			continue
		}
		switch condition.Type { //nolint:exhaustive // the others are no end
		case batch.JobComplete:
			return "", false
		case batch.JobFailed:
			return "has failed: " + condition.Message + w.reason(map[string]string{"batch.kubernetes.io/job-name": j.Name}), true
		}
	}
	return "has not ended" + w.reason(map[string]string{"batch.kubernetes.io/job-name": j.Name}), false
}

func (w workloads) count(what string, is, want int32, selector map[string]string) string {
	return fmt.Sprintf("%d of %d pods are %s", is, want, what) + w.reason(selector)
}

// reason is that of the first pod which is not ready.
func (w workloads) reason(selector map[string]string) string {
	for _, pod := range w.pods {
		if !selects(selector, pod.Labels) || pod.Status.Phase == core.PodSucceeded {
			continue
		}
		why := podReason(pod)
		if message := w.unmounted[pod.UID]; why == beingMade && message != "" {
			why = "a volume cannot be mounted: " + message
		}
		if why != "" {
			return "; " + pod.Name + ": " + why
		}
	}
	return ""
}

func selects(selector, labels map[string]string) bool {
	for key, value := range selector {
		if labels[key] != value {
			return false
		}
	}
	return len(selector) > 0
}

func replicas(of *int32) int32 {
	if of == nil {
		return 1 // Kubernetes' own default
	}
	return *of
}

// beingMade is the reason of a pod of which nothing else is known.
const beingMade = "its containers are being made"

// podReason says why a pod is not ready; empty means that it is.
func podReason(pod core.Pod) string {
	switch {
	case pod.DeletionTimestamp != nil:
		return "is ending"
	case podReady(pod):
		return ""
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Type == core.PodScheduled && condition.Status == core.ConditionFalse {
			return "no machine takes it: " + condition.Message
		}
	}
	if pod.Status.Phase == core.PodPending && pod.Spec.NodeName == "" {
		return "no machine has been chosen yet"
	}
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if why := containerReason(status); why != "" {
			return why
		}
	}
	if pod.Status.Message != "" {
		return pod.Status.Message
	}
	if pod.Status.Phase == core.PodRunning {
		return "it runs and its readiness probe does not succeed yet"
	}
	return beingMade
}

func containerReason(status core.ContainerStatus) string {
	waiting, ended, last := status.State.Waiting, status.State.Terminated, status.LastTerminationState.Terminated
	switch {
	case waiting != nil && waiting.Reason == "CrashLoopBackOff" && last != nil:
		return fmt.Sprintf("%s ends again and again (exit code %d, %s): %s", status.Name, last.ExitCode, last.Reason,
			cmp.Or(lastWords(last.Message), "kubectl logs --previous shows why"))
	case waiting != nil && (waiting.Reason == "ImagePullBackOff" || waiting.Reason == "ErrImagePull"):
		return fmt.Sprintf("image %s cannot be pulled: %s", status.Image, waiting.Message)
	case waiting != nil && waiting.Reason != "" && waiting.Reason != "PodInitializing" && waiting.Reason != "ContainerCreating":
		return fmt.Sprintf("%s: %s %s", status.Name, waiting.Reason, waiting.Message)
	case ended != nil && ended.ExitCode != 0:
		return strings.TrimSuffix(fmt.Sprintf("%s ended with exit code %d (%s): %s", status.Name, ended.ExitCode, ended.Reason, lastWords(ended.Message)), ": ")
	case status.State.Running != nil && strings.HasPrefix(status.Name, "wait-"):
		return status.Name + " is waiting for what it is named after"
	}
	return ""
}

func podReady(pod core.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c core.PodCondition) bool {
		return c.Type == core.PodReady && c.Status == core.ConditionTrue
	})
}

// lastWords is the last line of what a container left, which the chart makes the
// end of its log.
func lastWords(message string) string {
	const most = 300 // bytes: it is part of a line
	lines := strings.Split(strings.TrimSpace(message), "\n")
	last := strings.TrimSpace(lines[len(lines)-1])
	return strings.ToValidUTF8(last[:min(len(last), most)], "")
}
