package subscriptions

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"pgregory.net/rapid"

	"github.com/slipwayhq/slipway/internal/chain"
)

// Whatever two nodes do, of which each lags, repeats, invents, falls silent,
// breaks or is not there, and however the chain is reorganised, a client sees
// each head and each log once, linked, and in the end what the chain holds.
func TestHub_EachHeadAndLogOnce(t *testing.T) { //nolint:paralleltest // its bubbles follow each other
	rapid.Check(t, func(rt *rapid.T) {
		actions := rapid.SliceOfN(rapid.SampledFrom([]string{
			"mine", "mine", "mine", "burst", "reorganise", "catch up", "push", "push old", "push invented", "break", "outage", "return", "wait", "swap",
		}), 1, 60).Draw(rt, "actions")
		seed := rapid.Uint64().Draw(rt, "seed")
		isFinal := rapid.Bool().Draw(rt, "final")
		var problem error
		synctest.Test(t, func(t *testing.T) {
			m := newModel(t, seed, isFinal)
			for _, action := range actions {
				m.do(action)
			}
			m.settle()
			problem = m.check()
			m.end()
		})
		if problem != nil {
			rt.Fatal(problem)
		}
	})
}

// model is a hub in front of two nodes that a test drives.
type model struct {
	t           *testing.T
	random      *rand.Rand
	isFinal     bool
	net         *fakeNetwork
	hub         *Hub
	client      *Client
	got         *collected
	heads, logs string
	base, best  *fakeBlock
	salt        int
	end         func()
}

func newModel(t *testing.T, seed uint64, isFinal bool) *model {
	t.Helper()
	m := &model{t: t, random: rand.New(rand.NewPCG(seed, 0)), isFinal: isFinal}
	m.base = newFakeBlock(newFakeBlock(nil, 0), 1)
	m.best = m.base
	m.net = m.network()
	m.hub = newTestHub(t, m.net, func(c *Config) { c.MaxGap = 100_000 })
	stop := run(t.Context(), m.hub)
	m.client = m.hub.NewClient()
	got, wait := collect(t.Context(), m.client)
	m.got = got
	m.heads, m.logs = subscribe(t, m.client, `["newHeads"]`), subscribe(t, m.client, `["logs"]`)
	m.end = func() {
		m.client.Close()
		wait()
		stop()
	}
	return m
}

// network is a new pool: two nodes, one of which answers, by chance.
func (m *model) network() *fakeNetwork {
	n := newFakeNetwork(m.best, 2)
	n.canFollow = true
	if m.isFinal {
		n.finality = chain.Instant
	}
	n.pick = m.someNode(3)
	return n
}

// someNode picks none (of three choices only), the first or the second. It has a
// source of chance of its own, because the hub's questions come when they come.
func (m *model) someNode(choices int) func() int {
	random := rand.New(rand.NewPCG(m.random.Uint64(), 0))
	return func() int { return random.IntN(choices) - choices + 2 }
}

func (m *model) mine(on *fakeBlock) *fakeBlock {
	m.salt++
	var logs []fakeLog
	for range m.random.IntN(3) {
		logs = append(logs, fakeLog{address: common.Address{byte(m.random.IntN(2))}})
	}
	return newFakeBlock(on, m.salt, logs...)
}

// show gives the best block to one node, or both.
func (m *model) show(nodes int) {
	m.net.set(func() {
		first := m.random.IntN(2)
		m.net.heads[first] = m.best
		if nodes > 1 {
			m.net.heads[1-first] = m.best
		}
		if m.random.IntN(2) == 0 { // a poller may be late
			m.net.latest = max(m.net.latest, m.best.number)
		}
	})
}

func (m *model) do(action string) {
	switch action {
	case "mine":
		m.best = m.mine(m.best)
		m.show(1)
	case "burst":
		for range 20 {
			m.best = m.mine(m.best)
		}
		m.show(1)
	case "reorganise":
		if m.isFinal {
			return
		}
		depth := min(uint64(m.random.IntN(5)), m.best.number-m.base.number)
		fork := m.best.at(m.best.number - depth)
		for range depth + 1 {
			fork = m.mine(fork)
		}
		m.best = fork
		m.show(1)
	case "catch up":
		m.show(2)
	case "push":
		m.net.push(m.best.json())
	case "push old":
		m.net.push(m.best.at(m.base.number + uint64(m.random.Int64N(int64(m.best.number-m.base.number)+1))).json())
	case "push invented":
		m.net.push(fmt.Appendf(nil, `{"number":"0x%x"}`, m.best.number+1+uint64(m.random.IntN(1000))))
	case "break":
		m.net.breakStream()
	case "outage":
		m.net.set(func() { m.net.pick = func() int { return -1 } })
	case "return":
		m.net.set(func() { m.net.pick = m.someNode(3) })
	case "wait":
		pause(m.t.Context(), time.Duration(m.random.IntN(3000))*time.Millisecond)
	case "swap":
		m.net = m.network()
		m.hub.Use(m.net)
	}
	if m.random.IntN(2) == 0 {
		synctest.Wait()
	}
}

// settle lets everything become good and gives the hub time.
func (m *model) settle() {
	m.best = m.mine(m.best)
	m.net.show(m.best)
	m.net.set(func() { m.net.pick = m.someNode(2) })
	pause(m.t.Context(), time.Minute)
	synctest.Wait()
}

func (m *model) check() error {
	if err := m.got.ended(); err != nil {
		return fmt.Errorf("the client was let go: %w", err)
	}
	seen := map[string]bool{m.base.hash.Hex(): true}
	last := ""
	for _, head := range m.got.of(m.heads) {
		hash := member(head, "hash")
		if seen[hash] {
			return fmt.Errorf("head %s came twice", hash)
		}
		if !seen[member(head, "parentHash")] {
			return fmt.Errorf("head %s does not follow any", hash)
		}
		seen[hash], last = true, hash
	}
	if last != m.best.hash.Hex() {
		return fmt.Errorf("the last head is %s, not %s", last, m.best.hash.Hex())
	}
	if m.isFinal && len(seen) != int(m.best.number-m.base.number)+1 {
		return fmt.Errorf("%d heads", len(seen))
	}
	return m.checkLogs()
}

func (m *model) checkLogs() error {
	have, added := map[string]bool{}, map[string]bool{}
	for _, log := range m.got.of(m.logs) {
		key := member(log, "blockHash") + member(log, "logIndex")
		isRemoved := member(log, "removed") == "true"
		switch {
		case isRemoved && !have[key]:
			return fmt.Errorf("log %s was taken back without being there", key)
		case !isRemoved && added[key]:
			return fmt.Errorf("log %s came twice", key)
		}
		have[key], added[key] = !isRemoved, true
		if isRemoved {
			delete(have, key)
		}
	}
	want := 0
	for b := m.best; b.number > m.base.number; b = b.parent {
		for i := range b.logs {
			want++
			if key := fmt.Sprintf("%s0x%x", b.hash.Hex(), i); !have[key] {
				return fmt.Errorf("log %s is missing", key)
			}
		}
	}
	if want != len(have) {
		return fmt.Errorf("%d logs instead of %d", len(have), want)
	}
	return nil
}
