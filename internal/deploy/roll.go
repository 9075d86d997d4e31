package deploy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipwayhq/slipway/internal/network/validators"
)

// validator is one as the roll sees it.
type validator struct {
	name, pod string
	// current says that its pod is of the newest template.
	current bool
	// ready is the pod's own word: Besu answers it only with enough peers and
	// not too many blocks behind.
	ready bool
	why   string // it is not ready
	// downFor is how long it has not been ready.
	downFor time.Duration
	// asked says that the node itself answered with height and peers.
	asked  bool
	height uint64
	peers  int
	set    int // how many validators the chain has, by this node; 0 is not known
}

// step is what the roll does next.
type step struct {
	delete string // the pod to delete
	wait   string // why nothing is done yet
}

// brokenAfter is how long a validator is not ready before that counts as more
// than a restart or a lost peer.
const brokenAfter = 30 * time.Second

// nextStep decides which validator is taken next. One that works is taken only
// while all others work. One that does not work is taken first, since it has
// nothing to lose; but while one that was taken is still on its way, only if the
// chain stands still anyway and waiting has not helped. highest is how high the
// chain was when the last one was deleted.
func nextStep(all []validator, highest uint64) step {
	var healthy, broken []validator // of those that are not taken yet
	var away []string
	underway, working := false, 0
	for _, v := range all {
		why := v.away(len(all), highest)
		if why == "" {
			working++
		} else {
			away = append(away, v.name+" "+why)
			underway = underway || v.current
		}
		switch {
		case v.current:
		case v.ready:
			healthy = append(healthy, v)
		default:
			broken = append(broken, v)
		}
	}
	stands := working < validators.Quorum(len(all))
	for _, v := range broken {
		if !underway || (stands && v.downFor >= brokenAfter) {
			return step{delete: v.pod}
		}
	}
	switch {
	case len(away) > 0:
		return step{wait: strings.Join(away, "; ")}
	case len(healthy) > 0:
		return step{delete: healthy[0].pod}
	}
	return step{}
}

// away says why a validator does not count as working.
func (v validator) away(of int, highest uint64) string {
	switch {
	case !v.ready:
		return v.why
	case v.asked && of > 1 && v.peers == 0:
		return "has no peer"
	case v.asked && v.height < highest:
		return fmt.Sprintf("is at block %d and must reach %d", v.height, highest)
	}
	return ""
}

// Roll takes one validator after the other to the template that it has by now, as
// an upgrade does. It is for releases that another tool than this one has changed:
// it looks at StatefulSets and pods alone.
func (c *Cluster) Roll(ctx context.Context, release string, timeout time.Duration, tell Tell) error {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("waited %s", timeout))
	defer cancel()
	all, err := c.validators(ctx, release)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return fmt.Errorf("release %s in namespace %s has no validators: name another with --release and --namespace", release, c.namespace)
	}
	return c.roll(ctx, release, tell)
}

// roll takes the validators to their newest template, one after the other. A
// look that fails is repeated: the API server may be changing hands.
func (c *Cluster) roll(ctx context.Context, release string, tell Tell) error {
	var highest uint64
	told := ""
	for {
		all, err := c.validators(ctx, release)
		next := step{}
		switch {
		case errors.Is(err, ErrForbidden):
			return err
		case err != nil:
			next.wait = err.Error()
		default:
			next = nextStep(all, highest)
		}
		switch {
		case next.delete != "":
			of := len(all)
			for _, v := range all {
				if v.height >= highest && v.set > 0 {
					of = v.set // those that are new to the release are none yet
				}
				highest = max(highest, v.height)
			}
			if err := c.take(ctx, next.delete, of, tell); err != nil {
				return err
			}
		case next.wait == "":
			return nil
		case next.wait != told:
			told = next.wait
			tell(Event{"roll", "", next.wait})
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: validators: %s (%w); those that were not taken yet still run as before", ErrNotReady, next.wait, context.Cause(ctx))
		case <-time.After(c.poll):
		}
	}
}

// take deletes a validator's pod, so that it is made anew.
func (c *Cluster) take(ctx context.Context, pod string, of int, tell Tell) error {
	text := "deleted, to be made anew"
	if validators.Tolerated(of) == 0 {
		text += fmt.Sprintf("; the chain pauses until it is back, since none of its validators (%d) can be spared", of)
	}
	err := c.api.CoreV1().Pods(c.namespace).Delete(ctx, pod, meta.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return c.explain("delete pod "+pod, err)
	}
	tell(Event{"roll", pod, text})
	return nil
}

// validators reads how the validators are.
func (c *Cluster) validators(ctx context.Context, release string) ([]validator, error) {
	of := meta.ListOptions{LabelSelector: "app.kubernetes.io/instance=" + release}
	sets, err := c.api.AppsV1().StatefulSets(c.namespace).List(ctx, of)
	if err != nil {
		return nil, c.explain("list the StatefulSets", err)
	}
	pods, err := c.pods(ctx, release)
	if err != nil {
		return nil, err
	}
	var out []validator
	for _, set := range sets.Items {
		if !isValidator(set.Name) {
			continue
		}
		v := validatorOf(set, pods, time.Now())
		if v.ready {
			if state, err := c.nodes.ask(ctx, v.pod); err == nil {
				v.asked, v.height, v.peers, v.set = true, state.Height, state.Peers, len(state.Validators)
			}
		}
		out = append(out, v)
	}
	return out, nil
}

func validatorOf(set apps.StatefulSet, pods []core.Pod, now time.Time) validator {
	v := validator{name: set.Name, pod: set.Name + "-0", why: "has no pod yet", current: true} // what is not there will be of the newest template
	if set.Status.ObservedGeneration < set.Generation {
		v.why = "has a change that is not seen yet"
		return v
	}
	for _, pod := range pods {
		if pod.Name == v.pod {
			v.current = pod.Labels[apps.ControllerRevisionHashLabelKey] == set.Status.UpdateRevision || pod.DeletionTimestamp != nil
			v.why = podReason(pod)
			v.ready = v.why == ""
			v.downFor = downFor(pod, now)
		}
	}
	return v
}

func downFor(pod core.Pod, now time.Time) time.Duration {
	since := pod.CreationTimestamp.Time
	for _, condition := range pod.Status.Conditions {
		if condition.Type == core.PodReady {
			if condition.Status == core.ConditionTrue {
				return 0
			}
			since = condition.LastTransitionTime.Time
		}
	}
	return now.Sub(since)
}
