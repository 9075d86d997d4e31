package webhooks

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/google/uuid"
)

// job is a delivery that was claimed.
type job struct {
	id        uuid.UUID
	webhook   uuid.UUID
	url       string
	eventType string
	body      []byte
	attempt   int // from 1; the fence
	age       time.Duration
	sealed    [][]byte // the webhook's secrets
}

// slots counts what this replica is delivering.
type slots struct {
	mu      sync.Mutex // guards the fields below
	total   int
	webhook map[uuid.UUID]int
}

func (s *slots) take(webhook uuid.UUID) int { return s.add(webhook, 1) }
func (s *slots) give(webhook uuid.UUID) int { return s.add(webhook, -1) }

func (s *slots) add(webhook uuid.UUID, n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total += n
	s.webhook[webhook] += n
	if s.webhook[webhook] == 0 {
		delete(s.webhook, webhook)
	}
	return s.total
}

func (s *slots) used() (int, map[uuid.UUID]int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.total, maps.Clone(s.webhook)
}

// sickAfter is how many failures in a row leave a webhook one connection of each
// replica, until it answers again.
const sickAfter = 5

// dispatch claims what is due and delivers it until ctx ends, then waits for
// what is under way.
func (s *Service) dispatch(ctx context.Context) {
	busy := &slots{webhook: map[uuid.UUID]int{}}
	var wg sync.WaitGroup
	defer wg.Wait()
	for ctx.Err() == nil {
		total, each := busy.used()
		if total >= s.cfg.Concurrency {
			pause(ctx, s.cfg.Poll, s.due)
			continue
		}
		jobs, err := s.store.Claim(ctx, claim{free: s.cfg.Concurrency - total, perWebhook: s.cfg.PerWebhook, sickAfter: sickAfter, busy: each, lease: s.cfg.Lease})
		if err != nil {
			s.failed(ctx, "claim", err)
			pause(ctx, failurePause, nil)
			continue
		}
		for _, j := range jobs {
			s.metrics.inFlight.WithLabelValues().Set(float64(busy.take(j.webhook)))
			wg.Go(func() {
				s.deliver(context.WithoutCancel(ctx), j) // bounded by the client's timeout and the store's
				s.metrics.inFlight.WithLabelValues().Set(float64(busy.give(j.webhook)))
				s.nudge()
			})
		}
		if len(jobs) == 0 {
			pause(ctx, s.cfg.Poll, s.due)
		}
	}
}

// deliver makes one attempt and reports it.
func (s *Service) deliver(ctx context.Context, j job) {
	start := time.Now()
	r := s.attempt(ctx, j)
	s.metrics.attempts.WithLabelValues(r.outcome).Inc()
	s.metrics.seconds.WithLabelValues().Observe(time.Since(start).Seconds())

	end := decide(r, j.attempt, j.age+time.Since(start), s.cfg)
	isKept, err := s.store.Report(ctx, j, r, end)
	switch {
	case err != nil:
		s.failed(ctx, "report", err) // the lease ends, and another attempt is made
	case !isKept:
		s.metrics.fenced.WithLabelValues().Inc()
	case end.state == StateDead:
		s.metrics.dead.WithLabelValues().Inc()
		s.log.WarnContext(ctx, "a webhook's delivery is given up", slog.String("webhook", j.webhook.String()),
			slog.String("delivery", j.id.String()), slog.String("outcome", r.outcome), slog.Int("status", r.status))
	}
}

func (s *Service) attempt(ctx context.Context, j job) result {
	if s.box == nil {
		return result{outcome: outcomeSecret}
	}
	secrets := make([]string, len(j.sealed))
	for i, text := range j.sealed {
		plain, err := s.box.Open(j.webhook, text)
		if err != nil {
			return result{outcome: outcomeSecret}
		}
		secrets[i] = string(plain)
	}
	return s.client.post(ctx, j, secrets, time.Now())
}

// ending is what becomes of a delivery after an attempt.
type ending struct {
	state State
	pause time.Duration // before the next attempt, while pending
}

// decide says what becomes of a delivery. Every delivery has at least one
// attempt, however long it was blocked.
func decide(r result, attempts int, age time.Duration, cfg Config) ending {
	switch {
	case r.outcome == outcomeDelivered:
		return ending{state: StateDelivered}
	case age >= cfg.GiveUpAfter:
		return ending{state: StateDead}
	default:
		return ending{state: StatePending, pause: backoff(attempts, cfg.MaxBackoff, r.retryAfter)}
	}
}
