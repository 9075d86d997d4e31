package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Config is the rules. They are read at the start; a change needs a restart.
type Config struct {
	// DryRun evaluates, records and audits every decision, and then allows what
	// it denies and asks for no approval. Windows are counted.
	DryRun bool `yaml:"dryRun" json:"dryRun"`
	// Rules are what is allowed and denied. All that match count: deny wins over require_approval, that
	// over allow. Without any everything is allowed; with any, what none allows is
	// denied.
	Rules []Rule `yaml:"rules" json:"rules"`
}

// Effect is what a matching rule does.
type Effect string

// The effects.
const (
	EffectAllow    Effect = "allow"
	EffectDeny     Effect = "deny"
	EffectApproval Effect = "require_approval"
)

// Kind is a kind of thing that is signed.
type Kind string

// The kinds.
const (
	KindTransaction Kind = "transaction"
	KindDeploy      Kind = "deploy"
	KindMessage     Kind = "message"
	KindTypedData   Kind = "typed_data"
)

// Rule matches requests and says what happens to them. Every condition that is
// given must hold; one that has no meaning for a kind (the recipient of a
// message) does not hold for it.
type Rule struct {
	// ID names the rule in decisions, errors and the audit log.
	ID string `yaml:"id" json:"id"`
	// Effect is allow, deny or require_approval.
	Effect Effect `yaml:"effect" json:"effect"`
	// Approvals is how many approvers must agree; for require_approval.
	Approvals int `yaml:"approvals" json:"approvals"`
	// Approvers are those who may agree, as callers are named (key:alice, jwt:corp/bob); none
	// given: everybody of the tenant with the role approve.
	Approvers []string `yaml:"approvers" json:"approvers"`
	// Kinds are transaction, deploy, message and typed_data.
	Kinds []Kind `yaml:"kinds" json:"kinds"`
	// Tenants are those on whose behalf it is asked.
	Tenants []string `yaml:"tenants" json:"tenants"`
	// Callers are those who ask, as key:NAME, jwt:ISSUER/SUBJECT or cert:NAME.
	Callers []string `yaml:"callers" json:"callers"`
	// Senders are the addresses that sign.
	Senders []string `yaml:"senders" json:"senders"`
	// Chains are chain ids.
	Chains []uint64 `yaml:"chains" json:"chains"`
	// Recipients are the addresses that are called.
	Recipients []string `yaml:"recipients" json:"recipients"`
	// Methods are selectors (0xa9059cbb) or signatures (transfer(address,uint256));
	// an empty text ("") is a call without data.
	Methods []string `yaml:"methods" json:"methods"`
	// Arguments are conditions that must all hold. They need methods that are all
	// signatures.
	Arguments []Argument `yaml:"arguments" json:"arguments"`
	// MinValue is the least value, in wei, or with a unit: 5 gwei, 1.5 ether.
	MinValue *Amount `yaml:"minValue" json:"minValue"`
	// MaxValue is the largest value.
	MaxValue *Amount `yaml:"maxValue" json:"maxValue"`
	// MinGas is the least gas limit. A request that leaves the gas to the signer
	// matches no rule that allows and bounds it.
	MinGas *uint64 `yaml:"minGas" json:"minGas"`
	// MaxGas is the largest gas limit.
	MaxGas *uint64 `yaml:"maxGas" json:"maxGas"`
	// Domains are those of typed data (EIP-712), of which one must match.
	Domains []Domain `yaml:"domains" json:"domains"`
	// PrimaryTypes are those of typed data.
	PrimaryTypes []string `yaml:"primaryTypes" json:"primaryTypes"`
	// CodeHashes are the Keccak-256 hashes of what deploys a contract: its creation
	// code with the arguments of the constructor.
	CodeHashes []string `yaml:"codeHashes" json:"codeHashes"`
	// Limits are what the rule lets through in a time. The limits of all rules that
	// match must have room.
	Limits []Limit `yaml:"limits" json:"limits"`
}

// Argument is a condition on an argument of a call. Of a list, every element
// must fulfil it.
type Argument struct {
	// At is the place, counted from 0; the second field of the first argument, a
	// tuple, is 0.1.
	At string `yaml:"at" json:"at"`
	// Min is the least value of an integer.
	Min *Integer `yaml:"min" json:"min"`
	// Max is the largest value of an integer.
	Max *Integer `yaml:"max" json:"max"`
	// OneOf are the values of which it must be one: addresses, integers, 0x bytes,
	// texts, true, false.
	OneOf []string `yaml:"oneOf" json:"oneOf"`
}

// Domain is a domain of EIP-712. What is empty is not compared.
type Domain struct {
	// Name is the domain's.
	Name string `yaml:"name" json:"name"`
	// Version is the domain's.
	Version string `yaml:"version" json:"version"`
	// ChainID is the domain's.
	ChainID uint64 `yaml:"chainId" json:"chainId"`
	// VerifyingContract is the domain's, an address.
	VerifyingContract string `yaml:"verifyingContract" json:"verifyingContract"`
}

// Scope is what a limit counts apart.
type Scope string

// The scopes.
const (
	PerRule      Scope = "rule"
	PerTenant    Scope = "tenant"
	PerCaller    Scope = "caller"
	PerSender    Scope = "sender"
	PerRecipient Scope = "recipient"
)

// Limit bounds sums over a time that slides: in no stretch of that length is
// more let through. What stops counting does so in steps of a sixtieth of it.
type Limit struct {
	// Period is the length of the window, 1m at least and 8784h (366 days) at most.
	Period time.Duration `yaml:"period" json:"period"`
	// Per is what is counted apart: rule (all together, the default), tenant,
	// caller, sender or recipient.
	Per Scope `yaml:"per" json:"per"`
	// Count is the most requests.
	Count *uint64 `yaml:"count" json:"count"`
	// Value is the largest sum of values, in wei or with a unit.
	Value *Amount `yaml:"value" json:"value"`
	// Gas is the largest sum of gas limits. A request that leaves the gas to the
	// signer is not allowed by such a rule.
	Gas *uint64 `yaml:"gas" json:"gas"`
}

// Bounds of a window: the buckets it is counted in are a second long at least.
const (
	MinPeriod = time.Minute
	MaxPeriod = 366 * 24 * time.Hour
)

// maxRules bounds what every request is compared with.
const maxRules = 1000

// Validate reports everything that is wrong.
func (c Config) Validate() error {
	_, err := New(c)
	return err
}

// IsSet says whether there is a rule.
func (c Config) IsSet() bool { return len(c.Rules) > 0 }

// version names the rules: equal rules have equal versions.
func (c Config) version() (string, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("name the rules: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:6]), nil
}

func (r Rule) validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	switch r.Effect {
	case EffectAllow, EffectDeny, EffectApproval:
	default:
		check(false, "effect %q: must be allow, deny or require_approval", r.Effect)
	}
	isApproval := r.Effect == EffectApproval
	check(!isApproval || r.Approvals >= 1, "approvals: must be at least 1 for require_approval")
	check(isApproval || r.Approvals == 0 && len(r.Approvers) == 0, "approvals, approvers: are for require_approval only")
	check(len(r.Approvers) == 0 || len(r.Approvers) >= r.Approvals, "approvers: are fewer than approvals")
	check(r.Effect != EffectDeny || len(r.Limits) == 0, "limits: have no meaning for deny")
	for _, k := range r.Kinds {
		switch k {
		case KindTransaction, KindDeploy, KindMessage, KindTypedData:
			check(!isApproval || k == KindTransaction || k == KindDeploy, "kinds: only transaction and deploy can wait for approval")
		default:
			check(false, "kinds %q: must be transaction, deploy, message or typed_data", k)
		}
	}
	for name, length := range map[string]int{
		"kinds": emptied(r.Kinds), "tenants": emptied(r.Tenants), "callers": emptied(r.Callers), "senders": emptied(r.Senders), "chains": emptied(r.Chains),
		"recipients": emptied(r.Recipients), "methods": emptied(r.Methods), "domains": emptied(r.Domains), "primaryTypes": emptied(r.PrimaryTypes),
		"codeHashes": emptied(r.CodeHashes), "approvers": emptied(r.Approvers),
	} {
		check(length != 0, "%s: an empty list matches nothing; leave it out to match everything", name)
	}
	seen := map[Limit]bool{}
	for _, l := range r.Limits {
		if err := l.validate(); err != nil {
			errs = append(errs, fmt.Errorf("limits: %w", err))
		}
		same := Limit{Period: l.Period, Per: l.scope()}
		check(!seen[same], "limits: two have the same period and per")
		seen[same] = true
	}
	return errors.Join(errs...)
}

// emptied is the length of a list; 1 for one that was left out.
func emptied[T any](list []T) int {
	if list == nil {
		return 1
	}
	return len(list)
}

func (l Limit) scope() Scope {
	if l.Per == "" {
		return PerRule
	}
	return l.Per
}

func (l Limit) validate() error {
	switch l.scope() {
	case PerRule, PerTenant, PerCaller, PerSender, PerRecipient:
	default:
		return fmt.Errorf("per %q: must be rule, tenant, caller, sender or recipient", l.Per)
	}
	if l.Period < MinPeriod || l.Period > MaxPeriod {
		return fmt.Errorf("period %s: must be between %s and %s", l.Period, MinPeriod, MaxPeriod)
	}
	if l.Count == nil && l.Value == nil && l.Gas == nil {
		return errors.New("count, value or gas must be given")
	}
	return nil
}
