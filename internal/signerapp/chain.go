package signerapp

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// learnChain finds out for which chain to sign, where the configuration does not
// say: the one that the database belongs to, and otherwise the gateway's. It
// waits for the gateway.
func (a *App) learnChain(ctx context.Context, pool *pgxpool.Pool) (uint64, error) {
	rows, err := pool.Query(ctx, `select chain_id from chains limit 2`)
	if err != nil {
		return 0, fmt.Errorf("read the chain of the database: %w", err)
	}
	known, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	switch {
	case err != nil:
		return 0, fmt.Errorf("read the chain of the database: %w", err)
	case len(known) == 1:
		return uint64(known[0]), nil
	case len(known) > 1:
		return 0, fmt.Errorf("queue.chainId: is missing, and the database knows several chains, such as %d and %d", known[0], known[1])
	}
	const pause = 2 * time.Second
	for {
		id, err := a.node.ChainID(ctx)
		if err == nil {
			return id, nil
		}
		a.log.WarnContext(ctx, "waiting for the gateway to tell the chain; queue.chainId would say it", slog.Any("err", err))
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return 0, ctx.Err()
		}
	}
}
