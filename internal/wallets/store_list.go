package wallets

import (
	"context"

	"github.com/ethereum/go-ethereum/common"
	"github.com/jackc/pgx/v5"
)

// list reads wallets, or keys, of a tenant in the order of their indexes.
func (s *Store) list(ctx context.Context, vault common.Address, tenant string, isKey bool, limit int) ([]Wallet, error) {
	return query(ctx, s, `select id, name, address, derivation_path from wallets where vault = @vault and tenant_id = @tenant and is_key = @key order by wallet_index limit @limit`,
		pgx.NamedArgs{"vault": vault[:], "tenant": tenant, "key": isKey, "limit": limit}, func(row pgx.CollectableRow) (Wallet, error) {
			var w Wallet
			var raw []byte
			err := row.Scan(&w.ID, &w.Name, &raw, &w.Path)
			w.Address = common.BytesToAddress(raw)
			return w, err
		})
}
