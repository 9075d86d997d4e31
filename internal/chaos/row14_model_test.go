package chaos

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// Row 14: every interleaving of three replicas and three transactions of one
// sender, with crashes, lost leases and frozen processes anywhere. A replica's
// steps are those of the driver: take the lease and read next_nonce, claim,
// sign, commit, and offer what is committed to the node. The chain takes the
// bytes that it was offered in the order of their nonces.

const (
	replicas = 3
	requests = 3
	nonces   = 5 // more than there are requests: a fault may use too many
	none     = -1
)

// protections are the guards of the design, each of which can be taken out.
type protections struct {
	fence       bool // the commit requires the lease's epoch and next_nonce
	writeFirst  bool // bytes leave only when they are committed
	status      bool // the commit requires the transaction to be queued
	primaryKey  bool // the database takes a nonce once
	uniqueIndex bool // the database takes a transaction once
}

// actor is what one replica believes.
type actor struct {
	leads  bool // it believes that it holds the lease
	stale  bool // somebody else has taken it since
	next   int8
	tx     int8 // claimed, or none
	signed bool
}

// order is a number that is another one for every actor.
func (a actor) order() int {
	n := int(a.next)*8 + int(a.tx) + 1
	for _, flag := range []bool{a.leads, a.stale, a.signed} {
		n *= 2
		if flag {
			n++
		}
	}
	return n
}

// model is one state of the world. It is comparable.
type model struct {
	next      int8
	committed [nonces]uint8 // transactions with bytes in the database, as bits
	sent      [nonces]uint8 // transactions whose bytes the node has
	mined     [nonces]int8
	cancelled uint8 // transactions that a client took back before they had a nonce
	actors    [replicas]actor
}

func start() model {
	var m model
	for i := range m.mined {
		m.mined[i] = none
	}
	for i := range m.actors {
		m.actors[i].tx = none
	}
	return m.normal()
}

// normal sorts the replicas, which are all alike.
func (m model) normal() model {
	less := func(a, b actor) bool { return a.order() < b.order() }
	a := &m.actors
	for i := range a {
		for j := i + 1; j < len(a); j++ {
			if less(a[j], a[i]) {
				a[i], a[j] = a[j], a[i]
			}
		}
	}
	return m
}

func bit(tx int8) uint8 { return 1 << tx }

// queued says whether a transaction waits for a nonce.
func (m model) queued(tx int8) bool { return m.cancelled&bit(tx) == 0 && !m.hasNonce(tx) }

func (m model) hasNonce(tx int8) bool {
	for _, c := range m.committed {
		if c&bit(tx) != 0 {
			return true
		}
	}
	return false
}

func (m model) firstQueued() int8 {
	for tx := range int8(requests) {
		if m.queued(tx) {
			return tx
		}
	}
	return none
}

// head is the chain's transaction count of the sender.
func (m model) head() int8 {
	for n, tx := range m.mined {
		if tx == none {
			return int8(n)
		}
	}
	return nonces
}

// pending is the count with what waits in the node's pool.
func (m model) pending() int8 {
	n := m.head()
	for n < nonces && m.sent[n] != 0 {
		n++
	}
	return n
}

// hasOpen says whether a committed nonce is not in a block.
func (m model) hasOpen() bool {
	for n, c := range m.committed {
		if c != 0 && m.mined[n] == none {
			return true
		}
	}
	return false
}

// steps lists every state that may follow.
func (m model) steps(p protections) []model {
	var out []model
	add := func(s model) { out = append(out, s.normal()) }
	for i := range m.actors {
		if m.actors[i].leads { // it crashes, or learns that its lease is gone
			s := m
			s.actors[i] = actor{tx: none}
			add(s)
			for _, next := range m.act(i, p) {
				add(next)
			}
			continue
		}
		// The lease has run out, whatever its holder is doing.
		s := m
		for j := range s.actors {
			s.actors[j].stale = s.actors[j].leads
		}
		if !s.hasOpen() {
			s.next = max(s.next, s.pending()) // the nonce is taken from the chain
		}
		s.actors[i] = actor{leads: true, next: s.next, tx: none}
		add(s)
	}
	for tx := range int8(requests) { // a client cancels what has no nonce
		if m.queued(tx) {
			s := m
			s.cancelled |= bit(tx)
			add(s)
		}
	}
	for n, c := range m.committed { // committed bytes are sent, by anyone and any number of times
		if c&^m.sent[n] != 0 {
			s := m
			s.sent[n] |= c
			add(s)
		}
	}
	if n := m.head(); n < nonces {
		for tx := range int8(requests) {
			if m.sent[n]&bit(tx) != 0 {
				s := m
				s.mined[n] = tx
				add(s)
			}
		}
	}
	return out
}

// act is the next step of a driver that goes on.
func (m model) act(i int, p protections) []model {
	a := m.actors[i]
	s := m
	switch {
	case a.next >= nonces:
		return nil
	case a.tx == none:
		s.actors[i].tx = m.firstQueued()
		if s.actors[i].tx == none {
			return nil
		}
	case !a.signed:
		s.actors[i].signed = true
		if !p.writeFirst {
			s.sent[a.next] |= bit(a.tx)
		}
	default:
		s.actors[i].tx, s.actors[i].signed = none, false
		refused := p.fence && (a.stale || a.next != m.next) ||
			p.status && !m.queued(a.tx) ||
			p.primaryKey && m.committed[a.next] != 0 ||
			p.uniqueIndex && m.hasNonce(a.tx)
		if refused {
			s.actors[i] = actor{tx: none} // the session ends and reads anew
			return []model{s}
		}
		s.committed[a.next] |= bit(a.tx)
		s.next = max(m.next, a.next+1)
		s.actors[i].next = a.next + 1
	}
	return []model{s}
}

// wrong says what is broken in a state, "" for nothing.
func (m model) wrong() string {
	executed := map[int8]int{}
	for _, tx := range m.mined {
		if tx == none {
			continue
		}
		if executed[tx]++; executed[tx] > 1 {
			return "a request is executed twice"
		}
		if m.cancelled&bit(tx) != 0 {
			return "a request is executed although it was cancelled"
		}
	}
	for n, c := range m.committed {
		if c&(c-1) != 0 {
			return "a nonce was given to two requests"
		}
		if c != 0 && n >= int(m.next) {
			return "a nonce is beyond next_nonce"
		}
	}
	return ""
}

func (m model) isDone() bool {
	executed := m.cancelled
	for _, tx := range m.mined {
		if tx != none {
			executed |= bit(tx)
		}
	}
	return executed == 1<<requests-1 && m.firstQueued() == none
}

// explore visits every state up to the wrong ones. It returns their number, and
// what is wrong in any of them; a state from which not everything can be
// executed any more is wrong, too. It ends early when it has found what is
// looked for.
func explore(p protections, want string) (states int, faults []string) {
	first := start()
	index := map[model]int{first: 0}
	all := []model{first}
	var before [][]int32 // for each state those that lead to it
	before = append(before, nil)
	for at := 0; at < len(all); at++ {
		if fault := all[at].wrong(); fault != "" {
			if !slices.Contains(faults, fault) {
				faults = append(faults, fault)
			}
			if fault == want {
				return len(all), faults
			}
			continue
		}
		for _, next := range all[at].steps(p) {
			to, known := index[next]
			if !known {
				to = len(all)
				index[next], all, before = to, append(all, next), append(before, nil)
			}
			before[to] = append(before[to], int32(at))
		}
	}
	if len(faults) > 0 {
		return len(all), faults
	}
	// Backwards from the good ends: who is not reached is stuck.
	reached := make([]bool, len(all))
	var todo []int32
	for i, m := range all {
		if m.isDone() {
			reached[i] = true
			todo = append(todo, int32(i))
		}
	}
	for len(todo) > 0 {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, from := range before[at] {
			if !reached[from] {
				reached[from] = true
				todo = append(todo, from)
			}
		}
	}
	for i, isReached := range reached {
		if !isReached {
			return len(all), []string{fmt.Sprintf("no way from here to the end: %+v", all[i])}
		}
	}
	return len(all), nil
}

// The fence, and bytes that are written before they leave, are enough; without
// either the model finds the run in which it goes wrong. What the database
// refuses by its keys is a second line behind the fence.
func TestRow14_EveryInterleaving(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		p    protections
		want string // a fault that must be found, "" for none at all
	}{
		{"the design", protections{fence: true, writeFirst: true, status: true, primaryKey: true, uniqueIndex: true}, ""},
		{"without the database's keys", protections{fence: true, writeFirst: true, status: true}, ""},
		{"without the fence and the keys", protections{writeFirst: true, status: true}, "a nonce was given to two requests"},
		{"without the fence, with the keys", protections{writeFirst: true, status: true, primaryKey: true, uniqueIndex: true}, ""},
		{"without the fence and the primary key", protections{writeFirst: true, status: true, uniqueIndex: true}, "a nonce was given to two requests"},
		{"only the primary key", protections{writeFirst: true, primaryKey: true}, "a request is executed although it was cancelled"},
		{"only the keys", protections{writeFirst: true, primaryKey: true, uniqueIndex: true}, "a request is executed although it was cancelled"},
		{"without the look at the status", protections{fence: true, writeFirst: true, primaryKey: true, uniqueIndex: true}, "a request is executed although it was cancelled"},
		{"bytes leave before they are written", protections{fence: true, status: true, primaryKey: true, uniqueIndex: true}, "a request is executed twice"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			states, faults := explore(c.p, c.want)
			t.Logf("%d states, wrong: %q", states, faults)
			if c.want == "" {
				require.Empty(t, faults)
				return
			}
			require.Contains(t, faults, c.want)
		})
	}
}

// The database itself refuses a second live nonce for a transaction, and a
// second transaction for a nonce: a program that errs fails loudly.
func TestRow14_TheDatabaseRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{accounts: 1})
	w.replica(t).start(t)
	w.load(t, 0, 2)
	w.judge(t, verdict{accepted: 2})

	_, err := w.db.Exec(t.Context(), `insert into nonce_slots (chain_id, sender, nonce, tx_id) select chain_id, sender, 7, tx_id from nonce_slots where nonce = 0`)
	require.ErrorContains(t, err, "nonce_slots_live", "a second nonce for a transaction")
	_, err = w.db.Exec(t.Context(), `insert into nonce_slots (chain_id, sender, nonce, tx_id, state) select chain_id, sender, 0, tx_id, 'stolen' from nonce_slots where nonce = 1`)
	require.ErrorContains(t, err, "nonce_slots_pkey", "a second transaction for a nonce")
	_, err = w.db.Exec(t.Context(), `update transactions set status = 'queued'`)
	require.ErrorContains(t, err, "no move from confirmed to queued")
	_, err = w.db.Exec(t.Context(), `delete from tx_events`)
	require.ErrorContains(t, err, "append-only")
}
