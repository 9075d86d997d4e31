package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/slipwayhq/slipway/internal/gatewayapp"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

type validateCmd struct {
	settings

	JSON    bool          `name:"json" help:"Print JSON instead of tables."`
	Timeout time.Duration `help:"Time for all nodes together, which are asked at the same time." default:"10s"`
}

// findings is what validate prints as JSON.
type findings struct {
	OK       bool              `json:"ok"` // nothing stands among the errors
	Warnings []string          `json:"warnings,omitempty"`
	Networks []networkFindings `json:"networks"`
}

type networkFindings struct {
	Project   string                 `json:"project"`
	ChainID   uint64                 `json:"chainId,omitempty"` // as configured
	Upstreams []upstreams.Inspection `json:"upstreams"`
}

// run looks at every node of the configuration. An error says that some node
// cannot be used as the configuration wants it.
func (v *validateCmd) run(ctx context.Context, getenv func(string) string, stdout io.Writer) error {
	cfg, err := v.configuration(getenv)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	if _, err := gatewayapp.New(cfg.App, gatewayapp.Deps{Log: slog.New(slog.DiscardHandler)}); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, v.Timeout)
	defer cancel()
	found := findings{Warnings: cfg.Warnings, Networks: inspect(ctx, cfg.App)}
	bad, all := found.count()
	found.OK = bad == 0
	if err := found.print(stdout, v.JSON); err != nil {
		return err
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d nodes cannot be used", bad, all)
	}
	return nil
}

// inspect looks at the nodes of all networks at the same time.
func inspect(ctx context.Context, cfg gatewayapp.Config) []networkFindings {
	var out []networkFindings
	var pools []upstreams.Config
	for _, p := range cfg.Projects {
		for _, n := range p.Networks {
			out = append(out, networkFindings{Project: p.ID, ChainID: n.Pool.ChainID})
			pools = append(pools, n.Pool)
		}
	}
	var group errgroup.Group
	for i := range pools {
		group.Go(func() error {
			out[i].Upstreams = upstreams.Inspect(ctx, pools[i])
			return nil
		})
	}
	_ = group.Wait() // what went wrong stands in out
	return out
}

// count says how many nodes have errors, and how many there are.
func (f findings) count() (bad, all int) {
	for _, n := range f.Networks {
		for _, u := range n.Upstreams {
			all++
			if len(u.Errors) > 0 {
				bad++
			}
		}
	}
	return bad, all
}

func (f findings) print(out io.Writer, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(f)
	}
	for _, warning := range f.Warnings {
		fmt.Fprintln(out, "warning: "+warning)
	}
	for _, n := range f.Networks {
		if err := n.print(out); err != nil {
			return err
		}
	}
	return nil
}

// print writes a table of the nodes, then one of their methods, then what is to
// be said of each.
func (n networkFindings) print(out io.Writer) error {
	title := n.Project + "/evm"
	if n.ChainID != 0 {
		title += "/" + strconv.FormatUint(n.ChainID, 10)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "\n%s\nNODE\tSTATUS\tCHAIN\tHEAD\tLAG\tSYNCING\tSTATE FROM\tWEBSOCKET\tCLIENT\n", title)
	for _, u := range n.Upstreams {
		if !u.Reachable {
			fmt.Fprintf(table, "%s\terror\t\t\t\t\t\t\t\n", u.ID)
			continue
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%d\t%t\t%s\t%s\t%s\n", u.ID, status(u), u.ChainID, u.Head, u.Lag, u.Syncing, stateFrom(u), webSocket(u), printable(u.ClientVersion))
	}
	if methods := n.methods(); len(methods) > 0 {
		fmt.Fprintf(table, "\nMETHOD\t%s\n", strings.Join(n.ids(), "\t"))
		for _, method := range methods {
			fmt.Fprint(table, method)
			for _, u := range n.Upstreams {
				fmt.Fprint(table, "\t"+hasMethod(u, method))
			}
			fmt.Fprintln(table)
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, u := range n.Upstreams {
		for _, text := range u.Errors {
			fmt.Fprintf(out, "error: %s: %s\n", u.ID, printable(text))
		}
		for _, text := range u.Warnings {
			fmt.Fprintf(out, "warning: %s: %s\n", u.ID, printable(text))
		}
	}
	return nil
}

func (n networkFindings) ids() []string {
	out := make([]string, len(n.Upstreams))
	for i, u := range n.Upstreams {
		out[i] = string(u.ID)
	}
	return out
}

// methods lists the methods of which some node told.
func (n networkFindings) methods() []string {
	var out []string
	for _, u := range n.Upstreams {
		for method := range u.Methods {
			out = append(out, method)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func status(u upstreams.Inspection) string {
	switch {
	case len(u.Errors) > 0:
		return "error"
	case len(u.Warnings) > 0:
		return "warning"
	default:
		return "ok"
	}
}

func stateFrom(u upstreams.Inspection) string {
	switch {
	case u.OldestState == nil:
		return "?"
	case *u.OldestState == 0:
		return "0 (archive)"
	default:
		return strconv.FormatUint(*u.OldestState, 10)
	}
}

func webSocket(u upstreams.Inspection) string {
	switch {
	case u.WebSocket == nil:
		return "-"
	case *u.WebSocket:
		return "yes"
	default:
		return "no"
	}
}

func hasMethod(u upstreams.Inspection, method string) string {
	has, isKnown := u.Methods[method]
	switch {
	case !isKnown:
		return "?"
	case has:
		return "yes"
	default:
		return "-"
	}
}

// printable keeps what a node says from steering a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return -1
		}
		return r
	}, text)
}
