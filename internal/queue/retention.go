package queue

import (
	"context"
	"log/slog"
	"time"
)

const (
	// minRetention is how long an idempotency key is promised to be known.
	minRetention = 30 * 24 * time.Hour
	// forgetEvery is how often old rows are looked for.
	forgetEvery = time.Hour
	// forgetAtOnce bounds the transactions of one step, and so how long its locks last.
	forgetAtOnce = 500
	// forgetPause lies between two steps, so that accepting and sending go first.
	forgetPause = 50 * time.Millisecond
	// keepProofs is longer than any challenge can be answered (wallets.challengeTtl,
	// at most an hour), after which a proof counts only for what was accepted with it.
	keepProofs = 24 * time.Hour
)

// retention deletes what nobody needs any more. Any replica may do it; each step is
// done by one of them.
type retention struct {
	keep   time.Duration // of ended transactions; 0 for ever
	store  *Store
	log    *slog.Logger
	proofs time.Time // how far the proofs were looked at; belongs to run
}

func (r *retention) run(ctx context.Context) {
	look := time.NewTicker(forgetEvery)
	defer look.Stop()
	for {
		if err := r.pass(ctx); err != nil && ctx.Err() == nil {
			r.log.WarnContext(ctx, "old rows are not deleted", slog.Any("err", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}

// pass goes once through all old rows.
func (r *retention) pass(ctx context.Context) error {
	for {
		next, err := r.store.ForgetProofs(ctx, r.proofs, keepProofs, forgetAtOnce)
		if err != nil {
			return err
		}
		if next.Equal(r.proofs) {
			break
		}
		r.proofs = next
		wait(ctx, forgetPause, nil)
	}
	if r.keep == 0 {
		return nil
	}
	var gone int64
	for after := int64(0); ; {
		step, err := r.store.ForgetTransactions(ctx, after, r.keep, forgetAtOnce)
		if err != nil {
			return err
		}
		gone += step.Transactions
		if after = step.Next; after == 0 {
			break
		}
		wait(ctx, forgetPause, nil)
	}
	if gone > 0 {
		r.log.InfoContext(ctx, "old transactions deleted", slog.Int64("transactions", gone))
	}
	return nil
}
