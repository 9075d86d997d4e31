package deploy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/release"
)

// Request is what an operation on a release needs to know.
type Request struct {
	Release string
	Values  Values
	// Timeout of the operation; putting back what was has as much time again.
	Timeout time.Duration
	// Atomic puts back what was before if the operation fails.
	Atomic bool
	// Recover writes down that a revision which is stuck has failed.
	Recover bool
	// Allow names refusals of preflight that do not count.
	Allow []string
	// Tell hears of progress; nil is nobody.
	Tell Tell
}

// Result is what an operation did.
type Result struct {
	Release   string `json:"release"`
	Namespace string `json:"namespace"`
	Revision  int    `json:"revision"`
	// Changed says whether there was anything to do.
	Changed bool     `json:"changed"`
	Notes   []string `json:"notes,omitempty"`
}

// maxHistory is how many revisions are kept.
const maxHistory = 10

// operation is one run of a verb on a release.
type operation struct {
	*Cluster
	Request
	helm    *action.Configuration
	history history
	result  Result
	// needsNamespace says that preflight found no namespace, in which the API
	// server could have judged the objects.
	needsNamespace bool
}

// begin reads the release. Helm's own client is replaced by one whose waiting
// tells what it waits for, and which takes validators one by one.
func (c *Cluster) begin(ctx context.Context, r Request) (*operation, error) {
	if r.Tell == nil {
		r.Tell = func(Event) {}
	}
	c.warned.begin(r.Tell)
	helm, err := c.configure()
	if err != nil {
		return nil, err
	}
	o := &operation{Cluster: c, Request: r, helm: helm, result: Result{Release: r.Release, Namespace: c.namespace}}
	if err := o.read(); err != nil {
		return nil, err
	}
	return o, ctx.Err()
}

func (o *operation) read() error {
	h, err := historyOf(o.helm.Releases.History(o.Release))
	if err != nil {
		return o.explain("read the revisions of "+o.Release, err)
	}
	o.history = h
	return nil
}

// unstick deals with a revision that did not end: it is an error, or with
// Recover it is written down as failed.
func (o *operation) unstick() error {
	if o.history.state() != Stuck {
		return nil
	}
	if !o.Recover {
		return o.history.stuckError(time.Now())
	}
	last := o.history.last()
	last.SetStatus(release.StatusFailed, fmt.Sprintf("Did not end (was %s); written down as failed by slipway --recover", last.Info.Status))
	if err := o.helm.Releases.Update(last); err != nil {
		return o.explain("write down that the revision failed", err)
	}
	o.Tell(Event{"recover", o.Release, fmt.Sprintf("revision %d did not end and now counts as failed", last.Version)})
	return o.read()
}

// objectsOf are the objects of a stored revision.
func objectsOf(r *release.Release) ([]Object, error) {
	if r == nil {
		return nil, nil
	}
	var out []Object
	for _, hook := range r.Hooks {
		object, err := parseObject(hook.Path, hook.Manifest)
		if err != nil {
			return nil, err
		}
		object.Hook = true
		out = append(out, object)
	}
	for _, manifest := range manifests(r.Manifest) {
		object, err := parseObject("", manifest)
		if err != nil {
			return nil, err
		}
		out = append(out, object)
	}
	return out, nil
}

// prepared is what an operation knows before it changes anything.
type prepared struct {
	umbrella *chart.Chart
	wanted   []Object
}

// prepare renders the next revision and lets preflight judge it.
func (o *operation) prepare(ctx context.Context) (prepared, error) {
	umbrella, err := o.chart()
	if err != nil {
		return prepared{}, err
	}
	wanted, err := o.wanted(ctx, umbrella)
	if errors.Is(err, ErrForbidden) {
		return prepared{}, o.allForbidden(ctx, err)
	}
	if err != nil {
		return prepared{}, err
	}
	return prepared{umbrella, wanted}, o.preflight(ctx, wanted)
}

// allForbidden names all that is not allowed, where Helm stopped at the first.
func (o *operation) allForbidden(ctx context.Context, first error) error {
	objects, err := Render(ctx, Target{Release: o.Release, Namespace: o.namespace}, o.Values)
	if err != nil {
		return first
	}
	served, err := o.kinds(ctx)
	if err != nil {
		return first
	}
	return cmp.Or(o.checkPermissions(ctx, objects, served), first)
}

// preflight refuses what would break the chain or fail halfway.
func (o *operation) preflight(ctx context.Context, wanted []Object) error {
	o.Tell(Event{"preflight", "", "looking at the cluster and the chain"})
	installed, err := objectsOf(o.history.running())
	if err != nil {
		return err
	}
	served, err := o.kinds(ctx)
	if err != nil {
		return err
	}
	if err := o.checkPermissions(ctx, wanted, served); err != nil {
		return err
	}
	s, err := o.situation(ctx, o.Release, wanted, installed)
	if err != nil {
		return err
	}
	s.refused, err = o.checkObjects(ctx, wanted, installed, served)
	if o.needsNamespace = errors.Is(err, errNoNamespace); err != nil && !o.needsNamespace {
		return err
	}
	for _, note := range []string{s.zoneNote(), s.votesNote(o.Release, o.namespace)} {
		if note != "" {
			o.note(note)
		}
	}
	callers, err := callerNotes(wanted)
	if err != nil {
		return err
	}
	for _, note := range callers {
		o.note(note)
	}
	if refused := s.judge(o.Allow); len(refused) > 0 {
		return refused
	}
	return nil
}

func (o *operation) note(text string) {
	o.result.Notes = append(o.result.Notes, text)
	o.Tell(Event{"note", "", text})
}

// cause gives the words of a failure, with what to do where the API server
// refused.
func (o *operation) cause(doing string, err error) error {
	for _, known := range []error{ErrNotReady, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			return fmt.Errorf("%s: %w", doing, err)
		}
	}
	return o.explain(doing, err)
}
