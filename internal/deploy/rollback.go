package deploy

import (
	"context"
	"fmt"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/release"
)

// Rollback goes back to an earlier revision, 0 meaning the one before, and
// waits until it works. Preflight holds as for every other change: what would
// break the chain breaks it backwards too.
func (c *Cluster) Rollback(ctx context.Context, r Request, revision int) (Result, error) {
	o, err := c.begin(ctx, r)
	if err != nil {
		return Result{}, err
	}
	if err := o.unstick(); err != nil {
		return o.result, err
	}
	if o.history.state() == Absent {
		return o.result, fmt.Errorf("%w as %s in namespace %s", ErrNotInstalled, o.Release, o.namespace)
	}
	to := o.history.previous()
	if revision != 0 {
		to = o.history.revision(revision)
	}
	if to == nil {
		return o.result, fmt.Errorf("%w to go back to: `slipway status` lists them", ErrNoRevision)
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	wanted, err := objectsOf(to)
	if err != nil {
		return o.result, err
	}
	if err := o.preflight(ctx, wanted); err != nil {
		return o.result, err
	}
	if err := o.rollBackTo(ctx, to); err != nil {
		return o.result, fmt.Errorf("%w; the release is left between the revisions: mend the cause and run the same command again", err)
	}
	if err := o.read(); err != nil {
		return o.result, err
	}
	o.result.Revision, o.result.Changed = o.history.last().Version, true
	return o.result, nil
}

func (o *operation) rollBackTo(ctx context.Context, to *release.Release) error {
	wanted, err := objectsOf(to)
	if err != nil {
		return err
	}
	o.waitFor(ctx, wanted)
	rollback := action.NewRollback(o.helm)
	rollback.Version, rollback.MaxHistory, rollback.Timeout = to.Version, maxHistory, remaining(ctx, o.Timeout)
	rollback.Wait, rollback.WaitForJobs = true, true
	o.Tell(Event{"apply", o.Release, fmt.Sprintf("as it was in revision %d", to.Version)})
	if err := rollback.Run(o.Release); err != nil {
		return o.cause("roll back", err)
	}
	return nil
}

func remaining(ctx context.Context, otherwise time.Duration) time.Duration {
	if deadline, has := ctx.Deadline(); has {
		return time.Until(deadline)
	}
	return otherwise
}
