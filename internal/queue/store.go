package queue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/slipwayhq/slipway/internal/audit"
)

// Store is every SQL statement of the queue, for one chain; they stand in the
// files store_*.go. Its methods are single statements or single SQL transactions.
type Store struct {
	pool    *pgxpool.Pool
	chainID int64
	audit   *audit.Log // nil for none
}

// storeTimeout bounds one statement or SQL transaction, waiting for a
// connection included.
const storeTimeout = 15 * time.Second

// ConnectConfig says how to reach the database.
type ConnectConfig struct {
	DSN      string
	MaxConns int32
	// IsPooled says that a pooler may give each SQL transaction another session,
	// as PgBouncer does in its transaction mode. Statements are not prepared then.
	IsPooled bool
	// BeforeConnect may change how each new connection is made; nil changes nothing.
	BeforeConnect func(context.Context, *pgx.ConnConfig) error
}

// Connect opens a pool and checks that the database answers. The DSN never
// appears in the error.
func Connect(ctx context.Context, cfg ConnectConfig) (*pgxpool.Pool, error) {
	poolConfig, err := pgxpool.ParseConfig(cfg.DSN)
	if err != nil {
		return nil, errors.New("the database URL is malformed")
	}
	if cfg.MaxConns > 0 {
		poolConfig.MaxConns = cfg.MaxConns
	}
	poolConfig.ConnConfig.ConnectTimeout = 5 * time.Second
	poolConfig.BeforeConnect = cfg.BeforeConnect
	if cfg.IsPooled {
		poolConfig.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
		poolConfig.ConnConfig.StatementCacheCapacity = 0
	}
	pool, err := pgxpool.NewWithConfig(ctx, poolConfig)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", storeError(err))
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("open database: %w", storeError(err))
	}
	return pool, nil
}

// NewStore makes the store of one chain over a migrated database.
func NewStore(pool *pgxpool.Pool, chainID uint64) *Store {
	return &Store{pool: pool, chainID: int64(chainID)}
}

// Ping says whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return storeError(s.pool.Ping(ctx))
}

// storeError keeps apart what PostgreSQL says about a statement from not having
// reached it. Neither text contains SQL, parameters or the DSN.
func storeError(err error) error {
	var pgErr *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &pgErr):
		// 57P0x: the server is stopping or starting; 53xxx: out of connections
		// or memory; 25006: a demoted primary. Another try may meet a healthy one.
		if strings.HasPrefix(pgErr.Code, "57P") || strings.HasPrefix(pgErr.Code, "53") || pgErr.Code == "25006" {
			return fmt.Errorf("%w: %s", ErrUnavailable, pgErr.Message)
		}
		if strings.HasPrefix(pgErr.Code, "28") { // only a new connection meets it
			return fmt.Errorf("%w: %w: %s", ErrUnavailable, ErrLoginRefused, pgErr.Message)
		}
		return fmt.Errorf("database: %s (SQLSTATE %s)", pgErr.Message, pgErr.Code)
	default:
		var connectErr *pgconn.ConnectError
		if errors.As(err, &connectErr) { // its text names host, user and database
			return fmt.Errorf("%w: connection refused or lost", ErrUnavailable)
		}
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
}

// isDeadlock says whether PostgreSQL chose this transaction to give way to another.
func isDeadlock(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && (pgErr.Code == "40P01" || pgErr.Code == "40001")
}

// byIndex, in a select, keeps the planner from reading whole tables for the rest
// of the SQL transaction: plans are kept for long, and one that was made while a
// table was small is a disaster once it has grown.
const byIndex = `set_config('enable_seqscan', 'off', true)`

// exec runs one statement and returns the number of rows it changed.
func (s *Store) exec(ctx context.Context, sql string, args pgx.NamedArgs) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	tag, err := s.pool.Exec(ctx, sql, args)
	return tag.RowsAffected(), storeError(err)
}

// query runs one statement and reads its rows with scan.
func query[T any](ctx context.Context, s *Store, sql string, args pgx.NamedArgs, scan pgx.RowToFunc[T]) ([]T, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	rows, err := s.pool.Query(ctx, sql, args)
	if err != nil {
		return nil, storeError(err)
	}
	out, err := pgx.CollectRows(rows, scan)
	return out, storeError(err)
}
