package deploy

import (
	"context"
	"fmt"
	"time"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Install makes a release and waits until it works. Run again it goes on where
// an earlier run failed, and does nothing where nothing is to do; it never
// changes a release that works, which is what Upgrade is for.
func (c *Cluster) Install(ctx context.Context, r Request) (Result, error) {
	o, err := c.begin(ctx, r)
	if err != nil {
		return Result{}, err
	}
	if err := o.unstick(); err != nil {
		return o.result, err
	}
	switch o.history.state() {
	case Deployed:
		return o.installedAlready(ctx)
	case Failed:
		return o.upgrade(ctx)
	default:
		return o.install(ctx)
	}
}

func (o *operation) install(ctx context.Context) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	wanted, err := o.wanted(ctx)
	if err != nil {
		return o.result, err
	}
	if err := o.preflight(ctx, wanted); err != nil {
		return o.result, err
	}
	if err := o.ensureNamespace(ctx); err != nil {
		return o.result, err
	}
	umbrella, err := o.chart()
	if err != nil {
		return o.result, err
	}
	o.waitFor(ctx, wanted)
	o.Tell(Event{"apply", o.Release, fmt.Sprintf("%d objects", len(wanted))})
	made, err := o.installAction().RunWithContext(context.WithoutCancel(ctx), umbrella, o.Values)
	if err != nil {
		return o.result, o.undoInstall(ctx, o.cause("install", err))
	}
	o.result.Revision, o.result.Changed = made.Version, true
	return o.result, nil
}

// undoInstall takes away what a failed installation made, or says what is left.
func (o *operation) undoInstall(ctx context.Context, failure error) error {
	if err := o.read(); err != nil {
		return fmt.Errorf("%w; what is left could not be found out: %w", failure, err)
	}
	if o.history.state() == Absent {
		return fmt.Errorf("%w; nothing was changed", failure)
	}
	if !o.Atomic {
		return fmt.Errorf("%w; revision %d is left as failed with its objects: mend the cause and run the same command again, which goes on, or take it away with `slipway uninstall`", failure, o.history.last().Version)
	}
	o.Tell(Event{"restore", o.Release, "taking away what was made"})
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), max(o.Timeout, leastRestore))
	defer cancel()
	left, err := o.uninstall(ctx)
	if err != nil {
		return fmt.Errorf("%w; taking it away failed too: %w: run `slipway uninstall`", failure, err)
	}
	return fmt.Errorf("%w; everything was taken away again, but: %s", failure, left)
}

// installedAlready is for a release that is there: with the same values there
// is nothing to do but to look whether it works.
func (o *operation) installedAlready(ctx context.Context) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	wanted, err := o.wanted(ctx)
	if err != nil {
		return o.result, err
	}
	installed, err := objectsOf(o.history.last())
	if err != nil {
		return o.result, err
	}
	changes, err := changesBetween(installed, wanted)
	if err != nil {
		return o.result, err
	}
	if len(changes) > 0 {
		return o.result, fmt.Errorf("%w, and %d objects would change: see them with `slipway plan`, and make them with `slipway upgrade`", ErrAlreadyInstalled, len(changes))
	}
	o.result.Revision = o.history.last().Version
	o.note("the release is installed with these values already")
	return o.result, o.wait(ctx, o.Release, installed, o.Tell)
}

// ensureNamespace makes the namespace, with the strictest Pod Security: every
// pod of the chart conforms to it. One that is there is left as it is.
func (o *operation) ensureNamespace(ctx context.Context) error {
	_, err := o.api.CoreV1().Namespaces().Create(ctx, &core.Namespace{ObjectMeta: meta.ObjectMeta{
		Name: o.namespace,
		Labels: map[string]string{
			"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted",
			"app.kubernetes.io/managed-by": fieldManager,
		},
	}}, meta.CreateOptions{FieldManager: fieldManager})
	switch {
	case err == nil:
		o.Tell(Event{"apply", "Namespace " + o.namespace, "made, for pods of the restricted Pod Security Standard"})
		return nil
	case apierrors.IsAlreadyExists(err) || apierrors.IsForbidden(err):
		return nil // who may not make it may still use it; if it is missing, the next request says so
	default:
		return o.explain("make namespace "+o.namespace, err)
	}
}

// leastRestore is what putting back what was gets at least, however little time
// the operation had: pods must end first.
const leastRestore = 2 * time.Minute
