package upstreams

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/slipwayhq/slipway/internal/methods"
)

// Cordon takes a node out of use by an operator's word.
type Cordon struct {
	Upstream ID `json:"upstream"`
	// Methods is a pattern of methods; empty means all.
	Methods string `json:"methods,omitempty"`
	// Reason is the operator's.
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since"`
}

// cordonRule is a cordon in a form that can be asked quickly.
type cordonRule struct {
	Cordon
	pattern methods.Pattern
}

// Cordon takes a node out of use: for the methods a pattern means, or for all
// when it is empty. It holds at once and until Uncordon; the poller follows the
// node as before. The same cordon again changes its reason only.
func (p *Pool) Cordon(id ID, pattern, reason string) error {
	return p.addCordon(Cordon{Upstream: id, Methods: pattern, Reason: reason, Since: time.Now()})
}

func (p *Pool) addCordon(c Cordon) error {
	u := p.byID(c.Upstream)
	if u == nil {
		return fmt.Errorf("there is no upstream %q", c.Upstream)
	}
	rule := cordonRule{Cordon: c}
	var err error
	if rule.pattern, err = methods.ParsePattern(cmp.Or(c.Methods, "*")); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	rules := slices.Clone(u.cordonRules())
	if i := slices.IndexFunc(rules, rule.isSame); i >= 0 {
		rule.Since = rules[i].Since
		rules[i] = rule
	} else {
		rules = append(rules, rule)
	}
	u.cordons.Store(&rules)
	return nil
}

// Uncordon takes back a Cordon with the same pattern. Taking back what is not
// there is no error.
func (p *Pool) Uncordon(id ID, pattern string) error {
	u := p.byID(id)
	if u == nil {
		return fmt.Errorf("there is no upstream %q", id)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	same := cordonRule{Cordon: Cordon{Upstream: id, Methods: pattern}}
	rules := slices.DeleteFunc(slices.Clone(u.cordonRules()), same.isSame)
	u.cordons.Store(&rules)
	return nil
}

// Cordons lists what is out of use.
func (p *Pool) Cordons() []Cordon {
	out := []Cordon{}
	for _, u := range p.upstreams {
		for _, rule := range u.cordonRules() {
			out = append(out, rule.Cordon)
		}
	}
	return out
}

// SetCordons replaces all cordons, as a store kept them. Those of nodes that
// are no longer configured, or with a pattern that cannot be read, are left out.
func (p *Pool) SetCordons(list []Cordon) {
	for _, u := range p.upstreams {
		u.cordons.Store(nil)
	}
	for _, c := range list {
		if err := p.addCordon(c); err != nil {
			p.log.Warn("a kept cordon cannot be applied", "upstream", string(c.Upstream), "err", err)
		}
	}
}

func (r cordonRule) isSame(other cordonRule) bool {
	return r.Upstream == other.Upstream && r.Methods == other.Methods
}

func (p *Pool) byID(id ID) *Upstream {
	for _, u := range p.upstreams {
		if u.id == id {
			return u
		}
	}
	return nil
}

func (u *Upstream) cordonRules() []cordonRule {
	if rules := u.cordons.Load(); rules != nil {
		return *rules
	}
	return nil
}

// cordonFor is the cordon that keeps a method from the node, if there is one.
func (u *Upstream) cordonFor(method string) *cordonRule {
	rules := u.cordons.Load()
	if rules == nil {
		return nil
	}
	for i := range *rules {
		if (*rules)[i].pattern.Match(method) {
			return &(*rules)[i]
		}
	}
	return nil
}
