package madekeys

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/slipwayhq/slipway/internal/signing"
)

// Store is every SQL statement about keys that were made.
type Store struct {
	pool    *pgxpool.Pool
	chainID int64
}

// NewStore makes the store over a migrated database. The chain is the one whose senders
// the keys become.
func NewStore(pool *pgxpool.Pool, chainID uint64) *Store {
	return &Store{pool: pool, chainID: int64(chainID)}
}

// storeTimeout bounds one statement, waiting for a connection included.
const storeTimeout = 5 * time.Second

// row is an order, and its key once it was made.
type row struct {
	id        uuid.UUID
	order     Order
	orderedAt time.Time
	attempts  int
	place     string
	key       *Key
}

func (r row) keyOrNone() Key {
	if r.key == nil {
		return Key{}
	}
	return *r.key
}

// columns are those that scan reads.
const columns = `id, tenant_id, coalesce(idem_key, ''), source, name, ordered_at, attempts, coalesce(place, ''), address, coalesce(key_ref, '')`

func scan(from pgx.CollectableRow) (row, error) {
	var r row
	var address []byte
	var ref string
	err := from.Scan(&r.id, &r.order.Tenant, &r.order.IdempotencyKey, &r.order.Source, &r.order.Name, &r.orderedAt, &r.attempts, &r.place, &address, &ref)
	if len(address) > 0 {
		r.key = &Key{
			Tenant: r.order.Tenant, Source: r.order.Source, Name: r.order.Name,
			Address: common.BytesToAddress(address), Ref: signing.KeyRef(ref), place: r.place,
		}
	}
	return r, err
}

func (s *Store) query(ctx context.Context, sql string, args pgx.NamedArgs) ([]row, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	rows, err := s.pool.Query(ctx, sql, args)
	if err != nil {
		return nil, storeError(err)
	}
	list, err := pgx.CollectRows(rows, scan)
	return list, storeError(err)
}

// exec returns how many rows a statement changed.
func (s *Store) exec(ctx context.Context, sql string, args pgx.NamedArgs) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	tag, err := s.pool.Exec(ctx, sql, args)
	return tag.RowsAffected(), storeError(err)
}

// storeError lets through what PostgreSQL says of a statement; the driver's own words
// may name host and user.
func storeError(err error) error {
	var refused *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused) && refused.Code[:2] != "57" && refused.Code[:2] != "53" && refused.Code[:2] != "28" && refused.Code != "25006": // stopping, starting, full, a password that is being changed, demoted
		return fmt.Errorf("database: %s (SQLSTATE %s)", refused.Message, refused.Code)
	}
	return ErrUnavailable
}

// order writes an order down, or finds the one with its idempotency key.
func (s *Store) order(ctx context.Context, o Order) (row, error) {
	id := uuid.New()
	args := pgx.NamedArgs{"id": id, "tenant": o.Tenant, "idem": o.IdempotencyKey, "source": o.Source, "name": o.Name}
	_, err := s.exec(ctx, `
		insert into made_keys (id, tenant_id, idem_key, source, name) values (@id, @tenant, nullif(@idem, ''), @source, @name)
		on conflict (tenant_id, idem_key) where idem_key is not null do nothing`, args)
	if err != nil {
		return row{}, fmt.Errorf("write order of a key: %w", err)
	}
	if o.IdempotencyKey == "" {
		return row{id: id, order: o}, nil
	}
	return s.orderOf(ctx, o)
}

// orderOf finds the order with the idempotency key of o; without one there is no row.
func (s *Store) orderOf(ctx context.Context, o Order) (row, error) {
	found, err := s.query(ctx, `select `+columns+` from made_keys where tenant_id = @tenant and idem_key = nullif(@idem, '')`,
		pgx.NamedArgs{"tenant": o.Tenant, "idem": o.IdempotencyKey})
	switch {
	case err != nil:
		return row{}, fmt.Errorf("read order of a key: %w", err)
	case len(found) == 0:
		return row{}, nil
	case found[0].order != o:
		return row{}, ErrKeyReused
	}
	return found[0], nil
}

func (s *Store) read(ctx context.Context, id uuid.UUID) (row, error) {
	found, err := s.query(ctx, `select `+columns+` from made_keys where id = @id`, pgx.NamedArgs{"id": id})
	if err == nil && len(found) != 1 {
		err = errors.New("it is gone")
	}
	if err != nil {
		return row{}, fmt.Errorf("read order of a key: %w", err)
	}
	return found[0], nil
}

// claim keeps other attempts out, unless one is at it or the key was made.
func (s *Store) claim(ctx context.Context, id uuid.UUID, forTime time.Duration) (isOurs bool, err error) {
	n, err := s.exec(ctx, `
		update made_keys set attempts = attempts + 1, claimed_until = now() + @for
		where id = @id and address is null and (claimed_until is null or claimed_until < now())`, pgx.NamedArgs{"id": id, "for": forTime})
	if err != nil {
		return false, fmt.Errorf("claim order of a key: %w", err)
	}
	return n == 1, nil
}

// release lets the next attempt in.
func (s *Store) release(ctx context.Context, id uuid.UUID) error {
	_, err := s.exec(ctx, `update made_keys set claimed_until = null where id = @id and address is null`, pgx.NamedArgs{"id": id})
	return err
}

// note writes down where the key of an order is.
func (s *Store) note(ctx context.Context, id uuid.UUID, place string) error {
	if _, err := s.exec(ctx, `update made_keys set place = @place where id = @id and address is null`, pgx.NamedArgs{"id": id, "place": place}); err != nil {
		return fmt.Errorf("write place of a key: %w", err)
	}
	return nil
}

// finish writes down what key an order led to, and makes it a sender of the chain.
func (s *Store) finish(ctx context.Context, id uuid.UUID, k Key) error {
	n, err := s.exec(ctx, `
		with made as (
			update made_keys set place = @place, key_ref = @ref, address = @address, made_at = now(), claimed_until = null
			where id = @id and address is null returning address, key_ref)
		insert into senders (chain_id, address, key_ref) select @chain, address, key_ref from made
		on conflict (chain_id, address) do update set key_ref = excluded.key_ref`,
		pgx.NamedArgs{"id": id, "place": k.place, "ref": string(k.Ref), "address": k.Address[:], "chain": s.chainID})
	if err == nil && n != 1 {
		err = errors.New("it is made already")
	}
	if err != nil {
		return fmt.Errorf("write key: %w", err)
	}
	return nil
}

// find returns the key of an address, if it was made here. It becomes a sender of the
// chain by the way, so that the queue can drive it.
func (s *Store) find(ctx context.Context, address common.Address) (*Key, error) {
	found, err := s.query(ctx, `
		with found as (select * from made_keys where address = @address),
		registered as (
			insert into senders (chain_id, address, key_ref) select @chain, address, key_ref from found on conflict do nothing)
		select `+columns+` from found`, pgx.NamedArgs{"address": address[:], "chain": s.chainID})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return found[0].key, nil
}

// owners finds the tenants of those addresses whose keys were made here.
func (s *Store) owners(ctx context.Context, addresses []common.Address) (map[common.Address]string, error) {
	raw := make([][]byte, len(addresses))
	for i, a := range addresses {
		raw[i] = a[:]
	}
	found, err := s.query(ctx, `select `+columns+` from made_keys where address = any(@addresses)`, pgx.NamedArgs{"addresses": raw})
	out := make(map[common.Address]string, len(found))
	for _, r := range found {
		out[r.key.Address] = r.key.Tenant
	}
	return out, err
}

// maxListed bounds a list.
const maxListed = 10_000

func (s *Store) list(ctx context.Context, tenant string) ([]Key, error) {
	found, err := s.query(ctx, `
		select `+columns+` from made_keys where tenant_id = @tenant and address is not null order by made_at, id limit @limit`,
		pgx.NamedArgs{"tenant": tenant, "limit": maxListed})
	if err != nil {
		return nil, fmt.Errorf("list made keys: %w", err)
	}
	out := make([]Key, len(found))
	for i, r := range found {
		out[i] = *r.key
	}
	return out, nil
}
