package subscriptions

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

const (
	// retryAfter stands between two tries of what did not go well.
	retryAfter = 200 * time.Millisecond
	// watchEvery is how often a followed node is compared with what the pool
	// knows, which asks nobody.
	watchEvery = 250 * time.Millisecond
	// maxBacklog is how many changes may wait for their logs.
	maxBacklog = 4096
	// maxUnlinked is for how long the nodes may contradict each other.
	maxUnlinked = 30 * time.Second
)

// heads derives the sequence of blocks while there are subscribers.
type heads struct {
	hub      *Hub
	window   window
	steps    chan step // to the feed of logs
	follower *follower
	wake     chan struct{} // capacity 1: a node has pushed
	pushed   atomic.Uint64

	lastBlock     time.Time     // when the tip was seen
	blockTime     time.Duration // between the last two
	silentSince   time.Time     // the followed node lacks the tip; zero: it does not
	unlinkedSince time.Time     // the nodes contradict each other; zero: they do not
}

// runChain serves the subscriptions to heads and logs until ctx ends.
func (h *Hub) runChain(ctx context.Context) {
	for ctx.Err() == nil {
		s := &heads{hub: h, steps: make(chan step, maxBacklog), wake: make(chan struct{}, 1)}
		s.follower = &follower{hub: h, feed: upstreams.NewHeads, opened: s.opened, event: s.event, idle: func(ctx context.Context) { pause(ctx, time.Second) }}
		group, working := errgroup.WithContext(ctx)
		group.Go(func() error { s.follower.run(working); return nil })
		group.Go(func() error { h.sendLogs(working, s.steps); return nil })
		group.Go(func() error { return s.run(working) })
		err := group.Wait()
		h.chain.setLive(false)
		if ctx.Err() != nil {
			return
		}
		h.log.ErrorContext(ctx, "subscriptions lost track of the chain and begin anew", slog.Any("err", err))
		for c := range h.chain.clients() {
			h.metrics.drops["lost_track"].Inc()
			c.end(ErrLostTrack)
		}
	}
}

// opened expects nothing of the node yet.
func (s *heads) opened() { s.pushed.Store(0) }

// event takes a pushed head for the hint that it is.
func (s *heads) event(result []byte) {
	number, ok := methods.ParseQuantity(jsonrpc.Member(result, "number"))
	if !ok {
		return
	}
	s.pushed.Store(number)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run returns nil when ctx ends, and an error when it has lost track.
func (s *heads) run(ctx context.Context) error {
	if !s.begin(ctx) {
		return nil
	}
	s.hub.chain.setLive(true)
	for ctx.Err() == nil {
		if err := s.advance(ctx, s.target(ctx)); err != nil {
			return err
		}
		s.watch(time.Now())
		timer := time.NewTimer(s.interval())
		select {
		case <-s.wake:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	return nil
}

// begin finds the block from which on clients are told.
func (s *heads) begin(ctx context.Context) bool {
	for {
		text, err := s.hub.ask(ctx, "eth_getBlockByNumber", `["latest",false]`)
		if err == nil {
			var b *block
			if b, err = parseBlock(text); err == nil {
				s.window = window{blocks: []*block{b}}
				s.lastBlock = time.Now()
				return true
			}
		}
		s.hub.log.DebugContext(ctx, "no block to begin subscriptions with", slog.Any("err", err))
		if !pause(ctx, retryAfter) {
			return false
		}
	}
}

// target is the newest block that there may be. Where no node is followed the
// nodes are asked; otherwise what their pollers have seen is the safety net.
func (s *heads) target(ctx context.Context) uint64 {
	network, _ := s.hub.current()
	target := network.Head().Latest
	if s.follower.isFollowing() {
		return max(target, s.pushed.Load())
	}
	text, err := s.hub.ask(ctx, "eth_blockNumber", "[]")
	if number, ok := methods.ParseQuantity(text); err == nil && ok {
		target = max(target, number)
	}
	return target
}

// interval is the time until the next look.
func (s *heads) interval() time.Duration {
	if s.follower.isFollowing() {
		return watchEvery
	}
	if s.blockTime == 0 {
		return watchEvery
	}
	return min(max(s.blockTime/4, s.hub.cfg.MinPoll), s.hub.cfg.MaxPoll)
}

// watch leaves a node that has been silent about a block that others show.
func (s *heads) watch(now time.Time) {
	pushed := s.pushed.Load()
	switch {
	case !s.follower.isFollowing():
		s.silentSince = time.Time{}
	case pushed == 0: // just opened: it has been told up to the tip
		s.pushed.CompareAndSwap(0, s.window.tip().number)
		s.silentSince = time.Time{}
	case pushed >= s.window.tip().number:
		s.silentSince = time.Time{}
	case s.silentSince.IsZero():
		s.silentSince = now
	case now.Sub(s.silentSince) > s.hub.cfg.StallAfter:
		s.silentSince = time.Time{}
		s.follower.giveUp()
	}
}

// advance reads block after block up to the target. Its error says that track
// was lost; whatever may pass by itself is none.
func (s *heads) advance(ctx context.Context, target uint64) error {
	if gap := target - s.window.tip().number; target > s.window.tip().number && gap > s.hub.cfg.MaxGap {
		if s.exists(ctx, target) {
			return ErrLostTrack
		}
		s.disbelieve(target)
		target = s.window.tip().number + 1
	}
	for s.window.tip().number < target {
		branch, err := s.window.next(ctx, s.block)
		if err == nil && s.isReplaced(branch) && s.isFinal() {
			err = errUnlinked // blocks of such networks are never taken back
		}
		switch {
		case err == nil:
			s.unlinkedSince = time.Time{}
			if err := s.publish(branch); err != nil {
				return err
			}
			if s.window.tip().number < target {
				s.hub.metrics.filled.Add(float64(len(branch)))
			}
			continue
		case errors.Is(err, errTooDeep):
			return err
		case errors.Is(err, errNotYet):
			s.disbelieve(target)
		case errors.Is(err, errUnlinked):
			return s.contradicted(ctx, time.Now(), err)
		default:
			s.hub.log.DebugContext(ctx, "a block for subscriptions could not be read", slog.Any("err", err))
		}
		return nil
	}
	return nil
}

// exists says whether a node has a block with this number.
func (s *heads) exists(ctx context.Context, number uint64) bool {
	_, err := s.block(ctx, number)
	return err == nil
}

// disbelieve takes back a hint that led nowhere.
func (s *heads) disbelieve(target uint64) { s.pushed.CompareAndSwap(target, s.window.tip().number) }

// contradicted notes that the nodes do not agree; for too long is an error.
func (s *heads) contradicted(ctx context.Context, now time.Time, err error) error {
	if s.unlinkedSince.IsZero() {
		s.unlinkedSince = now
		s.hub.log.WarnContext(ctx, "nodes show blocks that do not fit together", slog.Uint64("block", s.window.tip().number+1))
	}
	if now.Sub(s.unlinkedSince) > maxUnlinked {
		return err
	}
	return nil
}

func (s *heads) isReplaced(branch []*block) bool { return branch[0].number <= s.window.tip().number }

func (s *heads) isFinal() bool {
	network, _ := s.hub.current()
	return network.Finality().Mode == chain.Instant
}

// block reads one block.
func (s *heads) block(ctx context.Context, number uint64) (*block, error) {
	params := append(methods.AppendQuantity([]byte{'['}, number), `,false]`...)
	text, err := s.hub.ask(ctx, "eth_getBlockByNumber", string(params))
	if err != nil {
		return nil, err
	}
	if string(text) == "null" {
		return nil, errNotYet
	}
	b, err := parseBlock(text)
	if err != nil {
		return nil, err
	}
	if b.number != number {
		return nil, errUnlinked
	}
	return b, nil
}

// publish makes the blocks the end of the sequence and tells them.
func (s *heads) publish(branch []*block) error {
	step := s.window.extend(branch)
	now := time.Now()
	s.blockTime, s.lastBlock = now.Sub(s.lastBlock)/time.Duration(len(branch)), now
	for _, b := range step.removed {
		b.isRemoved.Store(true)
	}
	s.hub.metrics.removed.Add(float64(len(step.removed)))
	s.hub.chain.each(func(sub *subscription) {
		if sub.topic.kind != NewHeads {
			return
		}
		for _, b := range step.added {
			if sub.topic.withTransactions {
				s.hub.tell(sub, b.whole)
			} else {
				s.hub.tell(sub, b.header)
			}
		}
	})
	select {
	case s.steps <- step:
		return nil
	default:
		return ErrLostTrack // the logs of thousands of blocks could not be read
	}
}
