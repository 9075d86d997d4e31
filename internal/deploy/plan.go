package deploy

import (
	"context"
	"errors"
	"fmt"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/release"

	"github.com/slipwayhq/slipway/charts"
)

// Plan is what an installation or upgrade would do.
type Plan struct {
	Release   string   `json:"release"`
	Namespace string   `json:"namespace"`
	State     State    `json:"state"`
	Changes   []Change `json:"changes"`
	// Refusals are what preflight says against it.
	Refusals Refusals `json:"refusals"`
	Notes    []string `json:"notes,omitempty"`
}

// Plan renders the release as the cluster would get it, and compares it with
// what is installed. The API server checks every object; nothing is changed.
func (c *Cluster) Plan(ctx context.Context, r Request) (Plan, error) {
	o, err := c.begin(ctx, r)
	if err != nil {
		return Plan{}, err
	}
	out := Plan{Release: r.Release, Namespace: c.namespace, State: o.history.state()}
	umbrella, err := o.chart()
	if err != nil {
		return out, err
	}
	wanted, err := o.wanted(ctx, umbrella)
	if err != nil {
		return out, err
	}
	installed, err := objectsOf(o.history.running())
	if err != nil {
		return out, err
	}
	if out.Changes, err = o.changes(installed, wanted); err != nil {
		return out, err
	}
	s, err := o.situation(ctx, r.Release, wanted, installed)
	if err != nil {
		return out, err
	}
	served, err := o.kinds(ctx)
	if err != nil {
		return out, err
	}
	s.refused, err = o.checkObjects(ctx, wanted, installed, served)
	switch {
	case errors.Is(err, errNoNamespace):
		out.Notes = append(out.Notes, "there is no namespace "+c.namespace+" yet, so the API server has not judged the objects; `slipway install` makes it, and asks then")
	case err != nil:
		return out, err
	}
	out.Refusals = s.judge(r.Allow)
	for _, note := range []string{s.zoneNote(), s.votesNote(r.Release, c.namespace)} {
		if note != "" {
			out.Notes = append(out.Notes, note)
		}
	}
	callers, err := callerNotes(wanted)
	if err != nil {
		return out, err
	}
	out.Notes = append(out.Notes, callers...)
	if out.State == Stuck {
		out.Refusals = append(out.Refusals, Refusal{"stuck", fmt.Sprintf("revision %d did not end", o.history.last().Version), "run the operation with --recover"})
	}
	return out, nil
}

// changes compares what is wanted with what is installed; where revisions did
// not get to their end, with what any of them may have left.
func (o *operation) changes(installed, wanted []Object) ([]Change, error) {
	var tried [][]Object
	for _, one := range o.history.mixed() {
		objects, err := objectsOf(one)
		if err != nil {
			return nil, err
		}
		tried = append(tried, objects)
	}
	if len(tried) > 0 {
		var err error
		if installed, err = anyOf(tried, wanted); err != nil {
			return nil, err
		}
	}
	return changesBetween(installed, wanted)
}

// wanted are the objects as the next revision would have them.
func (o *operation) wanted(ctx context.Context, umbrella *chart.Chart) ([]Object, error) {
	var dry *release.Release
	var err error
	if o.history.state() == Absent {
		install := o.installAction()
		install.DryRun, install.DryRunOption = true, "server"
		dry, err = install.RunWithContext(ctx, umbrella, o.Values)
	} else {
		// Helm refuses to upgrade what is stuck, even as a trial.
		dry, err = o.renderNext(umbrella)
	}
	if err != nil {
		return nil, o.explainRender(err)
	}
	return objectsOf(dry)
}

// chart is the embedded one, with the values checked.
func (o *operation) chart() (*chart.Chart, error) {
	umbrella, err := load(charts.Files, chartFolder)
	if err != nil {
		return nil, err
	}
	return umbrella, check(umbrella, o.Values)
}

func (o *operation) installAction() *action.Install {
	install := action.NewInstall(o.helm)
	install.ReleaseName, install.Namespace = o.Release, o.namespace
	install.SkipSchemaValidation = true // check says it better
	install.Timeout = o.Timeout
	install.Wait, install.WaitForJobs = true, true
	return install
}

func (o *operation) upgradeAction() *action.Upgrade {
	upgrade := action.NewUpgrade(o.helm)
	upgrade.Namespace = o.namespace
	upgrade.SkipSchemaValidation = true
	upgrade.ResetValues = true // what is installed is what the values say, and no rest of earlier ones
	upgrade.MaxHistory = maxHistory
	upgrade.Timeout = o.Timeout
	upgrade.Wait, upgrade.WaitForJobs = true, true
	return upgrade
}

// renderNext renders an upgrade without asking Helm's storage.
func (o *operation) renderNext(umbrella *chart.Chart) (*release.Release, error) {
	install := o.installAction()
	install.DryRun, install.DryRunOption, install.IsUpgrade = true, "server", true
	install.ReleaseName = o.Release
	return install.Run(umbrella, o.Values)
}

// explainRender tells what a template said, or what the cluster did.
func (o *operation) explainRender(err error) error {
	said := explain(err)
	if _, isProblem := said.(Problems); isProblem { //nolint:errorlint // explain made it
		return said
	}
	return o.explain("check the objects", err)
}
