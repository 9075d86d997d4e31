package signerapp

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"slices"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/slipwayhq/slipway/internal/access"
	"github.com/slipwayhq/slipway/internal/admission"
	"github.com/slipwayhq/slipway/internal/api"
	"github.com/slipwayhq/slipway/internal/audit"
	"github.com/slipwayhq/slipway/internal/lifecycle"
	"github.com/slipwayhq/slipway/internal/telemetry"
	"github.com/slipwayhq/slipway/internal/tlsfiles"
)

// guards is what stands between callers and the queue.
type guards struct {
	gate   *admission.Gate
	audit  *audit.Log            // nil without an audit log
	access *access.Authenticator // nil with dev
	keys   *access.Keys          // nil where they are not used
	tls    *tls.Config           // nil without TLS
}

// guards makes them, and adds to the group what has to run.
func (a *App) guards(ctx context.Context, pool *pgxpool.Pool, whose admission.Wallets, group *lifecycle.Group) (guards, error) {
	var g guards
	if a.cfg.Audit.Enabled && !a.cfg.Dev {
		g.audit = audit.New(pool)
		group.Add("audit log", func(ctx context.Context, ready func()) error { return g.audit.Run(ctx, a.cfg.Audit, a.log, ready) })
	}
	var err error
	if g.gate, err = newGate(a.cfg, whose, g.audit, a.metrics, a.log); err != nil {
		return g, err
	}
	if a.cfg.Access.APIKeys {
		g.keys = access.NewKeys(access.NewStore(pool))
	}
	if a.cfg.Access.IsSet() {
		known, err := a.callers(ctx)
		if err != nil {
			return g, err
		}
		if g.access, err = access.New(known, g.keys, a.metrics, a.log); err != nil {
			return g, err
		}
		group.Add("callers", g.access.Run)
	}
	if a.cfg.TLS.isSet() {
		files := tlsfiles.New(a.cfg.TLS.files(), a.log)
		group.Add("certificate", files.Run)
		g.tls = files.Server()
	}
	return g, nil
}

// callers are those of the configuration and, where it says so, who calls from the
// networks that are attached to this machine now.
func (a *App) callers(ctx context.Context) (access.Config, error) {
	cfg := a.cfg.Access
	if !cfg.AttachedNetworks {
		return cfg, nil
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return cfg, fmt.Errorf("access.attachedNetworks: read the addresses of this machine: %w", err)
	}
	n := access.AttachedNetwork(own)
	a.log.WarnContext(ctx, "everybody in these networks is let in without credentials; to know callers, give them keys: "+
		"access.apiKeys (SLIPWAY_API_KEYS=true) and `signer keys create --name NAME --roles submit,sign,wallets`",
		slog.Any("networks", n.CIDRs), slog.String("tenant", n.Tenant), slog.Any("roles", n.Roles))
	cfg.Networks = append(slices.Clone(cfg.Networks), n)
	return cfg, nil
}

func newGate(cfg Config, whose admission.Wallets, log *audit.Log, f telemetry.Factory, logger *slog.Logger) (*admission.Gate, error) {
	checks := admission.Config{ChainID: cfg.Queue.ChainID, Tenants: cfg.Access.Tenants, Policy: cfg.Policy, RateLimit: cfg.RateLimit, Wallets: whose}
	return admission.New(checks, log, f, logger)
}

// guard gives the API what there is. An interface that holds nothing must be
// nil itself.
func (g guards) guard(deps *api.Deps) {
	if g.access != nil {
		deps.Access = g.access
	}
	if g.keys != nil {
		deps.APIKeys = g.keys
	}
}
