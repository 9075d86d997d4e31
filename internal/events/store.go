package events

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Querier is a pool of connections, or one SQL transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// Store reads the history with a pool of connections.
type Store struct{ pool *pgxpool.Pool }

// NewStore makes the store over a migrated database. It must be the primary: a
// replica of it does not show the locks that Reader looks at.
func NewStore(pool *pgxpool.Pool) *Store { return &Store{pool: pool} }

// storeTimeout bounds one statement, waiting for a connection included.
const storeTimeout = 15 * time.Second

var (
	// ErrUnavailable says that the database could not be reached.
	ErrUnavailable = errors.New("the database cannot be reached")
	// ErrDatabase says that PostgreSQL refused a statement; its text says why.
	ErrDatabase = errors.New("database")
)

func query[T any](ctx context.Context, db Querier, sql string, args pgx.NamedArgs, scan pgx.RowToFunc[T]) ([]T, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	rows, err := db.Query(ctx, sql, args)
	if err != nil {
		return nil, storeError(err)
	}
	out, err := pgx.CollectRows(rows, scan)
	return out, storeError(err)
}

// storeError keeps apart what PostgreSQL says about a statement from not having
// reached it; the driver's words may name host, user and database.
func storeError(err error) error {
	var pgErr *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &pgErr) && !strings.HasPrefix(pgErr.Code, "28"): // a password that is being changed
		return fmt.Errorf("%w: %s (SQLSTATE %s)", ErrDatabase, pgErr.Message, pgErr.Code)
	default:
		return ErrUnavailable
	}
}

// idsAfter reads the next visible ids.
func idsAfter(ctx context.Context, db Querier, after int64, limit int) ([]int64, error) {
	ids, err := query(ctx, db, `select id from tx_events where id > @after order by id limit @limit`,
		pgx.NamedArgs{"after": after, "limit": limit}, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("read ids of events: %w", err)
	}
	return ids, nil
}

// newestID is the highest visible id, 0 for none.
func newestID(ctx context.Context, db Querier) (int64, error) {
	ids, err := query(ctx, db, `select coalesce(max(id), 0) from tx_events`, pgx.NamedArgs{}, pgx.RowTo[int64])
	if err != nil {
		return 0, fmt.Errorf("read newest event: %w", err)
	}
	return ids[0], nil
}

// writers names the SQL transactions that have written events, or are about to.
// The names are never used twice (virtual transaction ids).
func writers(ctx context.Context, db Querier) ([]string, error) {
	names, err := query(ctx, db, `
		select virtualtransaction from pg_locks
		where locktype = 'relation' and relation = 'tx_events'::regclass and mode = 'RowExclusiveLock' and granted
		and database = (select oid from pg_database where datname = current_database())`,
		pgx.NamedArgs{}, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read writers of events: %w", err)
	}
	return names, nil
}

// selectEvents reads events whole. Status and hash are what the events up to
// this one say, so that they are the same whenever it is read.
const selectEvents = `
	select e.id, e.type, e.at, e.data, e.tx_id, t.tenant_id, t.chain_id, t.sender, coalesce(t.reference, ''),
		case when e.type = any(enum_range(null::transaction_status)::text[]) then e.type
		else coalesce((select p.type from tx_events p where p.tx_id = e.tx_id and p.id < e.id and p.type = any(enum_range(null::transaction_status)::text[])
			order by p.id desc limit 1), 'queued') end,
		coalesce((select p.data->>'hash' from tx_events p where p.tx_id = e.tx_id and p.id <= e.id and p.data ? 'hash' order by p.id desc limit 1), '')
	from tx_events e join transactions t on t.id = e.tx_id`

func scanEvent(row pgx.CollectableRow) (Event, error) {
	var e Event
	var chain int64
	var sender []byte
	err := row.Scan(&e.ID, &e.Type, &e.At, &e.Data, &e.TxID, &e.Tenant, &chain, &sender, &e.Reference, &e.Status, &e.Hash)
	e.ChainID, e.Sender = uint64(chain), common.BytesToAddress(sender)
	return e, err
}

// Load reads all events of all tenants with after < id <= upTo, in their order.
// What a Reader has settled is complete.
func Load(ctx context.Context, db Querier, after, upTo int64) ([]Event, error) {
	list, err := query(ctx, db, selectEvents+` where e.id > @after and e.id <= @up_to order by e.id`,
		pgx.NamedArgs{"after": after, "up_to": upTo}, scanEvent)
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	return list, nil
}

// Page reads the chosen ones among the next ids behind after, and says how far
// it has looked. It looks at a bounded number of ids, and not beyond upTo.
func (s *Store) Page(ctx context.Context, f Filter, after, upTo int64) (list []Event, next int64, err error) {
	next = min(after+pageIDs, upTo)
	senders := make([][]byte, len(f.Senders))
	for i := range f.Senders {
		senders[i] = f.Senders[i][:]
	}
	list, err = query(ctx, s.pool, selectEvents+`
		where e.id > @after and e.id <= @up_to and t.tenant_id = @tenant and t.chain_id = @chain
		and (cardinality(@types::text[]) = 0 or e.type = any(@types)) and (cardinality(@senders::bytea[]) = 0 or t.sender = any(@senders))
		and (@reference::text = '' or t.reference = @reference) and (@any_tx::bool or e.tx_id = @tx::uuid)
		order by e.id`,
		pgx.NamedArgs{
			"after": after, "up_to": next, "tenant": f.Tenant, "chain": int64(f.ChainID), "types": append([]string{}, f.Types...),
			"senders": senders, "reference": f.Reference, "any_tx": f.TxID == uuid.Nil, "tx": f.TxID,
		}, scanEvent)
	if err != nil {
		return nil, after, fmt.Errorf("read events: %w", err)
	}
	return list, next, nil
}

// pageIDs bounds one Page: both what is looked at and what is kept in memory.
const pageIDs = 2000
