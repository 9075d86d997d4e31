package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/slipwayhq/slipway/internal/access"
	"github.com/slipwayhq/slipway/internal/audit"
	"github.com/slipwayhq/slipway/internal/signerapp"
	"github.com/slipwayhq/slipway/internal/signerconfig"
)

// keysCmd manages API keys of all tenants.
type keysCmd struct {
	Create keyCreateCmd `cmd:"" help:"Make an API key and print it, once."`
	List   keyListCmd   `cmd:"" help:"List API keys."`
	Rotate keyRotateCmd `cmd:"" help:"Make a second key for a caller, and let the first one expire."`
	Revoke keyRevokeCmd `cmd:"" help:"End an API key at once."`
}

type keyCreateCmd struct {
	Config   string        `help:"Configuration file (YAML)." placeholder:"FILE"`
	Tenant   string        `help:"Tenant on whose behalf the caller acts." default:"default"`
	Name     string        `help:"Name of the caller." required:""`
	Roles    []string      `help:"Roles: read, submit, sign, wallets, approve, operate." required:"" placeholder:"ROLE,..."`
	Lifetime time.Duration `help:"How long the key is good; 0 is for ever." placeholder:"720h"`
}

type keyListCmd struct {
	Config string `help:"Configuration file (YAML)." placeholder:"FILE"`
	Tenant string `help:"Only those of a tenant."`
}

type keyRotateCmd struct {
	Config   string        `help:"Configuration file (YAML)." placeholder:"FILE"`
	Tenant   string        `help:"Tenant of the key." default:"default"`
	ID       string        `arg:"" help:"Id of the key."`
	Overlap  time.Duration `help:"How long the first key goes on." default:"24h"`
	Lifetime time.Duration `help:"How long the new key is good; 0 is for ever." placeholder:"720h"`
}

type keyRevokeCmd struct {
	Config string `help:"Configuration file (YAML)." placeholder:"FILE"`
	Tenant string `help:"Tenant of the key." default:"default"`
	ID     string `arg:"" help:"Id of the key."`
}

// auditCmd works on the audit log.
type auditCmd struct {
	Verify auditVerifyCmd `cmd:"" help:"Read the whole chain and print its head, or the first row that is broken."`
	Prune  auditPruneCmd  `cmd:"" help:"Remove old rows up to a checkpoint."`
}

type auditVerifyCmd struct {
	Config string `help:"Configuration file (YAML)." placeholder:"FILE"`
}

type auditPruneCmd struct {
	Config    string        `help:"Configuration file (YAML)." placeholder:"FILE"`
	OlderThan time.Duration `help:"Age of what is removed, 24h at least." required:"" placeholder:"2160h"`
}

// sendersCmd works on the accounts that send.
type sendersCmd struct {
	Pause sendersPauseCmd `cmd:"" help:"Pause all senders: after a database was put back from a copy, before the signer starts."`
}

type sendersPauseCmd struct {
	Config string `help:"Configuration file (YAML)." placeholder:"FILE"`
	Reason string `help:"Why, for those who look at them." default:"paused from the command line"`
}

// cliActor is who the command line is in the audit log.
const cliActor = "cli"

// administer does what a command asks for.
func (g *grammar) administer(ctx context.Context, command string, getenv func(string) string, stdout io.Writer) error {
	commands := map[string]struct {
		config string
		do     func(context.Context, *signerapp.Admin, io.Writer) error
	}{
		"keys create":      {g.Keys.Create.Config, g.Keys.Create.run},
		"keys list":        {g.Keys.List.Config, g.Keys.List.run},
		"keys rotate <id>": {g.Keys.Rotate.Config, g.Keys.Rotate.run},
		"keys revoke <id>": {g.Keys.Revoke.Config, g.Keys.Revoke.run},
		"audit verify":     {g.Audit.Verify.Config, g.Audit.Verify.run},
		"audit prune":      {g.Audit.Prune.Config, g.Audit.Prune.run},
		"senders pause":    {g.Senders.Pause.Config, g.Senders.Pause.run},
	}
	c, ok := commands[command]
	if !ok {
		return fmt.Errorf("unknown command %q", command)
	}
	file, err := signerconfig.Load(c.config, getenv)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	admin, err := signerapp.OpenAdmin(ctx, file.App)
	if err != nil {
		return err
	}
	defer admin.Close()
	return c.do(ctx, admin, stdout)
}

func (c *keyCreateCmd) run(ctx context.Context, a *signerapp.Admin, stdout io.Writer) error {
	n := access.NewKey{Tenant: c.Tenant, Name: c.Name, Lifetime: c.Lifetime, By: cliActor}
	for _, r := range c.Roles {
		n.Roles = append(n.Roles, access.Role(r))
	}
	key, token, err := a.Keys.Create(ctx, n)
	if err != nil {
		return err
	}
	return show(ctx, a, stdout, "api_key.create", key, token.Reveal())
}

func (c *keyRotateCmd) run(ctx context.Context, a *signerapp.Admin, stdout io.Writer) error {
	if c.Overlap < 0 {
		return errors.New("--overlap: must not be negative")
	}
	key, token, err := a.Keys.Rotate(ctx, c.Tenant, c.ID, c.Overlap, c.Lifetime, cliActor)
	if err != nil {
		return err
	}
	return show(ctx, a, stdout, "api_key.rotate", key, token.Reveal())
}

// show writes a new key down and prints it.
func show(ctx context.Context, a *signerapp.Admin, stdout io.Writer, action string, key access.Key, token string) error {
	err := a.Audit.Record(ctx, audit.Entry{
		Tenant: key.Tenant, Actor: cliActor, Action: action, Object: key.ID, Decision: "allow", Detail: map[string]any{"name": key.Name, "roles": key.Roles},
	})
	if err != nil {
		return errors.Join(err, a.Keys.Revoke(ctx, key.Tenant, key.ID))
	}
	encoder := json.NewEncoder(stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(struct {
		access.Key
		Token string `json:"token"`
	}{key, token})
}

func (c *keyListCmd) run(ctx context.Context, a *signerapp.Admin, stdout io.Writer) error {
	list, err := a.Keys.List(ctx, c.Tenant)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tTENANT\tNAME\tROLES\tCREATED\tEXPIRES\tREVOKED")
	for _, k := range list {
		roles := make([]string, len(k.Roles))
		for i, r := range k.Roles {
			roles[i] = string(r)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Tenant, k.Name, strings.Join(roles, ","), k.CreatedAt.UTC().Format(time.RFC3339), when(k.ExpiresAt), when(k.RevokedAt))
	}
	return w.Flush()
}

func when(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

func (c *keyRevokeCmd) run(ctx context.Context, a *signerapp.Admin, stdout io.Writer) error {
	if err := a.Keys.Revoke(ctx, c.Tenant, c.ID); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s is revoked; every replica knows within seconds\n", c.ID)
	return a.Audit.Record(ctx, audit.Entry{Tenant: c.Tenant, Actor: cliActor, Action: "api_key.revoke", Object: c.ID, Decision: "allow"})
}

func (c *auditVerifyCmd) run(ctx context.Context, a *signerapp.Admin, stdout io.Writer) error {
	report, err := a.Audit.Verify(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "the audit log is whole: %d rows", report.Rows)
	if report.Pruned > 0 {
		fmt.Fprintf(stdout, " after row %d, up to which it was pruned", report.Pruned)
	}
	fmt.Fprintf(stdout, "\nhead: %s\n", report.Head)
	return nil
}

func (c *auditPruneCmd) run(ctx context.Context, a *signerapp.Admin, stdout io.Writer) error {
	const least = 24 * time.Hour
	if c.OlderThan < least {
		return errors.New("--older-than: must be 24h at least")
	}
	gone, err := a.Audit.Prune(ctx, c.OlderThan, audit.Entry{Actor: cliActor})
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%d rows removed\n", gone)
	return nil
}

func (c *sendersPauseCmd) run(ctx context.Context, a *signerapp.Admin, stdout io.Writer) error {
	paused, err := a.PauseSenders(ctx, c.Reason)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%d senders are paused: nothing is signed for them until each is resumed (POST /v1/senders/ADDRESS/resume)\n", paused)
	return a.Audit.Record(ctx, audit.Entry{Actor: cliActor, Action: "sender.pause", Object: "all", Decision: "allow", Detail: map[string]any{"reason": c.Reason, "paused": paused}})
}
