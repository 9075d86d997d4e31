package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/slipwayhq/slipway/internal/deploy"
)

// targetFlags say which release in which cluster.
type targetFlags struct {
	Kubeconfig string `help:"Default: KUBECONFIG, ~/.kube/config, or a pod's service account." placeholder:"FILE"`
	Context    string `help:"Context of the kubeconfig." placeholder:"NAME"`
	Namespace  string `short:"n" default:"slipway" help:"Namespace."`
	Release    string `default:"slipway" help:"Name of the release."`
}

// releaseFlags say that, and how results are shown.
type releaseFlags struct {
	targetFlags

	Output string `short:"o" enum:"text,json" default:"text" help:"text, or json: the result on standard output, progress as lines of JSON on standard error."`
}

// changeFlags say how a release is changed.
type changeFlags struct {
	Timeout time.Duration `default:"15m" help:"How long to wait until everything is ready."`
	Recover bool          `help:"Take a revision that is stuck for failed. Only if nobody is at it any more."`
	Allow   []string      `help:"Refusal of preflight that does not count, such as placement. Repeatable." placeholder:"RULE"`
}

func (f targetFlags) connect(ctx context.Context) (*deploy.Cluster, error) {
	return deploy.Connect(ctx, deploy.Connection{Kubeconfig: f.Kubeconfig, Context: f.Context, Namespace: f.Namespace})
}

// show prints a result: as JSON, or by text.
func (f releaseFlags) show(stdout io.Writer, result any, text func(io.Writer)) error {
	if f.Output != "json" {
		text(stdout)
		return nil
	}
	encoder := json.NewEncoder(stdout)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(result); err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	return nil
}

// tell gives the printer of progress: lines, or on a terminal one line that
// changes for what is only waited for.
func (f releaseFlags) tell(stderr io.Writer) deploy.Tell {
	if f.Output == "json" {
		encoder := json.NewEncoder(stderr)
		return func(e deploy.Event) { _ = encoder.Encode(e) } // progress nobody can see stops nothing
	}
	live := isTerminal(stderr)
	return func(e deploy.Event) {
		line := strings.TrimSpace(e.Object + " " + e.Text)
		switch {
		case live && e.Step == "wait" && e.Text != "ready":
			fmt.Fprintf(stderr, "\r\x1b[K  … %s", shortened(line))
		case live:
			fmt.Fprintf(stderr, "\r\x1b[K%-9s %s\n", e.Step, line)
		default:
			fmt.Fprintf(stderr, "%-9s %s\n", e.Step, line)
		}
	}
}

// shortened keeps a line within that of a terminal.
func shortened(line string) string {
	const width = 110
	if letters := []rune(line); len(letters) > width {
		return string(letters[:width-1]) + "…"
	}
	return line
}

func isTerminal(w io.Writer) bool {
	file, isFile := w.(*os.File)
	if !isFile {
		return false
	}
	about, err := file.Stat()
	return err == nil && about.Mode()&os.ModeCharDevice != 0
}

type planCmd struct {
	releaseFlags
	chartValues

	Allow    []string `help:"Refusal of preflight that does not count. Repeatable." placeholder:"RULE"`
	ExitCode bool     `help:"End with 3 if anything would change."`
}

func (p *planCmd) run(ctx context.Context, stdout io.Writer) error {
	values, err := p.load()
	if err != nil {
		return err
	}
	cluster, err := p.connect(ctx)
	if err != nil {
		return err
	}
	plan, err := cluster.Plan(ctx, deploy.Request{Release: p.Release, Values: values, Allow: p.Allow})
	if err != nil {
		return err
	}
	if err := p.show(stdout, plan, func(w io.Writer) { printPlan(w, plan) }); err != nil {
		return err
	}
	switch {
	case len(plan.Refusals) > 0:
		return plan.Refusals
	case p.ExitCode && len(plan.Changes) > 0:
		return exitError{fmt.Errorf("%d objects would change", len(plan.Changes)), exitDiffers}
	}
	return nil
}

func printPlan(w io.Writer, plan deploy.Plan) {
	counts := make(map[string]int)
	for _, change := range plan.Changes {
		counts[change.Action]++
		fmt.Fprintf(w, "%s %s\n%s\n", change.Action, change.Object, change.Diff)
	}
	for _, note := range plan.Notes {
		fmt.Fprintf(w, "Note: %s.\n", note)
	}
	fmt.Fprintf(w, "Release %s in namespace %s is %s: %d objects to create, %d to change, %d to delete.\n",
		plan.Release, plan.Namespace, plan.State, counts["create"], counts["change"], counts["delete"])
}

type installCmd struct {
	releaseFlags
	chartValues
	changeFlags

	Atomic bool `help:"If it fails, take away what was made."`
}

func (c *installCmd) run(ctx context.Context, stdout, stderr io.Writer) error {
	return c.change(ctx, c.releaseFlags, c.chartValues, c.Atomic, stdout, stderr, (*deploy.Cluster).Install)
}

type upgradeCmd struct {
	releaseFlags
	chartValues
	changeFlags

	Atomic bool `default:"true" negatable:"" help:"If it fails, put back the revision before."`
}

func (c *upgradeCmd) run(ctx context.Context, stdout, stderr io.Writer) error {
	return c.change(ctx, c.releaseFlags, c.chartValues, c.Atomic, stdout, stderr, (*deploy.Cluster).Upgrade)
}

// change runs a verb that takes values.
func (f changeFlags) change(ctx context.Context, of releaseFlags, from chartValues, atomic bool, stdout, stderr io.Writer,
	verb func(*deploy.Cluster, context.Context, deploy.Request) (deploy.Result, error),
) error {
	values, err := from.load()
	if err != nil {
		return err
	}
	request := f.request(of, stderr)
	request.Values, request.Atomic = values, atomic
	return f.do(ctx, of, stdout, func(cluster *deploy.Cluster) (deploy.Result, error) { return verb(cluster, ctx, request) })
}

func (f changeFlags) request(of releaseFlags, stderr io.Writer) deploy.Request {
	return deploy.Request{Release: of.Release, Timeout: f.Timeout, Recover: f.Recover, Allow: f.Allow, Tell: of.tell(stderr)}
}

func (f changeFlags) do(ctx context.Context, of releaseFlags, stdout io.Writer, verb func(*deploy.Cluster) (deploy.Result, error)) error {
	cluster, err := of.connect(ctx)
	if err != nil {
		return err
	}
	result, err := verb(cluster)
	if err != nil {
		return err
	}
	return of.show(stdout, result, func(w io.Writer) {
		for _, note := range result.Notes {
			fmt.Fprintf(w, "Note: %s.\n", note)
		}
		fmt.Fprintf(w, "Release %s in namespace %s: revision %d.\n", result.Release, result.Namespace, result.Revision)
	})
}

type rollbackCmd struct {
	releaseFlags
	changeFlags

	To int `help:"Revision to go back to. Default: the one before." placeholder:"NUMBER"`
}

func (c *rollbackCmd) run(ctx context.Context, stdout, stderr io.Writer) error {
	return c.do(ctx, c.releaseFlags, stdout, func(cluster *deploy.Cluster) (deploy.Result, error) {
		return cluster.Rollback(ctx, c.request(c.releaseFlags, stderr), c.To)
	})
}

type uninstallCmd struct {
	releaseFlags
	changeFlags
}

func (c *uninstallCmd) run(ctx context.Context, stdout, stderr io.Writer) error {
	return c.do(ctx, c.releaseFlags, stdout, func(cluster *deploy.Cluster) (deploy.Result, error) {
		return cluster.Uninstall(ctx, c.request(c.releaseFlags, stderr))
	})
}

type statusCmd struct {
	releaseFlags
}

func (c *statusCmd) run(ctx context.Context, stdout io.Writer) error {
	cluster, err := c.connect(ctx)
	if err != nil {
		return err
	}
	status, err := cluster.Status(ctx, c.Release)
	if err != nil {
		return err
	}
	if err := c.show(stdout, status, func(w io.Writer) { printStatus(w, status) }); err != nil {
		return err
	}
	if !status.Ready {
		return exitError{fmt.Errorf("release %s is not ready", status.Release), exitDiffers}
	}
	return nil
}

func printStatus(w io.Writer, s deploy.Status) {
	ready := "everything is ready"
	if !s.Ready {
		ready = "not ready"
	}
	fmt.Fprintf(w, "Release %s in namespace %s: %s, %s.\n", s.Release, s.Namespace, s.State, ready)
	for _, one := range s.Waiting {
		fmt.Fprintf(w, "  %s\n", one)
	}
	for _, one := range s.Revisions {
		fmt.Fprintf(w, "  revision %d  %s  %s  %s\n", one.Number, one.Updated.Format(time.RFC3339), one.Status, one.Description)
	}
	if s.Next != "" {
		fmt.Fprintf(w, "Next: %s.\n", s.Next)
	}
}
