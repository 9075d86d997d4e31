package wallets

import (
	"context"
	"errors"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// newWallet is what create has to fill in once the index is known.
type newWallet struct {
	id     uuid.UUID
	vault  common.Address
	tenant string
	name   string
	isKey  bool   // of the tenant itself, no end user's
	wanted *int64 // the index asked for, nil for the next free one
	floor  int64  // indexes below belong to the signer itself
	derive func(index int64) (common.Address, string, error)
}

// create gives out an index and stores the wallet, in one SQL transaction, unless there
// is one with its id. The lock on the vault's row makes creators wait for each other, on
// all replicas.
func (s *Store) create(ctx context.Context, n newWallet) (w Wallet, isNew bool, err error) {
	w = Wallet{ID: n.id, Name: n.name}
	err = s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		from, err := lockVault(ctx, tx, n)
		if err != nil {
			return err
		}
		if isNew, err = w.isUnknown(ctx, tx); err != nil || !isNew {
			return err
		}
		index, err := takeIndex(ctx, tx, n, from)
		if err != nil {
			return err
		}
		if w.Address, w.Path, err = n.derive(index); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			insert into wallets (id, tenant_id, vault, wallet_index, name, address, derivation_path, is_key)
			values (@id, @tenant, @vault, @index, @name, @address, @path, @key)`,
			pgx.NamedArgs{"id": w.ID, "tenant": n.tenant, "key": n.isKey, "vault": n.vault[:], "index": index, "name": n.name, "address": w.Address[:], "path": w.Path})
		if hasCode(err, uniqueViolation) {
			return ErrIndexTaken
		}
		return err
	})
	return w, isNew, err
}

// lockVault locks the vault and returns the first index that may be given out.
func lockVault(ctx context.Context, tx pgx.Tx, n newWallet) (from int64, err error) {
	args := pgx.NamedArgs{"vault": n.vault[:], "floor": n.floor}
	if _, err := tx.Exec(ctx, `insert into wallet_vaults (vault) values (@vault) on conflict do nothing`, args); err != nil {
		return 0, err
	}
	err = tx.QueryRow(ctx, `select greatest(next_index, @floor) from wallet_vaults where vault = @vault for update`, args).Scan(&from)
	return from, err
}

// isUnknown reads the rest of a wallet whose id is stored already.
func (w *Wallet) isUnknown(ctx context.Context, tx pgx.Tx) (bool, error) {
	var address []byte
	err := tx.QueryRow(ctx, `select address, derivation_path from wallets where id = @id`, pgx.NamedArgs{"id": w.ID}).Scan(&address, &w.Path)
	if errors.Is(err, pgx.ErrNoRows) {
		return true, nil
	}
	w.Address = common.BytesToAddress(address)
	return false, err
}

// takeIndex chooses an index of a locked vault: the wanted one, or the first at or above
// all that were ever given out which nobody chose by himself.
func takeIndex(ctx context.Context, tx pgx.Tx, n newWallet, from int64) (index int64, err error) {
	if n.wanted != nil {
		return *n.wanted, nil
	}
	args := pgx.NamedArgs{"vault": n.vault[:], "from": from}
	err = tx.QueryRow(ctx, `
		with candidates as (
			select @from::bigint as i union select wallet_index + 1 from wallets where vault = @vault and wallet_index >= @from),
		chosen as (
			select min(i) as i from candidates c
			where not exists (select from wallets w where w.vault = @vault and w.wallet_index = c.i))
		update wallet_vaults v set next_index = chosen.i + 1 from chosen where v.vault = @vault returning chosen.i`, args).Scan(&index)
	return index, err
}

// path finds a wallet by its address. The wallet becomes a sender of the chain
// by the way, so that the queue can drive it.
func (s *Store) path(ctx context.Context, vault, address common.Address) (string, error) {
	paths, err := query(ctx, s, `
		with found as (select address, derivation_path from wallets where vault = @vault and address = @address),
		registered as (
			insert into senders (chain_id, address, key_ref)
			select @chain, address, 'local:' || derivation_path from found on conflict do nothing)
		select derivation_path from found`,
		pgx.NamedArgs{"chain": s.chainID, "vault": vault[:], "address": address[:]}, pgx.RowTo[string])
	if err != nil {
		return "", err
	}
	if len(paths) == 0 {
		return "", ErrUnknownWallet
	}
	return paths[0], nil
}

// addresses lists wallets of a tenant in the order of their indexes.
func (s *Store) addresses(ctx context.Context, vault common.Address, tenant string, limit int) ([]common.Address, error) {
	return query(ctx, s, `select address from wallets where vault = @vault and tenant_id = @tenant order by wallet_index limit @limit`,
		pgx.NamedArgs{"vault": vault[:], "tenant": tenant, "limit": limit}, func(row pgx.CollectableRow) (common.Address, error) {
			var raw []byte
			err := row.Scan(&raw)
			return common.BytesToAddress(raw), err
		})
}

// owners finds the tenants of those addresses that are wallets.
func (s *Store) owners(ctx context.Context, vault common.Address, addresses []common.Address) (map[common.Address]string, error) {
	raw := make([][]byte, len(addresses))
	for i, a := range addresses {
		raw[i] = a.Bytes()
	}
	out := map[common.Address]string{}
	_, err := query(ctx, s, `select address, tenant_id from wallets where vault = @vault and address = any(@addresses)`,
		pgx.NamedArgs{"vault": vault[:], "addresses": raw}, func(row pgx.CollectableRow) (struct{}, error) {
			var address []byte
			var tenant string
			err := row.Scan(&address, &tenant)
			out[common.BytesToAddress(address)] = tenant
			return struct{}{}, err
		})
	return out, err
}
