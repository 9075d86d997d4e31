package queue

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
)

// entry is a transaction on its way into the database.
type entry struct {
	id          uuid.UUID
	request     Request
	fingerprint [32]byte

	// The rest is set when it is there, or not.
	at         acceptance
	isReplay   bool // the tenant's idempotency key was taken, by the same request
	original   uuid.UUID
	err        error
	done, lead chan struct{}
}

// intake gathers the transactions that are accepted at the same time, so that
// they share one commit: under load the disk is waited for once for many. There
// is no delay: who comes while there is a free writer becomes one at once, and
// takes along who came meanwhile. It needs no goroutine of its own, the callers lead in turn.
type intake struct {
	store *Store

	mu      sync.Mutex // guards the fields below
	waiting []*entry
	writers int
}

const (
	// maxWriters is how many batches are written at a time: while one waits for
	// the disk, the next is filled.
	maxWriters = 2
	// maxIntake is the most transactions of one batch.
	maxIntake = 200
)

// add sees an entry into the database. What was begun is not given up when ctx
// ends: the caller then does not know whether the entry was accepted.
func (i *intake) add(ctx context.Context, e *entry) error {
	e.done, e.lead = make(chan struct{}), make(chan struct{}, 1)
	i.mu.Lock()
	i.waiting = append(i.waiting, e)
	if i.writers < maxWriters {
		i.writers++
		e.lead <- struct{}{}
	}
	i.mu.Unlock()
	for {
		select {
		case <-e.done:
			return e.err
		case <-e.lead:
			i.write(ctx)
		}
		if ctx.Err() != nil {
			i.leave(e)
			select {
			case <-e.done:
				return e.err
			default:
				return fmt.Errorf("%w: %w", ErrUnavailable, context.Cause(ctx))
			}
		}
	}
}

// leave takes an entry out that nobody waits for any more, unless it is being
// written, and passes on what its caller was to do.
func (i *intake) leave(e *entry) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for at, w := range i.waiting {
		if w == e {
			i.waiting = append(i.waiting[:at:at], i.waiting[at+1:]...)
			break
		}
	}
	select {
	case <-e.lead:
		i.passOn()
	default:
	}
}

// write writes one batch and lets the next one be led by its first caller.
func (i *intake) write(ctx context.Context) {
	i.mu.Lock()
	n := min(len(i.waiting), maxIntake)
	batch := i.waiting[:n:n]
	i.waiting = i.waiting[n:]
	i.mu.Unlock()
	if n > 0 {
		i.store.insertBatch(context.WithoutCancel(ctx), batch)
		for _, e := range batch {
			close(e.done)
		}
	}
	i.mu.Lock()
	i.passOn()
	i.mu.Unlock()
}

// passOn needs the lock.
func (i *intake) passOn() {
	if len(i.waiting) == 0 {
		i.writers--
		return
	}
	i.waiting[0].lead <- struct{}{} // has room: nobody leads twice
}

// insertBatch accepts entries that have nothing to do with each other. When the
// database refuses them together they are tried one by one, so that nobody pays
// for another one's request.
func (s *Store) insertBatch(ctx context.Context, batch []*entry) {
	err := s.insertAll(ctx, batch, false)
	if err != nil && len(batch) > 1 && !errors.Is(err, ErrUnavailable) {
		for _, e := range batch {
			e.err = s.insertAll(ctx, []*entry{e}, false)
		}
		return
	}
	for _, e := range batch {
		if err != nil {
			e.err = err
		}
	}
}

// queueLimits keeps the number of waiting transactions bounded. The numbers are
// read from the database now and then; what this replica accepted since is
// added. So with several replicas a limit can be passed by what the others
// accept in countEvery.
type queueLimits struct {
	cfg   Config
	store *Store

	mu      sync.Mutex // guards the fields below
	at      time.Time
	counts  map[string]int // by tenant and by sender, as their keys say
	reading bool
}

// countEvery is how old the numbers get.
const countEvery = 2 * time.Second

func tenantKey(tenant string) string { return "t" + tenant }

func senderKey(sender []byte) string { return "s" + hex.EncodeToString(sender) }

// FullError says that a queue takes no more for now.
type FullError struct {
	Whose string // "sender" or "tenant"
	Limit int
}

func (e *FullError) Error() string {
	return fmt.Sprintf("%d transactions of this %s are waiting, which is the limit", e.Limit, e.Whose)
}

// RetryAfter is when it is worth trying again.
func (e *FullError) RetryAfter() time.Duration { return countEvery }

// take counts requests that are about to be accepted, or refuses them.
func (l *queueLimits) take(ctx context.Context, requests []Request) error {
	if l.cfg.MaxQueuedPerSender == 0 && l.cfg.MaxQueuedPerTenant == 0 {
		return nil
	}
	if err := l.refresh(ctx); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	more := map[string]int{}
	for i := range requests {
		r := &requests[i]
		more[senderKey(r.Sender[:])]++
		more[tenantKey(r.Tenant)]++
		if most := l.cfg.MaxQueuedPerSender; most > 0 && l.counts[senderKey(r.Sender[:])]+more[senderKey(r.Sender[:])] > most {
			return &FullError{Whose: "sender", Limit: most}
		}
		if most := l.cfg.MaxQueuedPerTenant; most > 0 && l.counts[tenantKey(r.Tenant)]+more[tenantKey(r.Tenant)] > most {
			return &FullError{Whose: "tenant", Limit: most}
		}
	}
	for key, n := range more {
		l.counts[key] += n
	}
	return nil
}

// refresh reads the numbers when they are old. One caller reads; the others go
// on with the old ones.
func (l *queueLimits) refresh(ctx context.Context) error {
	l.mu.Lock()
	if l.reading || time.Since(l.at) < countEvery && l.counts != nil {
		if l.counts == nil {
			l.counts = map[string]int{}
		}
		l.mu.Unlock()
		return nil
	}
	l.reading = true
	l.mu.Unlock()
	counts, err := l.store.countQueued(ctx, max(l.cfg.MaxQueuedPerSender, l.cfg.MaxQueuedPerTenant))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reading = false
	if err == nil {
		l.counts, l.at = counts, time.Now()
	} else if l.counts == nil {
		l.counts = map[string]int{}
	}
	return err
}
