package webhooks

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Insert makes a webhook with its first secret. Who makes several at a time
// waits: the tenant's number is kept exactly.
func (s *Store) Insert(ctx context.Context, tenant string, w Webhook, secretID uuid.UUID, text []byte, most int) error {
	args := s.argsOf(tenant, w)
	args["secret"], args["sealed"], args["most"] = secretID, text, most
	err := s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock(hashtextextended('webhooks ' || @tenant::text, 0))`, args); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `
			insert into webhooks (id, tenant_id, chain_id, url, description, types, senders, active)
			select @id, @tenant, @chain, @url, @description, @types, @senders, @active
			where (select count(*) from webhooks where tenant_id = @tenant and chain_id = @chain) < @most`, args)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return ErrTooMany
		}
		_, err = tx.Exec(ctx, `insert into webhook_secrets (id, webhook_id, place, sealed) values (@secret, @id, 1, @sealed)`, args)
		return err
	})
	if err != nil {
		return fmt.Errorf("make webhook: %w", err)
	}
	return nil
}

func (s *Store) argsOf(tenant string, w Webhook) pgx.NamedArgs {
	senders := make([][]byte, len(w.Senders))
	for i := range w.Senders {
		senders[i] = w.Senders[i][:]
	}
	return pgx.NamedArgs{
		"id": w.ID, "tenant": tenant, "chain": s.chainID, "url": w.URL, "description": w.Description,
		"types": append([]string{}, w.Types...), "senders": senders, "active": w.Active,
	}
}

// List reads the webhooks of a tenant, or one of them.
func (s *Store) List(ctx context.Context, tenant string, only *uuid.UUID) ([]Webhook, error) {
	list, err := query(ctx, s.pool, `
		select w.id, w.url, w.description, w.types, w.senders, w.active, w.failures, w.created_at, w.updated_at,
			(select json_agg(json_build_object('ID', k.id, 'CreatedAt', k.created_at) order by k.created_at, k.place) from webhook_secrets k where k.webhook_id = w.id)
		from webhooks w where w.tenant_id = @tenant and w.chain_id = @chain and (@only::uuid is null or w.id = @only)
		order by w.created_at, w.id`,
		pgx.NamedArgs{"tenant": tenant, "chain": s.chainID, "only": only}, scanWebhook)
	if err != nil {
		return nil, fmt.Errorf("read webhooks: %w", err)
	}
	return list, nil
}

func scanWebhook(row pgx.CollectableRow) (Webhook, error) {
	var w Webhook
	var senders [][]byte
	var secrets []byte
	err := row.Scan(&w.ID, &w.URL, &w.Description, &w.Types, &senders, &w.Active, &w.Failures, &w.CreatedAt, &w.UpdatedAt, &secrets)
	if err != nil {
		return w, err
	}
	w.Senders = addresses(senders)
	if secrets == nil {
		return w, nil
	}
	return w, json.Unmarshal(secrets, &w.Secrets)
}

func addresses(list [][]byte) []common.Address {
	out := make([]common.Address, len(list))
	for i := range list {
		out[i] = common.BytesToAddress(list[i])
	}
	return out
}

// Update writes a webhook's fields.
func (s *Store) Update(ctx context.Context, tenant string, w Webhook) error {
	n, err := s.exec(ctx, `
		update webhooks set url = @url, description = @description, types = @types, senders = @senders, active = @active,
			failures = case when url = @url then failures else 0 end, updated_at = now()
		where id = @id and tenant_id = @tenant and chain_id = @chain`, s.argsOf(tenant, w))
	if err != nil {
		return fmt.Errorf("change webhook: %w", err)
	}
	if n == 0 {
		return ErrNotFound
	}
	return nil
}

// Delete removes a webhook with everything that belongs to it.
func (s *Store) Delete(ctx context.Context, tenant string, id uuid.UUID) error {
	n, err := s.exec(ctx, `delete from webhooks where id = @id and tenant_id = @tenant and chain_id = @chain`,
		pgx.NamedArgs{"id": id, "tenant": tenant, "chain": s.chainID})
	if err != nil {
		return fmt.Errorf("delete webhook: %w", err)
	}
	if n == 0 {
		return ErrNotFound
	}
	return nil
}

// lockWebhook makes those wait who change the secrets of the same webhook.
func (s *Store) lockWebhook(ctx context.Context, tx pgx.Tx, tenant string, id uuid.UUID) error {
	tag, err := tx.Exec(ctx, `select from webhooks where id = @id and tenant_id = @tenant and chain_id = @chain for no key update`,
		pgx.NamedArgs{"id": id, "tenant": tenant, "chain": s.chainID})
	if err != nil {
		return err
	}
	if tag.RowsAffected() == 0 {
		return ErrNotFound
	}
	return nil
}

// AddSecret takes the free one of the two places.
func (s *Store) AddSecret(ctx context.Context, tenant string, id, secretID uuid.UUID, text []byte) (Secret, error) {
	var made Secret
	err := s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if err := s.lockWebhook(ctx, tx, tenant, id); err != nil {
			return err
		}
		rows, err := query(ctx, tx, `
			insert into webhook_secrets (id, webhook_id, place, sealed)
			select @secret, @id, p, @sealed from unnest(array[1, 2]) as p
			where not exists (select from webhook_secrets where webhook_id = @id and place = p) order by p limit 1
			returning id, created_at`,
			pgx.NamedArgs{"secret": secretID, "id": id, "sealed": text}, pgx.RowToStructByPos[Secret])
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return ErrSecrets
		}
		made = rows[0]
		return nil
	})
	if err != nil {
		return made, fmt.Errorf("add secret: %w", err)
	}
	return made, nil
}

// RemoveSecret frees a place, but never the last one that is taken.
func (s *Store) RemoveSecret(ctx context.Context, tenant string, id, secretID uuid.UUID) error {
	err := s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if err := s.lockWebhook(ctx, tx, tenant, id); err != nil {
			return err
		}
		args := pgx.NamedArgs{"secret": secretID, "id": id}
		ids, err := query(ctx, tx, `select id from webhook_secrets where webhook_id = @id`, args, pgx.RowTo[uuid.UUID])
		if err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `delete from webhook_secrets where webhook_id = @id and id = @secret`, args)
		switch {
		case err != nil:
			return err
		case tag.RowsAffected() == 0:
			return ErrNotFound
		case len(ids) == 1:
			return ErrSecrets // rolls back
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("remove secret: %w", err)
	}
	return nil
}
