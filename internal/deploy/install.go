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
	next, err := o.prepare(ctx)
	if err != nil {
		return o.result, err
	}
	if o.needsNamespace {
		if err := o.makeNamespace(ctx, next.wanted); err != nil {
			return o.result, err
		}
	}
	o.waitFor(ctx, next.wanted)
	o.Tell(Event{"apply", o.Release, fmt.Sprintf("%d objects", len(next.wanted))})
	made, err := o.installAction().RunWithContext(context.WithoutCancel(ctx), next.umbrella, o.Values)
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
	umbrella, err := o.chart()
	if err != nil {
		return o.result, err
	}
	wanted, err := o.wanted(ctx, umbrella)
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

// makeNamespace makes the namespace, with the strictest Pod Security: every pod
// of the chart conforms to it. Now the API server can judge the objects.
func (o *operation) makeNamespace(ctx context.Context, wanted []Object) error {
	_, err := o.api.CoreV1().Namespaces().Create(ctx, &core.Namespace{ObjectMeta: meta.ObjectMeta{
		Name: o.namespace,
		Labels: map[string]string{
			"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted",
			"app.kubernetes.io/managed-by": fieldManager,
		},
	}}, meta.CreateOptions{FieldManager: fieldManager})
	switch {
	case apierrors.IsForbidden(err):
		return fmt.Errorf("%w: there is no namespace %s, and these credentials may not make one: ask an administrator for it (kubectl create namespace %s); nothing was changed",
			ErrForbidden, o.namespace, o.namespace)
	case err != nil && !apierrors.IsAlreadyExists(err): // somebody else was faster
		return o.explain("make namespace "+o.namespace, err)
	}
	o.Tell(Event{"apply", "Namespace " + o.namespace, "made, for pods of the restricted Pod Security Standard"})
	served, err := o.kinds(ctx)
	if err != nil {
		return err
	}
	refused, err := o.checkObjects(ctx, wanted, nil, served)
	if err != nil {
		return fmt.Errorf("%w; of the installation only the empty namespace %s was made", err, o.namespace)
	}
	if refused = (situation{refused: refused}).judge(o.Allow); len(refused) > 0 {
		return fmt.Errorf("%w\nonly the empty namespace %s was made", refused, o.namespace)
	}
	return nil
}

// leastRestore is what putting back what was gets at least, however little time
// the operation had: pods must end first.
const leastRestore = 2 * time.Minute
