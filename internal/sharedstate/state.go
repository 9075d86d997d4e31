package sharedstate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/slipwayhq/slipway/internal/redisconn"
)

// State is the shared state as this gateway knows it. Its methods may be called
// from many goroutines and do not wait for Redis, but for those that say so. New
// makes it; Run sends and reads.
type State struct {
	cfg     Config
	conn    *redisconn.Conn // nil: nothing is shared
	raise   *redis.Script
	append  *redis.Script // of purges
	metrics *Metrics
	wake    chan struct{}

	cordoned atomic.Pointer[map[place]Cordon] // for readers; replaced, never changed

	round  sync.Mutex // held while Redis is asked; taken before mu
	purges purges

	mu       sync.Mutex
	heads    map[string]*head
	stored   map[place]Cordon // as last read from Redis
	changes  map[place]change // not in Redis yet
	number   uint64
	onChange sync.Mutex // one call of OnCordons at a time
}

// New makes a state. It talks to nobody. Run closes what it opened.
func New(cfg Config, m *Metrics) (*State, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("shared state: %w", err)
	}
	s := &State{
		cfg: cfg, metrics: m, wake: make(chan struct{}, 1), raise: redis.NewScript(raiseScript), append: redis.NewScript(purgeScript),
		heads: map[string]*head{}, stored: map[place]Cordon{}, changes: map[place]change{},
	}
	s.cordoned.Store(&map[place]Cordon{})
	for _, network := range cfg.Networks {
		s.heads[network] = &head{}
	}
	if !cfg.Redis.IsSet() {
		return s, nil
	}
	var err error
	if s.conn, err = redisconn.New(cfg.Redis); err != nil {
		return nil, fmt.Errorf("shared state: %w", err)
	}
	return s, nil
}

// Publish says how far a network has come, in block numbers. It costs a lock and
// no more.
func (s *State) Publish(network string, latest, finalized uint64) {
	if s.conn == nil {
		return
	}
	s.mu.Lock()
	h := s.heads[network]
	if h == nil {
		h = &head{}
		s.heads[network] = h
	}
	isNew := h.say(latest, finalized)
	s.mu.Unlock()
	if isNew {
		s.wakeUp()
	}
}

func (s *State) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default: // it is awake already
	}
}

// Cordon takes a node out, in this gateway at once. It waits for Redis, within
// its timeout, to say for whom it holds already.
func (s *State) Cordon(ctx context.Context, c Cordon) Reach {
	if c.Since.IsZero() {
		c.Since = time.Now()
	}
	c.Since = c.Since.UTC().Truncate(time.Second)
	return s.change(ctx, c, false)
}

// Uncordon lets a node in again: it lifts the cordon of exactly this node and
// method. It waits as Cordon does.
func (s *State) Uncordon(ctx context.Context, upstream, method string) Reach {
	return s.change(ctx, Cordon{Upstream: upstream, Method: method}, true)
}

func (s *State) change(ctx context.Context, c Cordon, lifted bool) Reach {
	s.mu.Lock()
	s.number++
	number := s.number
	s.changes[c.place()] = change{c, lifted, number}
	if s.conn == nil { // memory is the store
		s.stored = with(s.stored, s.changes)
		clear(s.changes)
	}
	s.mu.Unlock()
	s.show()
	if s.conn == nil {
		return InMemory
	}
	s.count(s.exchangeCordons(ctx))
	s.mu.Lock()
	defer s.mu.Unlock()
	if waiting, has := s.changes[c.place()]; has && waiting.number == number {
		return Pending
	}
	return Shared
}

// Cordons lists what is cordoned, by node and method.
func (s *State) Cordons() []Cordon { return sorted(*s.cordoned.Load()) }

// IsCordoned says whether a node must not be asked a method.
func (s *State) IsCordoned(upstream, method string) bool {
	cordoned := *s.cordoned.Load()
	if len(cordoned) == 0 {
		return false
	}
	_, whole := cordoned[place{upstream, ""}]
	_, one := cordoned[place{upstream, method}]
	return whole || one
}

// show makes what is known visible, and tells it if it is new.
func (s *State) show() {
	s.onChange.Lock()
	defer s.onChange.Unlock()
	s.mu.Lock()
	now := with(s.stored, s.changes)
	s.mu.Unlock()
	before := s.cordoned.Swap(&now)
	s.metrics.cordons.Set(float64(len(now)))
	if s.cfg.OnCordons != nil && !maps.Equal(*before, now) {
		s.cfg.OnCordons(sorted(now))
	}
}

// Run sends and reads until ctx ends. It calls ready after the first try: a
// Redis that is away does not keep the gateway from starting. It implements
// lifecycle.Run.
func (s *State) Run(ctx context.Context, ready func()) error {
	if s.conn == nil {
		ready()
		<-ctx.Done()
		return nil
	}
	s.exchange(ctx)
	ready()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-s.wake:
		case <-ctx.Done():
			return s.conn.Close()
		}
		s.exchange(ctx)
	}
}

// exchange sends what is new and reads what others say.
func (s *State) exchange(ctx context.Context) {
	err := s.exchangeHeads(ctx)
	if err == nil {
		err = s.exchangeCordons(ctx)
	}
	if err == nil {
		err = s.exchangePurges(ctx)
	}
	if ctx.Err() == nil {
		s.count(err)
	}
}

func (s *State) count(err error) {
	if err != nil {
		s.metrics.failed.Inc()
		return
	}
	s.metrics.ok.Inc()
}

// key names a key of the installation. The braces keep its keys on one node of a
// Redis Cluster.
func (s *State) key(name string) string {
	return s.conn.Key("{" + strings.NewReplacer("{", "", "}", "").Replace(s.cfg.Cluster) + "}:" + name)
}

func (s *State) networks() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.heads))
}
