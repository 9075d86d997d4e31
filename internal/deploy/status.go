package deploy

import (
	"context"
	"fmt"
)

// Status is how a release is.
type Status struct {
	Release   string `json:"release"`
	Namespace string `json:"namespace"`
	State     State  `json:"state"`
	// Ready says that it is deployed and every workload works.
	Ready     bool       `json:"ready"`
	Waiting   []Waiting  `json:"waiting"`
	Revisions []Revision `json:"revisions"`
	// Next is what to do where something is wrong.
	Next string `json:"next,omitempty"`
}

// Status reads how a release is.
func (c *Cluster) Status(ctx context.Context, release string) (Status, error) {
	o, err := c.begin(ctx, Request{Release: release})
	if err != nil {
		return Status{}, err
	}
	out := Status{Release: release, Namespace: c.namespace, State: o.history.state(), Revisions: o.history.revisions(), Waiting: []Waiting{}}
	if out.State == Absent {
		return out, fmt.Errorf("%w as %s in namespace %s: make it with `slipway install`, or name another with --release and --namespace", ErrNotInstalled, release, c.namespace)
	}
	objects, err := objectsOf(o.history.running())
	if err != nil {
		return out, err
	}
	seen, err := c.observe(ctx, release, objects)
	if err != nil {
		return out, err
	}
	out.Waiting = append(out.Waiting, seen.waiting()...)
	out.Ready = out.State == Deployed && len(out.Waiting) == 0
	out.Next = nextAfter(out)
	return out, nil
}

// nextAfter says what to do about a release that is not as it should be.
func nextAfter(s Status) string {
	switch {
	case s.State == Stuck:
		return "if nobody is at it, run the operation again with --recover"
	case s.State == Failed:
		return "mend the cause and run `slipway upgrade` again, or go back with `slipway rollback`"
	case len(s.Waiting) > 0:
		return "`slipway doctor` looks for the cause"
	}
	return ""
}
