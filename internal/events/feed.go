package events

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/slipwayhq/slipway/internal/telemetry"
)

// Why a client gets no events, or no more.
var (
	// ErrFull says that as many clients listen as may.
	ErrFull = errors.New("too many clients listen to events")
	// ErrStopping says that this process is about to end.
	ErrStopping = errors.New("the signer is stopping")
	// ErrBehind says that the events after a position are not in memory any more.
	ErrBehind = errors.New("the events are read from the database")
)

// Feed follows the history for all clients of the process: one reader, however
// many listen, and none while nobody does. Each client has its own position and
// takes what is new from the newest events in memory.
type Feed struct {
	cfg     Config
	store   *Store
	metrics *metrics
	log     *slog.Logger
	woken   chan struct{} // coalescing, size one: the first client has come
	pages   chan struct{} // a place for each client that reads the database

	mu        sync.Mutex // guards the fields below
	listeners int
	isStopped bool
	isReady   bool    // position is known
	position  int64   // all events up to here are settled
	from      int64   // all later ones up to position are in recent
	recent    []Event // ascending
	moved     chan struct{}
	left      chan struct{} // coalescing, size one: a client has gone
}

// maxPages is how many clients read the database at a time.
const maxPages = 4

// NewFeed makes a feed; Run gives it life.
func NewFeed(cfg Config, store *Store, f telemetry.Factory, log *slog.Logger) (*Feed, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Feed{
		cfg: cfg, store: store, metrics: newMetrics(f), log: log, woken: make(chan struct{}, 1), pages: make(chan struct{}, maxPages),
		moved: make(chan struct{}), left: make(chan struct{}, 1),
	}, nil
}

// Config is what the feed was made with.
func (f *Feed) Config() Config { return f.cfg }

const (
	// holePoll is the pause before a missing id is looked for again.
	holePoll = 10 * time.Millisecond
	// failurePause is the pause after the database did not answer.
	failurePause = time.Second
	// leaveTimeout is how long the stop waits for clients to be told.
	leaveTimeout = 5 * time.Second
)

// Run follows the history until ctx ends. Then it sends all clients away and
// waits for them, so it must be stopped before the server that they are
// connected to. It implements lifecycle.Run.
func (f *Feed) Run(ctx context.Context, ready func()) error {
	ready()
	reader := &Reader{}
	for ctx.Err() == nil {
		if f.rest() {
			reader = &Reader{}
			select {
			case <-f.woken:
			case <-ctx.Done():
			}
			continue
		}
		pause, err := f.step(ctx, reader)
		if err != nil && ctx.Err() == nil {
			f.metrics.failed.WithLabelValues().Inc()
			f.log.WarnContext(ctx, "new events cannot be read", slog.Any("err", err))
			pause = failurePause
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	f.stop()
	return nil
}

// rest forgets everything while nobody listens, and says whether that is so.
func (f *Feed) rest() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.listeners > 0 {
		return false
	}
	f.isReady, f.recent = false, nil
	return true
}

// step reads what is new, and says how long to wait for the next time.
func (f *Feed) step(ctx context.Context, reader *Reader) (time.Duration, error) {
	f.mu.Lock()
	isReady, position := f.isReady, f.position
	f.mu.Unlock()
	if !isReady {
		start, isKnown, err := reader.Begin(ctx, f.store.pool)
		if err != nil || !isKnown {
			return holePoll, err
		}
		f.begin(start)
		return 0, nil
	}
	settled, progress, err := reader.Advance(ctx, f.store.pool, position)
	if err != nil {
		return 0, err
	}
	if settled > position {
		list, err := Load(ctx, f.store.pool, position, settled)
		if err != nil {
			return 0, err
		}
		f.publish(list, settled)
	}
	switch progress {
	case Busy:
		return 0, nil
	case Waiting:
		f.metrics.waits.WithLabelValues().Inc()
		return holePoll, nil
	default:
		return f.cfg.Poll, nil
	}
}

func (f *Feed) begin(position int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.isReady, f.position, f.from, f.recent = true, position, position, nil
	f.tell()
}

// publish adds events and forgets old ones.
func (f *Feed) publish(list []Event, settled int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.recent = append(f.recent, list...)
	if beyond := len(f.recent) - f.cfg.Backlog; beyond > 0 {
		f.from = f.recent[beyond-1].ID
		f.recent = slices.Clone(f.recent[beyond:])
	}
	f.position = settled
	f.tell()
}

// tell wakes those that wait; the lock is held.
func (f *Feed) tell() {
	close(f.moved)
	f.moved = make(chan struct{})
}

func (f *Feed) stop() {
	f.mu.Lock()
	f.isStopped = true
	f.tell()
	f.mu.Unlock()
	timer := time.NewTimer(leaveTimeout)
	defer timer.Stop()
	for {
		f.mu.Lock()
		n := f.listeners
		f.mu.Unlock()
		if n == 0 {
			return
		}
		select {
		case <-f.left:
		case <-timer.C:
			return // the server cuts them
		}
	}
}

// Join lets a client listen. It returns ErrFull or ErrStopping. Who has joined
// must leave, with the reason for the metric.
func (f *Feed) Join() (leave func(reason string), err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.isStopped:
		return nil, ErrStopping
	case f.listeners >= f.cfg.MaxStreams:
		f.metrics.ended.WithLabelValues("full").Inc()
		return nil, ErrFull
	}
	f.listeners++
	f.metrics.streams.WithLabelValues().Set(float64(f.listeners))
	signal(f.woken)
	return func(reason string) {
		f.mu.Lock()
		f.listeners--
		f.metrics.streams.WithLabelValues().Set(float64(f.listeners))
		f.mu.Unlock()
		f.metrics.ended.WithLabelValues(reason).Inc()
		signal(f.left)
	}, nil
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Position waits until it is known where the history ends. Only who has joined
// may ask.
func (f *Feed) Position(ctx context.Context) (int64, error) {
	for {
		f.mu.Lock()
		isReady, isStopped, position, moved := f.isReady, f.isStopped, f.position, f.moved
		f.mu.Unlock()
		switch {
		case isStopped:
			return 0, ErrStopping
		case isReady:
			return position, nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return 0, ErrUnavailable
		}
	}
}

// maxTake bounds the events that one call of After returns.
const maxTake = 500

// After returns the events of all tenants behind a position, how far it has
// looked, and what is closed when there is more. It returns ErrStopping, or
// ErrBehind where Page has to be asked instead.
func (f *Feed) After(position int64) (list []Event, next int64, moved <-chan struct{}, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.isStopped:
		return nil, position, nil, ErrStopping
	case position >= f.position: // or it comes from a process that is ahead of this one
		return nil, position, f.moved, nil
	case position < f.from:
		return nil, position, nil, ErrBehind
	}
	i, found := slices.BinarySearchFunc(f.recent, position, func(e Event, id int64) int { return int(min(max(e.ID-id, -1), 1)) })
	if found {
		i++
	}
	list = f.recent[i:]
	next = f.position
	if len(list) > maxTake {
		list = list[:maxTake]
		next = list[maxTake-1].ID
	}
	return list, next, f.moved, nil
}

// Page reads chosen events behind a position from the database, not beyond what
// is settled. Few clients do so at a time; the others wait for their turn.
func (f *Feed) Page(ctx context.Context, filter Filter, position int64) ([]Event, int64, error) {
	select {
	case f.pages <- struct{}{}:
		defer func() { <-f.pages }()
	case <-ctx.Done():
		return nil, position, ErrUnavailable
	}
	f.mu.Lock()
	upTo := f.position
	f.mu.Unlock()
	return f.store.Page(ctx, filter, position, upTo)
}
