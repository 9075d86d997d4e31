package access

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

// Store is every SQL statement of the package.
type Store struct{ pool *pgxpool.Pool }

// NewStore makes the store over a migrated database.
func NewStore(pool *pgxpool.Pool) *Store { return &Store{pool} }

// storeTimeout bounds one SQL transaction.
const storeTimeout = 15 * time.Second

// storeError keeps apart what PostgreSQL says from not having reached it.
func storeError(doing string, err error) error {
	var pgErr *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrNoKey), errors.Is(err, ErrTooMany), errors.Is(err, ErrNameTaken):
		return err
	case errors.As(err, &pgErr) && !strings.HasPrefix(pgErr.Code, "28"): // a password that is being changed
		return fmt.Errorf("%s: %s (SQLSTATE %s)", doing, pgErr.Message, pgErr.Code)
	default:
		return fmt.Errorf("%s: %w: the database cannot be reached", doing, ErrUnavailable)
	}
}

const keyColumns = `id, hash, tenant_id, name, roles, created_at, created_by, expires_at, revoked_at`

func scanKey(row pgx.CollectableRow) (Key, error) {
	var k Key
	err := row.Scan(&k.ID, &k.hash, &k.Tenant, &k.Name, &k.Roles, &k.CreatedAt, &k.CreatedBy, &k.ExpiresAt, &k.RevokedAt)
	return k, err
}

func (s *Store) keys(ctx context.Context, sql string, args ...any) ([]Key, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, storeError("read API keys", err)
	}
	out, err := pgx.CollectRows(rows, scanKey)
	return out, storeError("read API keys", err)
}

// Find reads a key; nil if there is none.
func (s *Store) Find(ctx context.Context, id string) (*Key, error) {
	list, err := s.keys(ctx, `select `+keyColumns+` from api_keys where id = $1`, id)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

// List reads the keys of a tenant, or all.
func (s *Store) List(ctx context.Context, tenant string) ([]Key, error) {
	return s.keys(ctx, `select `+keyColumns+` from api_keys where $1 = '' or tenant_id = $1 order by created_at desc, id limit 10000`, tenant)
}

// Insert stores a key, unless more than the given number with its name are
// active.
func (s *Store) Insert(ctx context.Context, id string, hash []byte, n NewKey, others int) (Key, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	var made Key
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		// Two who make a key of one name at the same time do it one after the other.
		if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock(hashtextextended('api key ' || $1 || ' ' || $2, 0))`, n.Tenant, n.Name); err != nil {
			return err
		}
		var active int
		if err := tx.QueryRow(ctx, `
			select count(*) from api_keys
			where tenant_id = $1 and name = $2 and revoked_at is null and (expires_at is null or expires_at > now())`, n.Tenant, n.Name).Scan(&active); err != nil {
			return err
		}
		switch {
		case active > others && others > 0:
			return ErrTooMany
		case active > others:
			return ErrNameTaken
		}
		rows, err := tx.Query(ctx, `
			insert into api_keys (id, hash, tenant_id, name, roles, created_by, expires_at)
			values (@id, @hash, @tenant, @name, @roles, @by, case when @lifetime::interval > '0' then now() + @lifetime::interval end)
			returning `+keyColumns,
			pgx.NamedArgs{"id": id, "hash": hash, "tenant": n.Tenant, "name": n.Name, "roles": n.Roles, "by": n.By, "lifetime": n.Lifetime})
		if err != nil {
			return err
		}
		made, err = pgx.CollectExactlyOneRow(rows, scanKey)
		return err
	})
	return made, storeError("make API key", err)
}

// Expire lets a key end after a time, unless it ends before.
func (s *Store) Expire(ctx context.Context, tenant, id string, after time.Duration) error {
	return s.change(ctx, `
		update api_keys set expires_at = least(expires_at, now() + $3::interval) where id = $1 and tenant_id = $2`, id, tenant, after)
}

// Revoke ends a key at once.
func (s *Store) Revoke(ctx context.Context, tenant, id string) error {
	return s.change(ctx, `update api_keys set revoked_at = coalesce(revoked_at, now()) where id = $1 and tenant_id = $2`, id, tenant)
}

func (s *Store) change(ctx context.Context, sql string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	tag, err := s.pool.Exec(ctx, sql, args...)
	if err == nil && tag.RowsAffected() == 0 {
		return ErrNoKey
	}
	return storeError("change API key", err)
}
