package wallets

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Store is every SQL statement about wallets; they stand in store_*.go.
type Store struct {
	pool    *pgxpool.Pool
	chainID int64
}

// NewStore makes the store over a migrated database. The chain is the one whose
// senders wallets become.
func NewStore(pool *pgxpool.Pool, chainID uint64) *Store {
	return &Store{pool: pool, chainID: int64(chainID)}
}

// storeTimeout bounds one SQL transaction, waiting for a connection included.
const storeTimeout = 15 * time.Second

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

// inTransaction runs statements that belong together. What they report with
// Go errors of this package comes back as it is.
func (s *Store) inTransaction(ctx context.Context, do func(ctx context.Context, tx pgx.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return storeError(pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return do(ctx, tx) }))
}

// uniqueViolation is the SQLSTATE of a key that exists already.
const uniqueViolation = "23505"

func hasCode(err error, code string) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && pgErr.Code == code
}

// storeError keeps apart what PostgreSQL says about a statement from not having
// reached it. Neither text contains SQL, parameters or the DSN.
func storeError(err error) error {
	var pgErr *pgconn.PgError
	switch {
	case err == nil, isOurs(err):
		return err
	case errors.As(err, &pgErr):
		// 57P0x: stopping or starting; 53xxx: out of connections or memory;
		// 28xxx: a password that is being changed; 25006: a demoted primary. Another
		// try may meet a healthy server.
		if strings.HasPrefix(pgErr.Code, "57P") || strings.HasPrefix(pgErr.Code, "53") || strings.HasPrefix(pgErr.Code, "28") || pgErr.Code == "25006" {
			return fmt.Errorf("%w: %s", ErrUnavailable, pgErr.Message)
		}
		return fmt.Errorf("database: %s (SQLSTATE %s)", pgErr.Message, pgErr.Code)
	default:
		return ErrUnavailable // the driver's words may name host, user and database
	}
}

func isOurs(err error) bool {
	var bad *InvalidError
	for _, known := range []error{ErrUnknownWallet, ErrUnknownVerification, ErrIndexTaken, ErrTooMany, errDerive} {
		if errors.Is(err, known) {
			return true
		}
	}
	return errors.As(err, &bad)
}

// errDerive says that an index has no valid key; see signing/local.
var errDerive = errors.New("the wallet's key cannot be derived")
