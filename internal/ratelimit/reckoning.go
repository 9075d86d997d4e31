package ratelimit

// reckoning is what is asked of one budget at once, all for one subject. Its
// calls are reckoned one after the other.
type reckoning struct {
	budget  *budget
	subject Subject // its Method does not matter
	// rules are those that match any of the methods, in the order of the budget.
	rules []*rule
	calls []counting
	// isWhole counts all of the calls or none.
	isWhole bool
}

// counting is n calls of one method, which are counted together or not at all.
type counting struct {
	rules []int // of the reckoning's rules
	n     int
}

// reckon prepares what is to be counted for calls of some methods. Calls of the
// same method share their rules.
func (b *budget) reckon(s Subject, methods []string) *reckoning {
	r := &reckoning{budget: b, subject: s, calls: make([]counting, len(methods))}
	places := make([]int, len(b.rules)) // in r.rules, from 1
	matching := make(map[string][]int, 4)
	for i, method := range methods {
		of, isKnown := matching[method]
		if !isKnown {
			for place, rule := range b.rules {
				if rule.Methods.Match(method) {
					of = append(of, place)
					places[place] = 1
				}
			}
			matching[method] = of
		}
		r.calls[i] = counting{of, 1}
	}
	for place, rule := range b.rules {
		if places[place] > 0 {
			r.rules = append(r.rules, rule)
			places[place] = len(r.rules)
		}
	}
	for _, of := range matching { // from places in the budget to places in r.rules
		for i := range of {
			of[i] = places[of[i]] - 1
		}
	}
	return r
}

// isFree says whether no rule holds for any of the calls.
func (r *reckoning) isFree() bool { return len(r.rules) == 0 }

// denyAll makes of the decisions of a reckoning as a whole what they are
// together: the first denial is that of all calls.
func denyAll(decisions []Decision) []Decision {
	for _, d := range decisions {
		if d.Allowed {
			continue
		}
		for i := range decisions {
			decisions[i] = d
		}
		break
	}
	return decisions
}
