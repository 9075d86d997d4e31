package api

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/slipwayhq/slipway/internal/events"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/webhooks"
)

// fakeFeed is a history in memory.
type fakeFeed struct {
	cfg events.Config

	mu      sync.Mutex // guards the fields below
	list    []events.Event
	from    int64 // what is not later is in the database
	pages   int
	stopped bool
	full    bool
	moved   chan struct{}
	reasons []string // why clients left
}

func newFakeFeed(list ...events.Event) *fakeFeed {
	cfg := events.Default()
	cfg.Heartbeat = 20 * time.Millisecond
	return &fakeFeed{cfg: cfg, list: list, moved: make(chan struct{})}
}

func (f *fakeFeed) change(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
	close(f.moved)
	f.moved = make(chan struct{})
}

func (f *fakeFeed) Config() events.Config { return f.cfg }

func (f *fakeFeed) Join() (func(string), error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.full {
		return nil, events.ErrFull
	}
	return func(reason string) { f.change(func() { f.reasons = append(f.reasons, reason) }) }, nil
}

func (f *fakeFeed) end() int64 {
	if len(f.list) == 0 {
		return 0
	}
	return f.list[len(f.list)-1].ID
}

func (f *fakeFeed) Position(context.Context) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.end(), nil
}

func (f *fakeFeed) behind(position int64) (out []events.Event) {
	for _, e := range f.list {
		if e.ID > position {
			out = append(out, e)
		}
	}
	return out
}

func (f *fakeFeed) After(position int64) ([]events.Event, int64, <-chan struct{}, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.stopped:
		return nil, position, nil, events.ErrStopping
	case position >= f.end():
		return nil, position, f.moved, nil
	case position < f.from:
		return nil, position, nil, events.ErrBehind
	}
	return f.behind(position), f.end(), f.moved, nil
}

func (f *fakeFeed) Page(_ context.Context, filter events.Filter, position int64) ([]events.Event, int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pages++
	list := f.behind(position)
	if len(list) == 0 {
		return nil, position, nil
	}
	next := list[0] // one at a time
	if filter.Matches(next) {
		return []events.Event{next}, next.ID, nil
	}
	return nil, next.ID, nil
}

// fakeWebhooks remembers one webhook and refuses what it is told to.
type fakeWebhooks struct {
	mu      sync.Mutex // guards the fields below
	tenants map[string]bool
	hook    webhooks.Webhook
	filter  webhooks.DeliveryFilter
	list    []webhooks.Delivery
	err     error
}

func (f *fakeWebhooks) enter(tenant string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.tenants == nil {
		f.tenants = map[string]bool{}
	}
	f.tenants[tenant] = true
	return f.err
}

func (f *fakeWebhooks) Create(_ context.Context, tenant string, w webhooks.Webhook, key secret.String) (webhooks.Webhook, secret.String, error) {
	if err := f.enter(tenant); err != nil {
		return w, key, err
	}
	w.ID, w.Secrets = uuid.New(), []webhooks.Secret{{ID: uuid.New(), CreatedAt: time.Unix(1, 0)}}
	f.hook = w
	if key.IsEmpty() {
		key = secret.New("whsec_made")
	}
	return w, key, nil
}

func (f *fakeWebhooks) List(_ context.Context, tenant string) ([]webhooks.Webhook, error) {
	return []webhooks.Webhook{f.hook}, f.enter(tenant)
}

func (f *fakeWebhooks) Get(_ context.Context, tenant string, id uuid.UUID) (webhooks.Webhook, error) {
	if id != f.hook.ID {
		return webhooks.Webhook{}, webhooks.ErrNotFound
	}
	return f.hook, f.enter(tenant)
}

func (f *fakeWebhooks) Update(_ context.Context, tenant string, _ uuid.UUID, c webhooks.Change) (webhooks.Webhook, error) {
	c.Apply(&f.hook)
	return f.hook, f.enter(tenant)
}

func (f *fakeWebhooks) Delete(_ context.Context, tenant string, _ uuid.UUID) error {
	return f.enter(tenant)
}

func (f *fakeWebhooks) AddSecret(_ context.Context, tenant string, _ uuid.UUID, key secret.String) (webhooks.Secret, secret.String, error) {
	if key.IsEmpty() {
		key = secret.New("whsec_made")
	}
	return webhooks.Secret{ID: uuid.New(), CreatedAt: time.Unix(1, 0)}, key, f.enter(tenant)
}

func (f *fakeWebhooks) RemoveSecret(_ context.Context, tenant string, _, _ uuid.UUID) error {
	return f.enter(tenant)
}

func (f *fakeWebhooks) Deliveries(_ context.Context, tenant string, _ uuid.UUID, filter webhooks.DeliveryFilter) ([]webhooks.Delivery, error) {
	f.filter = filter
	return f.list[:min(len(f.list), filter.Limit)], f.enter(tenant)
}

func (f *fakeWebhooks) Redeliver(_ context.Context, tenant string, _, _ uuid.UUID) error {
	return f.enter(tenant)
}

func (f *fakeWebhooks) RedeliverDead(_ context.Context, tenant string, _ uuid.UUID) (int, error) {
	return 3, f.enter(tenant)
}
