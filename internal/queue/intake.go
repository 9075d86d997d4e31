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
	admission   Admission

	// The rest says what came of it.
	at       acceptance
	isReplay bool // the tenant's idempotency key was taken, by the same request
	original uuid.UUID
	err      error

	isCharged bool // against the windows of its admission
}

// maxIntake is the most transactions that are accepted in one SQL transaction.
const maxIntake = 200

// insertBatch accepts entries that have nothing to do with each other. When the
// database refuses them together they are tried one by one, so that nobody pays
// for another one's request.
func (s *Store) insertBatch(ctx context.Context, batch []*entry) {
	err := s.insertAll(ctx, batch, false)
	if err != nil && len(batch) > 1 && !errors.Is(err, ErrUnavailable) {
		for _, e := range batch {
			if err := s.insertAll(ctx, []*entry{e}, false); err != nil { // its own refusal is in e.err already
				e.err = err
			}
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
