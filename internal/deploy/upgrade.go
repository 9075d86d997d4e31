package deploy

import (
	"context"
	"fmt"

	"helm.sh/helm/v3/pkg/release"
)

// Upgrade takes a release to other values or to this program's chart, and waits
// until it works. Validators are taken one after the other.
func (c *Cluster) Upgrade(ctx context.Context, r Request) (Result, error) {
	o, err := c.begin(ctx, r)
	if err != nil {
		return Result{}, err
	}
	if err := o.unstick(); err != nil {
		return o.result, err
	}
	if o.history.state() == Absent {
		return o.result, fmt.Errorf("%w as %s in namespace %s: make it with `slipway install`", ErrNotInstalled, o.Release, o.namespace)
	}
	return o.upgrade(ctx)
}

func (o *operation) upgrade(ctx context.Context) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	next, err := o.prepare(ctx)
	if err != nil {
		return o.result, err
	}
	before := o.history.deployed()
	if same, err := o.isSame(next.wanted); err != nil || same {
		o.result.Revision = o.history.last().Version
		if err != nil {
			return o.result, err
		}
		o.note("nothing changes")
		return o.result, o.settle(ctx)
	}
	revision := o.history.last().Version + 1
	o.waitFor(ctx, named(next.wanted, revision))
	o.Tell(Event{"apply", o.Release, fmt.Sprintf("revision %d, %d objects", revision, len(next.wanted))})
	made, err := o.upgradeAction().RunWithContext(context.WithoutCancel(ctx), o.Release, next.umbrella, o.Values)
	if err != nil {
		return o.result, o.undoUpgrade(ctx, before, o.cause("upgrade", err))
	}
	o.result.Revision, o.result.Changed = made.Version, true
	return o.result, nil
}

// isSame says whether what is deployed is what is wanted.
func (o *operation) isSame(wanted []Object) (bool, error) {
	if o.history.state() != Deployed {
		return false, nil
	}
	installed, err := objectsOf(o.history.last())
	if err != nil {
		return false, err
	}
	changes, err := changesBetween(installed, wanted)
	return len(changes) == 0, err
}

// settle waits for what is deployed, and takes validators that an earlier run
// did not get to.
func (o *operation) settle(ctx context.Context) error {
	installed, err := objectsOf(o.history.last())
	if err != nil {
		return err
	}
	if err := o.roll(ctx, o.Release, o.Tell); err != nil {
		return err
	}
	return o.wait(ctx, o.Release, installed, o.Tell)
}

// named gives the bootstrap job the name that it has in a revision.
func named(objects []Object, revision int) []Object {
	out := append([]Object(nil), objects...)
	for i := range out {
		if out[i].Kind == "Job" && out[i].Name == "bootstrap-1" {
			out[i].Name = fmt.Sprintf("bootstrap-%d", revision)
		}
	}
	return out
}

// undoUpgrade goes back to the revision before, or says what is left.
func (o *operation) undoUpgrade(ctx context.Context, before *release.Release, failure error) error {
	if err := o.read(); err != nil {
		return fmt.Errorf("%w; what is left could not be found out: %w", failure, err)
	}
	last := o.history.last()
	switch {
	case last == nil || last.Info.Status == release.StatusDeployed:
		return fmt.Errorf("%w; nothing was changed", failure)
	case !o.Atomic && before != nil:
		return fmt.Errorf("%w; revision %d is left as failed, with some objects of it and some of revision %d: mend the cause and run the same command again, or go back with `slipway rollback`", failure, last.Version, before.Version)
	case before == nil:
		return fmt.Errorf("%w; revision %d is left as failed, and there is no earlier one that worked: mend the cause and run the same command again, or take it away with `slipway uninstall`", failure, last.Version)
	}
	o.Tell(Event{"restore", o.Release, fmt.Sprintf("going back to revision %d", before.Version)})
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), max(o.Timeout, leastRestore))
	defer cancel()
	if err := o.rollBackTo(ctx, before); err != nil {
		return fmt.Errorf("%w; going back to revision %d failed too: %w: run `slipway rollback --to %d`", failure, before.Version, err, before.Version)
	}
	return fmt.Errorf("%w; revision %d was put back", failure, before.Version)
}
