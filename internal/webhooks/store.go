package webhooks

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/slipwayhq/slipway/internal/events"
)

// Store is every SQL statement about webhooks; they stand in store_*.go. Single
// webhooks are those of one chain; deliveries are made for all of them.
type Store struct {
	pool    *pgxpool.Pool
	chainID int64
}

// NewStore makes the store over a migrated database. The chain must be known to
// the queue (Queue.Register).
func NewStore(pool *pgxpool.Pool, chainID uint64) *Store {
	return &Store{pool: pool, chainID: int64(chainID)}
}

// storeTimeout bounds one statement or SQL transaction, waiting for a
// connection included.
const storeTimeout = 15 * time.Second

// querier is a pool of connections, or one SQL transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func query[T any](ctx context.Context, db querier, sql string, args pgx.NamedArgs, scan pgx.RowToFunc[T]) ([]T, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	rows, err := db.Query(ctx, sql, args)
	if err != nil {
		return nil, storeError(err)
	}
	out, err := pgx.CollectRows(rows, scan)
	return out, storeError(err)
}

func (s *Store) exec(ctx context.Context, sql string, args pgx.NamedArgs) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	tag, err := s.pool.Exec(ctx, sql, args)
	return tag.RowsAffected(), storeError(err)
}

// inTransaction runs statements that belong together. What they report with Go
// errors of this package comes back as it is.
func (s *Store) inTransaction(ctx context.Context, do func(ctx context.Context, tx pgx.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return storeError(pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return do(ctx, tx) }))
}

// storeError keeps apart what PostgreSQL says about a statement from not having
// reached it. Neither text contains SQL, parameters or the DSN.
func storeError(err error) error {
	var pgErr *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &pgErr):
		// 57P0x: stopping or starting; 53xxx: out of connections or memory;
		// 28xxx: a password that is being changed; 25006: a demoted primary. Another
		// try may meet a healthy server.
		if strings.HasPrefix(pgErr.Code, "57P") || strings.HasPrefix(pgErr.Code, "53") || strings.HasPrefix(pgErr.Code, "28") || pgErr.Code == "25006" {
			return fmt.Errorf("%w: %s", ErrUnavailable, pgErr.Message)
		}
		return fmt.Errorf("%w: %s (SQLSTATE %s)", errDatabase, pgErr.Message, pgErr.Code)
	case isOurs(err):
		return err
	default:
		return ErrUnavailable // the driver's words may name host, user and database
	}
}

// errDatabase is what PostgreSQL says about a statement.
var errDatabase = errors.New("database")

func isOurs(err error) bool {
	for _, known := range []error{ErrNotFound, ErrTooMany, ErrSecrets, ErrNotDead, ErrUnavailable, errDatabase, events.ErrUnavailable, events.ErrDatabase} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}
