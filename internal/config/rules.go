package config

import (
	"time"

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
		isOn := f.Hedge.MaxCount == nil || *f.Hedge.MaxCount > 0
		rule.MayHedge = &isOn
		rule.HedgeMinDelay, rule.HedgeMaxDelay = hedgeBounds(f.Hedge.Delay)
	}
	rule.Consensus = f.Consensus.policy()
	return rule
}

// hedgeBounds gives the least and the longest time before a hedge. A delay
// without a quantile is both.
func hedgeBounds(d *AdaptiveDuration) (least, most *time.Duration) {
	switch {
	case d == nil:
		return nil, nil
	case d.Quantile == nil && d.Base != nil:
		return d.Base, d.Base
	default:
		return or(d.Min, d.Base), d.Max
	}
}
