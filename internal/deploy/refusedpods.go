package deploy

import (
	"context"
	"time"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	events, err := c.api.CoreV1().Events(c.namespace).List(ctx, meta.ListOptions{FieldSelector: "reason=FailedCreate"})
	if err != nil {
		return out
	}
	for _, event := range events.Items {
		if now.Sub(lastSeen(event)) < eventsCountFor {
			out[event.InvolvedObject.Kind+" "+event.InvolvedObject.Name] = event.Message
		}
	}
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
