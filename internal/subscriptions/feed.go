package subscriptions

import (
	"context"
	"sync"
	"time"
)

// feed is what several subscriptions have in common: their demand, whether
// there is anything that serves it, and who is to be told.
type feed struct {
	mu      sync.Mutex
	demand  int // subscribers, and those that want to become it
	isLive  bool
	changed chan struct{} // closed and replaced when demand or isLive change
	subs    map[*subscription]struct{}
	sent    uint64 // sendings of logs
}

func newFeed() *feed {
	return &feed{changed: make(chan struct{}), subs: map[*subscription]struct{}{}}
}

// notify wakes everybody who waits for a change. The lock is held.
func (f *feed) notify() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// join waits until the feed is live and adds a subscriber, whose events are
// then held back.
func (f *feed) join(ctx context.Context, s *subscription, timeout time.Duration) error {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	f.mu.Lock()
	f.demand++
	f.notify()
	for !f.isLive {
		changed := f.changed
		f.mu.Unlock()
		var err error
		select {
		case <-changed:
		case <-timer.C:
			err = ErrUnavailable
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		f.mu.Lock()
		if err != nil && !f.isLive {
			f.demand--
			f.notify()
			f.mu.Unlock()
			return err
		}
	}
	defer f.mu.Unlock()
	s.since = f.sent
	f.subs[s] = struct{}{}
	s.client.hold()
	return nil
}

// leave removes a subscriber.
func (f *feed) leave(s *subscription) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, is := f.subs[s]; !is {
		return false
	}
	delete(f.subs, s)
	f.demand--
	f.notify()
	return true
}

// setLive says whether new subscribers will be told what happens from now on.
func (f *feed) setLive(isLive bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.isLive != isLive {
		f.isLive = isLive
		f.notify()
	}
}

// each calls tell with each subscriber. It must not block.
func (f *feed) each(tell func(*subscription)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.subs {
		tell(s)
	}
}

// clients lists who has subscribed.
func (f *feed) clients() map[*Client]bool {
	out := map[*Client]bool{}
	f.each(func(s *subscription) { out[s.client] = true })
	return out
}

// run does the work whenever there is demand, until ctx ends. The work lingers
// when the last subscriber has gone: the next one is often not far.
func (f *feed) run(ctx context.Context, linger time.Duration, work func(context.Context)) {
	for f.await(ctx, true, 0) {
		working, stop := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() {
			defer close(done)
			work(working)
		}()
		f.await(ctx, false, linger)
		stop()
		<-done
		f.setLive(false)
	}
}

// await waits until there is demand, or there was none for a while. It is
// false when ctx ends before.
func (f *feed) await(ctx context.Context, wanted bool, during time.Duration) bool {
	for {
		f.mu.Lock()
		is, changed := f.demand > 0, f.changed
		f.mu.Unlock()
		var settled <-chan time.Time
		if is == wanted {
			if during == 0 {
				return true
			}
			timer := time.NewTimer(during)
			defer timer.Stop()
			settled = timer.C
		}
		select {
		case <-changed:
		case <-settled:
			return true
		case <-ctx.Done():
			return false
		}
	}
}
