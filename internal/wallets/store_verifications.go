package wallets

import (
	"context"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// walletID locks a wallet's row and returns its id, or ErrUnknownWallet.
func (s *Store) walletID(ctx context.Context, tx pgx.Tx, w walletKey) (uuid.UUID, error) {
	rows, err := tx.Query(ctx, `select id from wallets where vault = @vault and tenant_id = @tenant and address = @address for update`,
		pgx.NamedArgs{"vault": w.vault[:], "tenant": w.tenant, "address": w.address[:]})
	if err != nil {
		return uuid.Nil, err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err == nil && len(ids) == 0 {
		err = ErrUnknownWallet
	}
	if err != nil {
		return uuid.Nil, err
	}
	return ids[0], nil
}

// addVerification stores a verification of a wallet.
func (s *Store) addVerification(ctx context.Context, w walletKey, r record) error {
	return s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		wallet, err := s.walletID(ctx, tx, w)
		if err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `
			insert into wallet_verifications (id, wallet_id, type, name, salt, sealed, hashes, otp)
			select @id, @wallet, @type::verification_type, @name, @salt, @sealed, @hashes, @otp
			where (select count(*) from wallet_verifications where wallet_id = @wallet) < @most`,
			pgx.NamedArgs{
				"id": r.id, "wallet": wallet, "type": string(r.kind), "name": r.name, "salt": r.salt,
				"sealed": r.sealed, "hashes": r.hashes, "otp": r.otp, "most": maxVerifications,
			})
		if err == nil && tag.RowsAffected() == 0 {
			return ErrTooMany
		}
		return err
	})
}

// verifications lists those of a wallet, oldest first.
func (s *Store) verifications(ctx context.Context, w walletKey) ([]Verification, error) {
	var out []Verification
	err := s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		wallet, err := s.walletID(ctx, tx, w)
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			select v.id, v.name, v.type::text from wallet_verifications v join wallets w on w.id = v.wallet_id
			where w.id = @wallet order by v.created_at, v.id`,
			pgx.NamedArgs{"wallet": wallet})
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Verification])
		return err
	})
	return out, err
}

// isProtected says whether an address has a verification. Addresses that are no
// wallets have none.
func (s *Store) isProtected(ctx context.Context, address common.Address) (bool, error) {
	rows, err := query(ctx, s, `
		select exists (select from wallet_verifications v join wallets w on w.id = v.wallet_id where w.address = @address)`,
		pgx.NamedArgs{"address": address[:]}, pgx.RowTo[bool])
	if err != nil || len(rows) == 0 {
		return false, err
	}
	return rows[0], nil
}

// deleteVerification takes a verification and its challenges away.
func (s *Store) deleteVerification(ctx context.Context, w walletKey, id uuid.UUID) error {
	return s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		wallet, err := s.walletID(ctx, tx, w)
		if err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `delete from wallet_verifications where id = @id and wallet_id = @wallet`, pgx.NamedArgs{"id": id, "wallet": wallet})
		if err == nil && tag.RowsAffected() == 0 {
			return ErrUnknownVerification
		}
		return err
	})
}

// lockVerifications reads the verifications that a target means and keeps them
// for this SQL transaction, in an order that all replicas share. Verifications
// of wallets of another tenant or another mnemonic are not there.
func (s *Store) lockVerifications(ctx context.Context, tx pgx.Tx, vault common.Address, t Target) ([]record, error) {
	var address []byte
	if t.Address != nil {
		address = t.Address[:]
	}
	rows, err := tx.Query(ctx, `
		select v.id, v.type::text, v.name, v.salt, v.sealed, v.hashes, v.otp, v.last_step, v.failures, v.locked_until
		from wallet_verifications v join wallets w on w.id = v.wallet_id
		where w.vault = @vault and w.tenant_id = @tenant and (@address::bytea is null or w.address = @address)
		and (@verification::uuid is null or v.id = @verification)
		and (@challenge::uuid is null or v.id = (select verification_id from wallet_challenges where id = @challenge))
		order by v.id for update of v`,
		pgx.NamedArgs{"vault": vault[:], "tenant": t.Tenant, "address": address, "verification": idOrNull(t.Verification), "challenge": idOrNull(t.Challenge)})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanRecord)
}

func scanRecord(row pgx.CollectableRow) (record, error) {
	var r record
	var kind string
	var lockedUntil *time.Time
	err := row.Scan(&r.id, &kind, &r.name, &r.salt, &r.sealed, &r.hashes, &r.otp, &r.lastStep, &r.failures, &lockedUntil)
	r.kind = Type(kind)
	if lockedUntil != nil {
		r.lockedUntil = *lockedUntil
	}
	return r, err
}

func idOrNull(id uuid.UUID) *uuid.UUID {
	if id == uuid.Nil {
		return nil
	}
	return &id
}

// save writes what an attempt may have changed of a verification.
func save(ctx context.Context, tx pgx.Tx, r record) error {
	var lockedUntil *time.Time
	if !r.lockedUntil.IsZero() {
		lockedUntil = &r.lockedUntil
	}
	_, err := tx.Exec(ctx, `
		update wallet_verifications set hashes = @hashes, last_step = @step, failures = @failures, locked_until = @until where id = @id`,
		pgx.NamedArgs{"id": r.id, "hashes": r.hashes, "step": r.lastStep, "failures": r.failures, "until": lockedUntil})
	return err
}
