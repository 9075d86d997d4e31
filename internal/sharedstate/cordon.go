package sharedstate

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"
)

// Cordon takes a node out, for one method or for all, until it is lifted.
type Cordon struct {
	// Upstream is the node's id; where ids are not unique, with what makes them so.
	Upstream string `json:"upstream"`
	// Method is the only method concerned; empty for all.
	Method string `json:"method,omitempty"`
	// Reason is why, in the operator's words.
	Reason string `json:"reason,omitempty"`
	// By is who did it.
	By string `json:"by,omitempty"`
	// Since is when.
	Since time.Time `json:"since"`
}

// Reach says for whom a change holds already.
type Reach string

// The reaches. They stand in answers to operators.
const (
	// Shared holds for all gateways, and is still there when they all start anew.
	Shared Reach = "shared"
	// Pending holds here, and for the others once Redis is back.
	Pending Reach = "pending"
	// InMemory holds in this gateway until it ends: nothing is shared.
	InMemory Reach = "in_memory"
)

// place is what a cordon is of.
type place struct{ upstream, method string }

func (c Cordon) place() place { return place{c.Upstream, c.Method} }

// field names a place in Redis. An id may hold any character.
func (p place) field() string {
	text, err := json.Marshal([2]string{p.upstream, p.method})
	if err != nil {
		return ""
	}
	return string(text)
}

// change is a cordon that is set, or lifted.
type change struct {
	cordon Cordon
	lifted bool
	number uint64 // tells two changes of one place apart
}

// with gives the cordons after changes.
func with(stored map[place]Cordon, changes map[place]change) map[place]Cordon {
	out := make(map[place]Cordon, len(stored)+len(changes))
	for p, c := range stored {
		out[p] = c
	}
	for p, c := range changes {
		if c.lifted {
			delete(out, p)
		} else {
			out[p] = c.cordon
		}
	}
	return out
}

// sorted lists cordons by node and method.
func sorted(cordons map[place]Cordon) []Cordon {
	out := make([]Cordon, 0, len(cordons))
	for _, c := range cordons {
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b Cordon) int {
		return cmp.Or(cmp.Compare(a.Upstream, b.Upstream), cmp.Compare(a.Method, b.Method))
	})
	return out
}
