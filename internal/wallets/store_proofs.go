package wallets

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// isProved says whether a response was used up for each of some requests. It counts
// for as long as a challenge could be answered, and for ever once the request was
// accepted: what is accepted is not executed again.
func isProved(ctx context.Context, tx pgx.Tx, tenant string, requests []Request, ttl time.Duration) (bool, error) {
	for _, r := range requests {
		var found bool
		err := tx.QueryRow(ctx, `
			select exists (
				select from wallet_proofs p
				where p.tenant_id = @tenant and p.idem_key = @key and p.req_hash = @hash and p.actor = @actor
				and (p.proved_at > clock_timestamp() - @ttl::interval
					or exists (select from transactions t where t.tenant_id = p.tenant_id and t.idem_key = p.idem_key and t.req_hash = p.req_hash)))`,
			proofArgs(tenant, r, ttl)).Scan(&found)
		if err != nil || !found {
			return false, err
		}
	}
	return len(requests) > 0, nil
}

// noteProved writes down for which requests a response was used up.
func noteProved(ctx context.Context, tx pgx.Tx, tenant string, requests []Request) error {
	for _, r := range requests {
		if _, err := tx.Exec(ctx, `
			insert into wallet_proofs (tenant_id, idem_key, req_hash, actor, proved_at) values (@tenant, @key, @hash, @actor, clock_timestamp())
			on conflict (tenant_id, idem_key, req_hash, actor) do update set proved_at = excluded.proved_at`, proofArgs(tenant, r, 0)); err != nil {
			return err
		}
	}
	return nil
}

func proofArgs(tenant string, r Request, ttl time.Duration) pgx.NamedArgs {
	return pgx.NamedArgs{"tenant": tenant, "key": r.IdempotencyKey, "hash": r.Hash[:], "actor": r.Actor, "ttl": ttl}
}
