package deploy

import (
	"context"
	"slices"
	"time"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// eventsCountFor is how long an event says something about now. Controllers
// repeat what fails, less and less often.
const eventsCountFor = 5 * time.Minute

// refusedPods says of which workload, by kind and name, the API server takes no
// pod, and why: Pod Security or a quota. Such pods are nowhere to be seen. Who
// may not read events does without.
func (c *Cluster) refusedPods(ctx context.Context, deployments []apps.Deployment, now time.Time) map[string]string {
	out := make(map[string]string)
	for _, d := range deployments {
		for _, condition := range d.Status.Conditions {
			if condition.Type == apps.DeploymentReplicaFailure && condition.Status == core.ConditionTrue {
				out["Deployment "+d.Name] = condition.Message
			}
		}
	}
	for _, event := range c.recentEvents(ctx, "FailedCreate", now) {
		out[event.InvolvedObject.Kind+" "+event.InvolvedObject.Name] = event.Message
	}
	return out
}

// unmounted says of which pod a volume cannot be mounted, and why: a Secret that
// is missing, or a disk that another machine holds. The pod's own status only
// says that its containers are being made.
func (c *Cluster) unmounted(ctx context.Context, now time.Time) map[types.UID]string {
	out := make(map[types.UID]string)
	for _, reason := range []string{"FailedAttachVolume", "FailedMount"} {
		for _, event := range c.recentEvents(ctx, reason, now) {
			out[event.InvolvedObject.UID] = event.Message
		}
	}
	return out
}

// recentEvents are those of one reason, the newest last.
func (c *Cluster) recentEvents(ctx context.Context, reason string, now time.Time) []core.Event {
	events, err := c.api.CoreV1().Events(c.namespace).List(ctx, meta.ListOptions{FieldSelector: "reason=" + reason})
	if err != nil {
		return nil
	}
	out := slices.DeleteFunc(events.Items, func(event core.Event) bool { return now.Sub(lastSeen(event)) >= eventsCountFor })
	slices.SortFunc(out, func(a, b core.Event) int { return lastSeen(a).Compare(lastSeen(b)) })
	return out
}

func lastSeen(event core.Event) time.Time {
	switch {
	case event.Series != nil:
		return event.Series.LastObservedTime.Time
	case !event.LastTimestamp.IsZero():
		return event.LastTimestamp.Time
	}
	return event.EventTime.Time
}
