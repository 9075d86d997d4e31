package keyswitch

import (
	"context"
	"errors"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// ErrUnavailable says that the database could not be reached, or refused. The
// driver's own words may name host and user.
var ErrUnavailable = errors.New("the database cannot be reached")

// Store is every SQL statement about disabled keys.
type Store struct{ pool *pgxpool.Pool }

// NewStore makes the store over a migrated database.
func NewStore(pool *pgxpool.Pool) *Store { return &Store{pool} }

// storeTimeout bounds one statement, waiting for a connection included.
const storeTimeout = 5 * time.Second

func (s *Store) exec(ctx context.Context, sql string, address common.Address) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if _, err := s.pool.Exec(ctx, sql, pgx.NamedArgs{"address": address[:]}); err != nil {
		return ErrUnavailable
	}
	return nil
}

func (s *Store) disable(ctx context.Context, address common.Address) error {
	return s.exec(ctx, `insert into disabled_keys (address) values (@address) on conflict do nothing`, address)
}

func (s *Store) enable(ctx context.Context, address common.Address) error {
	return s.exec(ctx, `delete from disabled_keys where address = @address`, address)
}

func (s *Store) disabled(ctx context.Context) ([]common.Address, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	rows, err := s.pool.Query(ctx, `select address from disabled_keys`)
	if err != nil {
		return nil, ErrUnavailable
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	if err != nil {
		return nil, ErrUnavailable
	}
	out := make([]common.Address, len(list))
	for i, raw := range list {
		out[i] = common.BytesToAddress(raw)
	}
	return out, nil
}
