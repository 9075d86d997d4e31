package config

import (
	"slices"
	"strings"
	"time"
)

// FailsafeRule says how requests of one sort are tried. What it leaves out is
// nil and inherited; a zero that is there means zero.
type FailsafeRule struct {
	// MatchMethod is a pattern of methods: names with *, joined by |.
	MatchMethod string
	// MatchFinality lists the kinds of data the rule is for: finalized,
	// unfinalized, realtime or unknown. Without any it is for all.
	MatchFinality []string
	// Timeout bounds the request.
	Timeout *AdaptiveDuration
	// Retry says how failed requests are tried again.
	Retry *RetryRule
	// Hedge says when a second node is asked as well.
	Hedge *HedgeRule
	// CircuitBreaker says when a node is left alone.
	CircuitBreaker *CircuitBreakerRule
	// Consensus asks several nodes.
	Consensus *ConsensusFile
}

// AdaptiveDuration is a time, or a quantile of recent times within bounds. In a
// file it is a duration, or a section.
type AdaptiveDuration struct {
	// Time without a quantile; with one it is added to it.
	Base *time.Duration `yaml:"base,omitempty"`
	// Quantile of the node's recent answers, between 0 and 1.
	Quantile *float64 `yaml:"quantile,omitempty"`
	// Least time.
	Min *time.Duration `yaml:"min,omitempty"`
	// Longest time.
	Max *time.Duration `yaml:"max,omitempty"`
}

// UnmarshalText reads a duration that stands alone.
func (a *AdaptiveDuration) UnmarshalText(text []byte) error {
	d, err := parseDuration(string(text))
	if err != nil {
		return err
	}
	*a = AdaptiveDuration{Base: &d}
	return nil
}

// RetryRule is the part retry of a rule.
type RetryRule struct {
	// How often a request is tried, the first time included.
	MaxAttempts *int `yaml:"maxAttempts,omitempty"`
	// Time before the second try.
	Delay *time.Duration `yaml:"delay,omitempty"`
	// Factor by which the delay grows with every try.
	BackoffFactor *float64 `yaml:"backoffFactor,omitempty"`
	// Longest delay.
	BackoffMaxDelay *time.Duration `yaml:"backoffMaxDelay,omitempty"`
	// Largest random addition to a delay.
	Jitter *time.Duration `yaml:"jitter,omitempty"`
	// Methods whose empty answers are taken as they are.
	EmptyResultAccept []string `yaml:"emptyResultAccept,omitempty"`
	// Older name of emptyResultAccept.
	EmptyResultIgnore []string `yaml:"emptyResultIgnore,omitempty"`
	// How often a request with empty answers is tried.
	EmptyResultMaxAttempts *int `yaml:"emptyResultMaxAttempts,omitempty"`
	// Time before an empty answer is asked for again.
	EmptyResultDelay *time.Duration `yaml:"emptyResultDelay,omitempty"`
}

// HedgeRule is the part hedge of a rule.
type HedgeRule struct {
	// Delay is how long the first node may take before another is asked.
	Delay *AdaptiveDuration
	// MaxCount is how many more nodes are asked, one after the other; 0 asks none.
	MaxCount *int
}

// CircuitBreakerRule is the part circuitBreaker of a rule.
type CircuitBreakerRule struct {
	// Failures among the last failureThresholdCapacity answers at which the node is left alone.
	FailureThresholdCount *int `yaml:"failureThresholdCount,omitempty"`
	// Answers that are looked at.
	FailureThresholdCapacity *int `yaml:"failureThresholdCapacity,omitempty"`
	// Time after which the node is tried again.
	HalfOpenAfter *time.Duration `yaml:"halfOpenAfter,omitempty"`
	// Successes among the last successThresholdCapacity trials at which the node is used again.
	SuccessThresholdCount *int `yaml:"successThresholdCount,omitempty"`
	// Trials that are looked at.
	SuccessThresholdCapacity *int `yaml:"successThresholdCapacity,omitempty"`
}

// FailsafeFile is a rule as it stands in the file.
type FailsafeFile struct {
	// Methods the rule is for: names with *, joined by |. Left out: all.
	MatchMethod string `yaml:"matchMethod,omitempty"`
	// Kinds of data the rule is for: finalized, unfinalized, realtime, unknown. Left out: all.
	MatchFinality []string `yaml:"matchFinality,omitempty"`
	// Bound of the request.
	Timeout *TimeoutFile `yaml:"timeout,omitempty"`
	// How failed requests are tried again.
	Retry *RetryRule `yaml:"retry,omitempty"`
	// When a second node is asked as well.
	Hedge *HedgeFile `yaml:"hedge,omitempty"`
	// When a node is left alone.
	CircuitBreaker *CircuitBreakerRule `yaml:"circuitBreaker,omitempty"`
	// Several nodes are asked for a read, and enough of them must agree.
	Consensus *ConsensusFile `yaml:"consensus,omitempty"`
}

// TimeoutFile is the section timeout of a rule.
type TimeoutFile struct {
	// Time, or a section of base, quantile, min and max.
	Duration *AdaptiveDuration `yaml:"duration,omitempty"`
	// Older form of duration.quantile.
	Quantile *float64 `yaml:"quantile,omitempty"`
	// Older form of duration.min.
	MinDuration *time.Duration `yaml:"minDuration,omitempty"`
	// Older form of duration.max.
	MaxDuration *time.Duration `yaml:"maxDuration,omitempty"`
}

// HedgeFile is the section hedge of a rule.
type HedgeFile struct {
	// Time, or a section of base, quantile, min and max.
	Delay *AdaptiveDuration `yaml:"delay,omitempty"`
	// How many more nodes are asked, each when the one before is slow too; 0 asks none. Left out: 2.
	MaxCount *int `yaml:"maxCount,omitempty"`
	// Older form of delay.quantile.
	Quantile *float64 `yaml:"quantile,omitempty"`
	// Older form of delay.min.
	MinDelay *time.Duration `yaml:"minDelay,omitempty"`
	// Older form of delay.max.
	MaxDelay *time.Duration `yaml:"maxDelay,omitempty"`
}

// or is the first of two values that is there.
func or[T any](own, base *T) *T {
	if own != nil {
		return own
	}
	return base
}

// rules turns what the file says into rules; older forms become the new ones.
func rules(files []FailsafeFile) []FailsafeRule {
	var out []FailsafeRule
	for _, f := range files {
		out = append(out, f.rule())
	}
	return out
}

func (f FailsafeFile) rule() FailsafeRule {
	r := FailsafeRule{MatchMethod: f.MatchMethod, MatchFinality: f.MatchFinality, CircuitBreaker: f.CircuitBreaker, Consensus: f.Consensus}
	if r.MatchMethod == "" {
		r.MatchMethod = "*"
	}
	if f.Timeout != nil {
		r.Timeout = newer(f.Timeout.Duration, f.Timeout.Quantile, f.Timeout.MinDuration, f.Timeout.MaxDuration)
	}
	if f.Hedge != nil {
		r.Hedge = &HedgeRule{newer(f.Hedge.Delay, f.Hedge.Quantile, f.Hedge.MinDelay, f.Hedge.MaxDelay), f.Hedge.MaxCount}
	}
	if f.Retry != nil {
		retry := *f.Retry
		if retry.EmptyResultAccept == nil {
			retry.EmptyResultAccept = retry.EmptyResultIgnore
		}
		retry.EmptyResultIgnore = nil
		r.Retry = &retry
	}
	return r
}

// newer adds the older form of an adaptive time to the new one, which wins.
func newer(a *AdaptiveDuration, quantile *float64, least, most *time.Duration) *AdaptiveDuration {
	older := AdaptiveDuration{Quantile: quantile, Min: least, Max: most}
	if older == (AdaptiveDuration{}) {
		return a
	}
	if a == nil {
		return &older
	}
	return &AdaptiveDuration{a.Base, or(a.Quantile, quantile), or(a.Min, least), or(a.Max, most)}
}

// checkRules says what no rule may say. The path is that of the list.
func checkRules(files []FailsafeFile, path string, r *report) {
	for i, f := range files {
		at := spot{path: path}.item(i).path
		if _, isList := r.places[at]; !isList {
			at = path // one rule alone
		}
		for _, finality := range f.MatchFinality {
			checkFinality(finality, at+".matchFinality", r)
		}
		if slices.Contains(strings.Split(f.MatchMethod, "|"), "") && f.MatchMethod != "" {
			r.fail(at+".matchMethod", "an empty pattern between two |")
		}
		checkTimes(f, at, r)
		checkRetry(f.Retry, at+".retry", r)
		checkConsensus(f.Consensus, at+".consensus", r)
		checkBreaker(f.CircuitBreaker, at+".circuitBreaker", r)
	}
}

func checkFinality(finality, at string, r *report) {
	if !slices.Contains([]string{"finalized", "unfinalized", "realtime", "unknown"}, finality) {
		r.fail(at, "must be finalized, unfinalized, realtime or unknown")
	}
}

func checkTimes(f FailsafeFile, at string, r *report) {
	rule := f.rule()
	if rule.Timeout != nil {
		checkAdaptive(*rule.Timeout, at+".timeout", r)
		if isZero(rule.Timeout.Base) || isZero(rule.Timeout.Max) {
			r.fail(at+".timeout.duration", "must be more than zero; leave it out for no bound of its own")
		}
	}
	if rule.Hedge == nil {
		return
	}
	if rule.Hedge.Delay != nil {
		checkAdaptive(*rule.Hedge.Delay, at+".hedge", r)
	}
	atLeast(rule.Hedge.MaxCount, 0, at+".hedge.maxCount", r)
}

func isZero(d *time.Duration) bool { return d != nil && *d == 0 }

func checkAdaptive(a AdaptiveDuration, at string, r *report) {
	if a.Quantile != nil && (*a.Quantile <= 0 || *a.Quantile >= 1) {
		r.fail(at, "the quantile must be between 0 and 1, such as 0.95")
	}
	if a.Min != nil && a.Max != nil && *a.Max < *a.Min {
		r.fail(at, "the longest time must not be less than the least")
	}
}

func checkRetry(retry *RetryRule, at string, r *report) {
	if retry == nil {
		return
	}
	atLeast(retry.MaxAttempts, 1, at+".maxAttempts", r)
	atLeast(retry.EmptyResultMaxAttempts, 1, at+".emptyResultMaxAttempts", r)
	if retry.BackoffFactor != nil && *retry.BackoffFactor < 1 {
		r.fail(at+".backoffFactor", "must be at least 1")
	}
}

func checkBreaker(b *CircuitBreakerRule, at string, r *report) {
	if b == nil {
		return
	}
	atLeast(b.FailureThresholdCount, 1, at+".failureThresholdCount", r)
	atLeast(b.FailureThresholdCapacity, 1, at+".failureThresholdCapacity", r)
	atLeast(b.SuccessThresholdCount, 1, at+".successThresholdCount", r)
	atLeast(b.SuccessThresholdCapacity, 1, at+".successThresholdCapacity", r)
	notMore(b.FailureThresholdCount, b.FailureThresholdCapacity, at+".failureThresholdCount", "failureThresholdCapacity", r)
	notMore(b.SuccessThresholdCount, b.SuccessThresholdCapacity, at+".successThresholdCount", "successThresholdCapacity", r)
}

func atLeast(n *int, least int, at string, r *report) {
	if n != nil && *n < least {
		r.fail(at, "must be at least %d", least)
	}
}

func notMore(n, most *int, at, other string, r *report) {
	if n != nil && most != nil && *n > *most {
		r.fail(at, "must not be more than %s", other)
	}
}
