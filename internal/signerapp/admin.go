package signerapp

import (
	"context"
	"errors"
	"log/slog"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/slipwayhq/slipway/internal/access"
	"github.com/slipwayhq/slipway/internal/audit"
	"github.com/slipwayhq/slipway/internal/queue"
)

// Admin is what the command line does to a signer's database. Who can do it has
// the database anyway.
type Admin struct {
	Keys  *access.Keys
	Audit *audit.Log

	pool *pgxpool.Pool
}

// OpenAdmin opens the database and brings it up to date. Of the configuration
// only the database counts.
func OpenAdmin(ctx context.Context, cfg Config) (*Admin, error) {
	if cfg.DatabaseURL.IsEmpty() {
		return nil, errors.New("databaseUrl: is missing")
	}
	a := &App{cfg: cfg, log: slog.New(slog.DiscardHandler)}
	var err error
	if a.login, err = cfg.login(a.log); err != nil {
		return nil, err
	}
	pool, err := a.openDatabase(ctx)
	if err != nil {
		return nil, err
	}
	return &Admin{Keys: access.NewKeys(access.NewStore(pool)), Audit: audit.New(pool), pool: pool}, nil
}

// PauseSenders pauses all senders, of every chain in the database.
func (a *Admin) PauseSenders(ctx context.Context, reason string) (int64, error) {
	return queue.PauseAll(ctx, a.pool, reason)
}

// Close gives the database back.
func (a *Admin) Close() { a.pool.Close() }
