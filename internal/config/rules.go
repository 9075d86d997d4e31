package config

import (
	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

// poolRules turns the network's rules into the pool's. What is wrong with a
// pattern is reported at its place.
func poolRules(list []FailsafeRule, path string, r *report) []upstreams.Rule {
	var out []upstreams.Rule
	for i, rule := range list {
		pattern, err := methods.ParsePattern(rule.MatchMethod)
		if err != nil {
			r.fail(spot{path: path}.item(i).path+".matchMethod", "%s", err)
			continue
		}
		out = append(out, rule.poolRule(pattern))
	}
	return out
}

// poolRule maps one rule. A round asks every node once, as one attempt of
// eRPC's network retry does.
func (f FailsafeRule) poolRule(pattern methods.Pattern) upstreams.Rule {
	rule := upstreams.Rule{Methods: pattern}
	for _, finality := range f.MatchFinality {
		rule.Finalities = append(rule.Finalities, upstreams.Finality(finality))
	}
	if f.Timeout != nil {
		// A bound from a quantile is not computed: its longest time holds.
		rule.Timeout = or(f.Timeout.Max, f.Timeout.Base)
		if f.Timeout.Quantile == nil {
			rule.Timeout = or(f.Timeout.Base, f.Timeout.Max)
		}
	}
	if retry := f.Retry; retry != nil {
		rule.Rounds, rule.Pause, rule.PauseMax, rule.PauseJitter = retry.MaxAttempts, retry.Delay, retry.BackoffMaxDelay, retry.Jitter
		rule.PauseFactor = retry.BackoffFactor
	}
	if f.Hedge != nil {
		f.Hedge.apply(&rule)
	}
	rule.Consensus = f.Consensus.policy()
	return rule
}

// apply maps a hedge. One that does not say how many nodes it asks means the
// default, also where a rule for heavy calls would ask none. A delay without a
// quantile is that delay; with one the base is added to it.
func (h HedgeRule) apply(rule *upstreams.Rule) {
	count := upstreams.DefaultFailsafe().MaxHedges
	rule.MaxHedges = or(h.MaxCount, &count)
	switch d := h.Delay; {
	case d == nil:
	case d.Quantile == nil && d.Base != nil:
		rule.HedgeMinDelay, rule.HedgeMaxDelay = d.Base, d.Base
	default:
		rule.HedgeBase, rule.HedgeQuantile, rule.HedgeMinDelay, rule.HedgeMaxDelay = d.Base, d.Quantile, d.Min, d.Max
	}
}
