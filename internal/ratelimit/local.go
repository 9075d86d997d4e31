package ratelimit

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// shardCount spreads the counters over locks. It is a power of two.
const shardCount = 64

// localCounters counts in memory. A counter of its own lock belongs to every
// rule that all requests share; those of clients and networks are found in
// shards, whose number of counters is bounded.
type localCounters struct {
	shared []counter // by the number of the rule
	shards [shardCount]shard
	seed   maphash.Seed
	most   int // counters in one shard
}

type shard struct {
	mu       sync.Mutex
	counters map[counterKey]*counter
}

// counterKey is whom a counter counts. What a rule does not count apart is zero.
type counterKey struct {
	rule          int
	user, network string
	ip            netip.Addr
}

// counter is one window under a lock.
type counter struct {
	mu     sync.Mutex
	window window
	period time.Duration
}

func newLocalCounters(rules, maxKeys int) *localCounters {
	l := &localCounters{shared: make([]counter, rules), seed: maphash.MakeSeed(), most: max(1, maxKeys/shardCount)}
	for i := range l.shards {
		l.shards[i].counters = map[counterKey]*counter{}
	}
	return l
}

// allow reckons calls one after the other. The counters are locked in the order
// of the rules, which is the same for all requests.
func (l *localCounters) allow(now time.Time, r *reckoning) []Decision {
	counters := make([]*counter, 0, 8)
	for _, of := range r.rules {
		counters = append(counters, l.find(now, of, r.subject))
	}
	for _, c := range counters { // after the last shard: a shard's lock is never asked for under a counter's
		c.mu.Lock()
		defer c.mu.Unlock()
	}
	windows := make([]window, len(counters)) // as they are after the calls so far
	for i, c := range counters {
		windows[i] = c.window.at(now, r.rules[i].Period)
	}
	decisions, isDenied := make([]Decision, len(r.calls)), false
	for i, call := range r.calls {
		decisions[i] = r.take(now, windows, call)
		isDenied = isDenied || !decisions[i].Allowed
	}
	if r.isWhole && isDenied {
		return decisions
	}
	for i, c := range counters {
		c.window = windows[i]
	}
	return decisions
}

// take checks all rules of a call and counts it in their windows if all have room.
func (r *reckoning) take(now time.Time, windows []window, call counting) Decision {
	d := Decision{Allowed: true}
	for _, i := range call.rules {
		of := r.rules[i]
		wait := windows[i].wait(now, of.Period, float64(call.n), float64(of.MaxCount))
		if wait > 0 && d.Allowed {
			d = Decision{Rule: of.name}
		}
		d.RetryAfter = max(d.RetryAfter, wait)
	}
	if d.Allowed {
		for _, i := range call.rules {
			windows[i].current += float64(call.n)
		}
	}
	return d
}

// find gives the counter of a rule for a subject. One that another request
// pushes out at this moment loses the count, nothing more.
func (l *localCounters) find(now time.Time, r *rule, s Subject) *counter {
	if r.isShared() {
		return &l.shared[r.number]
	}
	key := keyOf(r, s)
	in := &l.shards[maphash.Comparable(l.seed, key)%shardCount]
	in.mu.Lock()
	defer in.mu.Unlock()
	c := in.counters[key]
	if c == nil {
		if len(in.counters) >= l.most {
			in.makeRoom(now)
		}
		c = &counter{period: r.Period}
		in.counters[key] = c
	}
	return c
}

// keyOf is whom a rule counts a subject as.
func keyOf(r *rule, s Subject) counterKey {
	key := counterKey{rule: r.number}
	if r.PerUser {
		key.user = s.User
	}
	if r.PerNetwork {
		key.network = s.Network
	}
	if r.PerIP {
		key.ip = clientAddress(s.IP)
	}
	return key
}

// clientAddress is an address as it is counted: of IPv6 the first 64 bits, since
// a client can take any address below them.
func clientAddress(ip netip.Addr) netip.Addr {
	ip = ip.Unmap().WithZone("")
	if !ip.Is6() {
		return ip
	}
	const bits = 64
	prefix, err := ip.Prefix(bits)
	if err != nil {
		return ip
	}
	return prefix.Addr()
}

// makeRoom drops, of a few counters taken at random, those that count nothing
// any more, or else the one whose window ends first.
func (s *shard) makeRoom(now time.Time) {
	const look = 8
	looked, first := 0, counterKey{}
	var firstEnd int64
	dropped := false
	for key, c := range s.counters {
		c.mu.Lock()
		end := (c.window.index + 2) * int64(c.period) // of the last period that counts it
		c.mu.Unlock()
		if end <= now.UnixNano() {
			delete(s.counters, key)
			dropped = true
		} else if looked == 0 || end < firstEnd {
			first, firstEnd = key, end
		}
		if looked++; looked == look {
			break
		}
	}
	if !dropped {
		delete(s.counters, first)
	}
}

func (l *localCounters) size() int {
	n := 0
	for i := range l.shards {
		l.shards[i].mu.Lock()
		n += len(l.shards[i].counters)
		l.shards[i].mu.Unlock()
	}
	return n
}
