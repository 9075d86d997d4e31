package webhooks

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Run makes deliveries until ctx ends; attempts that are under way then are
// finished. It implements lifecycle.Run.
func (s *Service) Run(ctx context.Context, ready func()) error {
	defer s.client.close()
	ready()
	var wg sync.WaitGroup
	wg.Go(func() { s.fanOut(ctx) })
	wg.Go(func() { s.dispatch(ctx) })
	wg.Go(func() { s.keepHouse(ctx) })
	wg.Wait()
	return nil
}

// failurePause is the pause after the database did not answer.
const failurePause = time.Second

// failed counts and logs a round that is repeated.
func (s *Service) failed(ctx context.Context, where string, err error) {
	if ctx.Err() != nil {
		return
	}
	s.metrics.failures.WithLabelValues(where).Inc()
	s.log.WarnContext(ctx, "webhooks: a round failed and is repeated", slog.String("where", where), slog.Any("err", err))
}

// pause waits, unless ctx ends or, where it is not nil, early comes.
func pause(ctx context.Context, d time.Duration, early <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-early:
	case <-ctx.Done():
	}
}

const (
	houseEvery = 15 * time.Second
	// purgeLimit bounds the rows that one round removes.
	purgeLimit = 10_000
	maxCounted = 100_000
)

// keepHouse removes old rows and counts those that wait.
func (s *Service) keepHouse(ctx context.Context) {
	for ctx.Err() == nil {
		pending, oldest, err := s.store.Backlog(ctx, maxCounted)
		if err == nil {
			s.metrics.pending.WithLabelValues().Set(float64(pending))
			s.metrics.oldest.WithLabelValues().Set(oldest.Seconds())
			err = s.store.Purge(ctx, s.cfg.KeepDelivered, s.cfg.KeepDead, purgeLimit)
		}
		if err != nil {
			s.failed(ctx, "housekeeping", err)
		}
		pause(ctx, houseEvery, nil)
	}
}
