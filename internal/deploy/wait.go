package deploy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ErrNotReady says that a workload did not become ready.
var ErrNotReady = errors.New("not everything became ready")

// observe reads the workloads of a release.
func (c *Cluster) observe(ctx context.Context, release string, wanted []Object) (workloads, error) {
	var w workloads
	for _, o := range wanted {
		switch o.Kind {
		case "Deployment", "StatefulSet", "DaemonSet", "Job":
			if !o.Hook {
				w.wanted = append(w.wanted, o.Kind+" "+o.Name)
			}
		}
	}
	of := meta.ListOptions{LabelSelector: "app.kubernetes.io/instance=" + release}
	deployments, err := c.api.AppsV1().Deployments(c.namespace).List(ctx, of)
	if err != nil {
		return w, c.explain("list the Deployments", err)
	}
	sets, err := c.api.AppsV1().StatefulSets(c.namespace).List(ctx, of)
	if err != nil {
		return w, c.explain("list the StatefulSets", err)
	}
	daemons, err := c.api.AppsV1().DaemonSets(c.namespace).List(ctx, of)
	if err != nil {
		return w, c.explain("list the DaemonSets", err)
	}
	jobs, err := c.api.BatchV1().Jobs(c.namespace).List(ctx, of)
	if err != nil {
		return w, c.explain("list the Jobs", err)
	}
	w.deployments, w.sets, w.daemons, w.jobs = deployments.Items, sets.Items, daemons.Items, jobs.Items
	if w.pods, err = c.pods(ctx, release); err != nil {
		return w, err
	}
	if len(w.waiting()) > 0 {
		w.refused, w.unmounted = c.refusedPods(ctx, w.deployments, time.Now()), c.unmounted(ctx, time.Now())
	}
	return w, nil
}

// wait looks until nothing is waited for any more, and tells what changes. A
// look that fails is repeated: the API server may be changing hands.
func (c *Cluster) wait(ctx context.Context, release string, wanted []Object, tell Tell) error {
	told := make(map[string]string)
	var left []Waiting
	var blind error // why the first look has not succeeded yet
	for {
		seen, err := c.observe(ctx, release, wanted)
		switch {
		case err == nil:
			left, blind = seen.waiting(), nil
			tellChanges(tell, told, left)
			if len(left) == 0 {
				return nil
			}
			if final := finals(left); len(final) > 0 {
				return notReady(final)
			}
		case errors.Is(err, ErrForbidden):
			return err
		case len(left) == 0:
			blind = err
		}
		select {
		case <-ctx.Done():
			if blind != nil {
				return fmt.Errorf("%w: %w (%w)", ErrNotReady, blind, context.Cause(ctx))
			}
			return fmt.Errorf("%w (%w)", notReady(left), context.Cause(ctx))
		case <-time.After(c.poll):
		}
	}
}

func finals(list []Waiting) []Waiting {
	var out []Waiting
	for _, one := range list {
		if one.Final {
			out = append(out, one)
		}
	}
	return out
}

func notReady(left []Waiting) error {
	lines := make([]string, 0, len(left))
	for _, one := range left {
		lines = append(lines, one.String())
	}
	return fmt.Errorf("%w: %s", ErrNotReady, strings.Join(lines, "; "))
}

// tellChanges tells what is waited for where that is news, and what is ready.
func tellChanges(tell Tell, told map[string]string, left []Waiting) {
	now := make(map[string]bool)
	for _, one := range left {
		now[one.Object] = true
		if told[one.Object] != one.Why {
			told[one.Object] = one.Why
			tell(Event{"wait", one.Object, one.Why})
		}
	}
	for object := range told {
		if !now[object] {
			delete(told, object)
			tell(Event{"wait", object, "ready"})
		}
	}
}
