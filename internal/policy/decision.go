package policy

import (
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"
)

// Request is what somebody wants signed.
type Request struct {
	Kind   Kind
	Tenant string
	Caller string
	Sender common.Address
	Chain  uint64
	// To, Value, Gas and Data are of transactions; To is nil when a contract is
	// deployed, and Gas 0 when it will be estimated.
	To    *common.Address
	Value *big.Int // nil is 0
	Gas   uint64
	Data  []byte
	// Domain and PrimaryType are of typed data.
	Domain      Domain
	PrimaryType string
}

// Outcome is what a decision comes to.
type Outcome string

// The outcomes.
const (
	Allowed       Outcome = "allow"
	Denied        Outcome = "deny"
	NeedsApproval Outcome = "require_approval"
)

// Decision says what is to happen to a request. It is stored with it.
type Decision struct {
	Outcome Outcome `json:"outcome"`
	// Rules that led to the outcome, by id; none if nothing matched.
	Rules []string `json:"rules,omitempty"`
	// Version of the rules.
	Version string `json:"version"`
	// DryRun says that the outcome was recorded only: the request went on.
	DryRun bool `json:"dryRun,omitempty"`
	// Approvals that must all be given; of NeedsApproval.
	Approvals []Approval `json:"approvals,omitempty"`
	// Charges against windows that must all have room, unless it is denied.
	Charges []Charge `json:"-"`
}

// Approval is what one rule asks for.
type Approval struct {
	Rule      string   `json:"rule"`
	Count     int      `json:"count"`
	Approvers []string `json:"approvers,omitempty"` // empty: everybody with the role
}

// IsMet says whether enough of those who may agree have agreed. Every name
// counts once.
func (a Approval) IsMet(agreed []string) bool {
	counted := map[string]bool{}
	for _, name := range agreed {
		counted[name] = counted[name] || a.May(name)
	}
	n := 0
	for _, may := range counted {
		if may {
			n++
		}
	}
	return n >= a.Count
}

// May says whether an approver's word counts.
func (a Approval) May(name string) bool {
	if len(a.Approvers) == 0 {
		return true
	}
	for _, other := range a.Approvers {
		if other == name {
			return true
		}
	}
	return false
}

// Charge is what a request adds to a window, and what the window holds.
type Charge struct {
	// Rule that has the limit.
	Rule string
	// Key names the window among all.
	Key    string
	Period time.Duration
	// MaxCount, MaxValue and MaxGas are nil where there is no limit.
	MaxCount *uint64
	MaxValue *big.Int
	MaxGas   *uint64
	// Value and Gas that are added, with one request.
	Value *big.Int
	Gas   uint64
}

// Reason says the outcome in words.
func (d Decision) Reason() string {
	names := strings.Join(d.Rules, ", ")
	switch {
	case d.Outcome == Allowed && names == "":
		return "there are no rules"
	case d.Outcome == Allowed:
		return "allowed by " + names
	case d.Outcome == NeedsApproval:
		return "needs approval by " + names
	case names == "":
		return "no rule allows it"
	default:
		return "denied by " + names
	}
}

// Stops says whether the request goes no further.
func (d Decision) Stops() bool { return d.Outcome == Denied && !d.DryRun }

// Waits says whether the request has to wait for approval.
func (d Decision) Waits() bool { return d.Outcome == NeedsApproval && !d.DryRun }

// Exceeded is the decision after a window turned out to be full.
func (d Decision) Exceeded(rule string) Decision {
	d.Outcome, d.Rules, d.Approvals = Denied, []string{rule}, nil
	return d
}

// Policy is rules, ready to be asked. It does not change.
type Policy struct {
	rules   []rule
	version string
	dryRun  bool
}

// New reads the rules.
func New(cfg Config) (*Policy, error) {
	version, err := cfg.version()
	if err != nil {
		return nil, err
	}
	p := &Policy{version: version, dryRun: cfg.DryRun}
	var errs problems
	if len(cfg.Rules) > maxRules {
		errs.add(fmt.Errorf("more than %d rules", maxRules))
	}
	seen := map[string]bool{}
	for i, r := range cfg.Rules {
		name := fmt.Sprintf("policy rule %d (%s)", i+1, r.ID)
		if r.ID == "" || seen[r.ID] {
			errs.add(fmt.Errorf("%s: an id of its own is needed", name))
		}
		seen[r.ID] = true
		compiled, err := compile(r)
		if err != nil {
			errs.add(fmt.Errorf("%s: %w", name, err))
		}
		p.rules = append(p.rules, compiled)
	}
	return p, errs.err()
}

// Version names the rules.
func (p *Policy) Version() string { return p.version }

// Decide says what is to happen to a request.
func (p *Policy) Decide(r Request) Decision {
	d := Decision{Outcome: Denied, Version: p.version, DryRun: p.dryRun}
	if len(p.rules) == 0 {
		d.Outcome = Allowed
		return d
	}
	matching := map[Effect][]*rule{}
	for i := range p.rules {
		if rule := &p.rules[i]; rule.matches(r) {
			matching[rule.Effect] = append(matching[rule.Effect], rule)
		}
	}
	switch {
	case len(matching[EffectDeny]) > 0:
		d.Rules = ids(matching[EffectDeny])
		return d
	case len(matching[EffectApproval]) > 0:
		d.Rules = ids(matching[EffectApproval])
		if r.Kind != KindTransaction && r.Kind != KindDeploy {
			return d // a signature that is given at once cannot wait for anybody
		}
		d.Outcome = NeedsApproval
		for _, rule := range matching[EffectApproval] {
			d.Approvals = append(d.Approvals, Approval{Rule: rule.ID, Count: rule.Approvals, Approvers: rule.Approvers})
		}
	case len(matching[EffectAllow]) > 0:
		d.Outcome, d.Rules = Allowed, ids(matching[EffectAllow])
	default:
		return d
	}
	for _, effect := range []Effect{EffectApproval, EffectAllow} {
		for _, rule := range matching[effect] {
			d.Charges = append(d.Charges, rule.charges(r)...)
		}
	}
	return d
}

func ids(rules []*rule) []string {
	out := make([]string, len(rules))
	for i, r := range rules {
		out[i] = r.ID
	}
	return out
}

// charges is what a request adds to the rule's windows.
func (r *rule) charges(asked Request) []Charge {
	out := make([]Charge, 0, len(r.Limits))
	for _, l := range r.Limits {
		c := Charge{
			Rule: r.ID, Period: l.Period, MaxCount: l.Count, MaxGas: l.Gas, Value: new(big.Int), Gas: asked.Gas,
			Key: fmt.Sprintf("%q %s %s %q", r.ID, l.Period, l.scope(), l.subject(asked)),
		}
		if l.Value != nil {
			c.MaxValue = l.Value.Big()
		}
		if asked.Value != nil {
			c.Value.Set(asked.Value)
		}
		out = append(out, c)
	}
	return out
}

// subject is what a limit counts apart.
func (l Limit) subject(asked Request) string {
	switch l.scope() {
	case PerTenant:
		return asked.Tenant
	case PerCaller:
		return asked.Tenant + "/" + asked.Caller
	case PerSender:
		return asked.Sender.Hex()
	case PerRecipient:
		if asked.To != nil {
			return asked.To.Hex()
		}
		return ""
	default:
		return ""
	}
}
