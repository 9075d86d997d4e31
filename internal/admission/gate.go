package admission

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"

	"github.com/slipwayhq/slipway/internal/access"
	"github.com/slipwayhq/slipway/internal/audit"
	"github.com/slipwayhq/slipway/internal/policy"
	"github.com/slipwayhq/slipway/internal/queue"
	"github.com/slipwayhq/slipway/internal/ratelimit"
	"github.com/slipwayhq/slipway/internal/telemetry"
)

// Errors of the gate, besides those of package policy.
var (
	// ErrNoCaller says that nobody was authenticated: a fault of the program, which
	// must not let anything through.
	ErrNoCaller = errors.New("the request has no caller")
	// ErrUnavailable says that the audit log cannot be written, so that nothing may
	// be done.
	ErrUnavailable = errors.New("the audit log cannot be written")
)

// RateError says that there were too many requests.
type RateError struct {
	Whose string // "tenant" or "sender"
	After time.Duration
}

func (e *RateError) Error() string { return "too many requests for this " + e.Whose }

// RetryAfter is when there is room again.
func (e *RateError) RetryAfter() time.Duration { return e.After }

// Meter keeps windows for what does not become a transaction.
type Meter interface {
	Charge(ctx context.Context, d policy.Decision) error
}

// Wallets says which tenants own those addresses that are wallets.
type Wallets interface {
	Owners(ctx context.Context, addresses ...common.Address) (map[common.Address]string, error)
}

// Config is what a gate holds requests against.
type Config struct {
	ChainID   uint64
	Tenants   []access.Tenant
	Policy    policy.Config
	RateLimit RateLimit
	Wallets   Wallets // nil for none
}

// Gate decides. It implements queue.Admitter.
type Gate struct {
	chainID uint64
	senders access.Senders
	wallets Wallets
	policy  *policy.Policy
	hasRule bool
	limiter *ratelimit.Limiter
	audit   *audit.Log
	metrics *metrics
	log     *slog.Logger
}

// New makes a gate; log may be nil: nothing is written down then.
func New(cfg Config, auditLog *audit.Log, f telemetry.Factory, log *slog.Logger) (*Gate, error) {
	rules, err := policy.New(cfg.Policy)
	if err != nil {
		return nil, err
	}
	if err := cfg.RateLimit.Validate(); err != nil {
		return nil, err
	}
	limiter, err := ratelimit.New(cfg.RateLimit.config(), ratelimit.NewMetrics(f, "signer"))
	if err != nil {
		return nil, fmt.Errorf("rateLimit: %w", err)
	}
	return &Gate{
		chainID: cfg.ChainID, senders: access.NewSenders(cfg.Tenants), wallets: cfg.Wallets, policy: rules, hasRule: cfg.Policy.IsSet(), limiter: limiter,
		audit: auditLog, metrics: newMetrics(f), log: log,
	}, nil
}

// Admit implements queue.Admitter.
func (g *Gate) Admit(ctx context.Context, r queue.Request) (queue.Admission, error) {
	caller, ok := access.From(ctx)
	if !ok {
		return queue.Admission{}, ErrNoCaller
	}
	out := queue.Admission{Tenant: caller.Tenant, Submitter: caller.Name}
	asked := g.transaction(caller, r)
	if err := g.limit(ctx, caller, r.Sender); err != nil {
		return out, err
	}
	d, err := g.decide(ctx, caller, asked)
	if g.hasRule {
		out.Decision = &d
	}
	if g.audit != nil {
		out.Audit = entry(caller, "transaction.submit", asked, d)
	}
	return out, err
}

// transaction is a queue's request as policies see it.
func (g *Gate) transaction(caller access.Caller, r queue.Request) policy.Request {
	asked := policy.Request{
		Kind: policy.KindTransaction, Tenant: caller.Tenant, Caller: caller.Name, Sender: r.Sender, Chain: g.chainID,
		To: r.To, Value: r.Value, Gas: r.Gas, Data: r.Data,
	}
	if r.To == nil {
		asked.Kind = policy.KindDeploy
	}
	return asked
}

// decide holds a request against the policy. What is stopped is written down.
func (g *Gate) decide(ctx context.Context, caller access.Caller, asked policy.Request) (policy.Decision, error) {
	if usable, err := g.Usable(ctx, caller.Tenant, asked.Sender); err != nil {
		return policy.Decision{Outcome: policy.Denied}, err
	} else if len(usable) == 0 {
		// As if there was no such key: whose it is, is nobody's business.
		return policy.Decision{Outcome: policy.Denied}, fmt.Errorf("%w %s", queue.ErrUnknownSender, asked.Sender)
	}
	d := g.policy.Decide(asked)
	if g.hasRule {
		g.metrics.decisions.WithLabelValues(string(asked.Kind), g.outcome(d)).Inc()
	}
	if !d.Stops() {
		return d, nil
	}
	if err := g.audit.Record(ctx, entry(caller, "policy.deny", asked, d)); err != nil {
		g.log.ErrorContext(ctx, "refusal not written down", slog.Any("err", err))
	}
	return d, &policy.DeniedError{Decision: d}
}

// outcome is the metric label of a decision.
func (g *Gate) outcome(d policy.Decision) string {
	if d.DryRun && d.Outcome != policy.Allowed {
		return "dry_run_" + string(d.Outcome)
	}
	return string(d.Outcome)
}

// limit holds a request against the rates.
func (g *Gate) limit(ctx context.Context, caller access.Caller, sender common.Address) error {
	for _, l := range []struct{ budget, user string }{{tenantBudget, caller.Tenant}, {senderBudget, sender.Hex()}} {
		if d := g.limiter.Allow(ctx, l.budget, ratelimit.Subject{User: l.user}, 1); !d.Allowed {
			return &RateError{Whose: l.budget, After: d.RetryAfter}
		}
	}
	return nil
}

// Front is a gate for those who sign at once: what they sign is counted as well.
type Front struct {
	*Gate
	Meter Meter
}

// Sign lets a message or typed data (EIP-712) be signed, or says why not. Of the
// request it takes kind, sender, domain and primary type.
func (f Front) Sign(ctx context.Context, asked policy.Request) error {
	return f.sign(ctx, f.Meter, policy.Request{Kind: asked.Kind, Sender: asked.Sender, Domain: asked.Domain, PrimaryType: asked.PrimaryType})
}

// SignTransaction lets a transaction be signed that its caller sends, or says why
// not.
func (f Front) SignTransaction(ctx context.Context, r queue.Request) error {
	return f.sign(ctx, f.Meter, f.transaction(access.Caller{}, r))
}

// sign decides about a signature that is given at once.
func (g *Gate) sign(ctx context.Context, meter Meter, asked policy.Request) error {
	caller, ok := access.From(ctx)
	if !ok {
		return ErrNoCaller
	}
	asked.Tenant, asked.Caller, asked.Chain = caller.Tenant, caller.Name, g.chainID
	if err := g.limit(ctx, caller, asked.Sender); err != nil {
		return err
	}
	d, err := g.decide(ctx, caller, asked)
	if err != nil {
		return err
	}
	if d.Waits() { // nobody can be waited for
		denied := d
		denied.Outcome, denied.Approvals = policy.Denied, nil
		if err := g.audit.Record(ctx, entry(caller, "policy.deny", asked, denied)); err != nil {
			g.log.ErrorContext(ctx, "refusal not written down", slog.Any("err", err))
		}
		return &policy.DeniedError{Decision: denied}
	}
	if err := meter.Charge(ctx, d); err != nil {
		return err
	}
	if err := g.audit.Record(ctx, entry(caller, "sign."+string(asked.Kind), asked, d)); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

// DryRun is what would be decided about a transaction now. Windows, rates and
// approvals are not looked at.
func (g *Gate) DryRun(ctx context.Context, r queue.Request) (policy.Decision, error) {
	caller, ok := access.From(ctx)
	if !ok {
		return policy.Decision{}, ErrNoCaller
	}
	if usable, err := g.Usable(ctx, caller.Tenant, r.Sender); err != nil {
		return policy.Decision{}, err
	} else if len(usable) == 0 {
		return policy.Decision{}, fmt.Errorf("%w %s", queue.ErrUnknownSender, r.Sender)
	}
	return g.policy.Decide(g.transaction(caller, r)), nil
}

// Usable are those of some senders that a tenant may use: wallets that it made, and of
// all others those that the configuration leaves to it.
func (g *Gate) Usable(ctx context.Context, tenant string, senders ...common.Address) ([]common.Address, error) {
	var owners map[common.Address]string
	if g.wallets != nil && len(senders) > 0 {
		var err error
		if owners, err = g.wallets.Owners(ctx, senders...); err != nil {
			return nil, err
		}
	}
	var out []common.Address
	for _, sender := range senders {
		owner, isWallet := owners[sender]
		if isWallet && owner == tenant || !isWallet && g.senders.May(tenant, sender) {
			out = append(out, sender)
		}
	}
	return out, nil
}

// entry is an audit entry about something that is signed: of calldata the
// selector and the hash, of typed data domain and type, of messages nothing.
func entry(caller access.Caller, action string, asked policy.Request, d policy.Decision) audit.Entry {
	detail := map[string]any{"kind": asked.Kind, "sender": asked.Sender.Hex(), "why": d.Reason()}
	if len(d.Rules) > 0 {
		detail["rules"] = d.Rules
	}
	if d.Version != "" {
		detail["policy"] = d.Version
	}
	if d.DryRun {
		detail["dryRun"] = true
	}
	if asked.To != nil {
		detail["to"] = asked.To.Hex()
	}
	if asked.Value != nil && asked.Value.Sign() > 0 {
		detail["value"] = asked.Value.String()
	}
	const selector = 4
	if len(asked.Data) > 0 {
		detail["dataHash"] = crypto.Keccak256Hash(asked.Data).Hex()
	}
	if asked.Kind == policy.KindTransaction && len(asked.Data) >= selector {
		detail["selector"] = "0x" + hex.EncodeToString(asked.Data[:selector])
	}
	if asked.Kind == policy.KindTypedData {
		detail["domain"], detail["contract"], detail["primaryType"] = cut(asked.Domain.Name), cut(asked.Domain.VerifyingContract), cut(asked.PrimaryType)
	}
	return audit.Entry{
		Tenant: caller.Tenant, Actor: caller.Name, KeyID: caller.KeyID, Address: caller.Address,
		Action: action, Object: asked.Sender.Hex(), Decision: string(d.Outcome), Detail: detail,
	}
}

// cut bounds what a caller writes into the audit log.
func cut(text string) string {
	const most = 128
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// Note is an audit entry about what a caller does that is not signed.
func Note(caller access.Caller, action, object, decision string) audit.Entry {
	return audit.Entry{Tenant: caller.Tenant, Actor: caller.Name, KeyID: caller.KeyID, Address: caller.Address, Action: action, Object: object, Decision: decision}
}
