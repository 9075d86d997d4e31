package queue

import (
	"context"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// signedTx is a claimed transaction with its nonce and bytes.
type signedTx struct {
	id      uuid.UUID
	version int
	nonce   uint64
	raw     []byte
	hash    common.Hash
	fees    Fees
	// isPriced says that the fee policy chose the fees.
	isPriced bool
}

// Commit stores slots and signed bytes and moves next_nonce, in one SQL
// transaction. It changes nothing and returns errFenced unless the lease's epoch
// and next_nonce are as expected, and errClaimChanged unless every transaction
// is still as it was claimed. After any other error the outcome is unknown: the
// caller must read the slots again before it signs anything.
func (s *Store) Commit(ctx context.Context, l lease, txs []signedTx) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()

	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		args := commitArgs(s.chainID, l, txs)
		// The fence comes first: its row lock makes rival commits wait here.
		tag, err := tx.Exec(ctx, `
			update senders set next_nonce = next_nonce + @count
			where chain_id = @chain and address = @sender and lease_epoch = @epoch and next_nonce = @first and state = 'active'`, args)
		if err != nil {
			return err
		}
		if tag.RowsAffected() != 1 {
			return errFenced
		}
		tag, err = tx.Exec(ctx, `
			with signed as (
				update transactions t set status = 'signed', substatus = null, version = t.version + 1, updated_at = now()
				from unnest(@ids::uuid[], @versions::int[]) as c (id, version)
				where t.id = c.id and t.version = c.version and t.status = 'queued'
				returning t.id)
			insert into tx_events (tx_id, type, data)
			select i.id, 'signed', jsonb_build_object('nonce', i.nonce, 'hash', '0x' || encode(i.hash, 'hex'))
			from unnest(@ids::uuid[], @nonces::bigint[], @hashes::bytea[]) as i (id, nonce, hash) join signed on signed.id = i.id`, args)
		if err != nil {
			return err
		}
		if tag.RowsAffected() != int64(len(txs)) {
			return errClaimChanged
		}
		batch := &pgx.Batch{}
		batch.Queue(`
			insert into nonce_slots (chain_id, sender, nonce, tx_id)
			select @chain, @sender, nonce, id from unnest(@ids::uuid[], @nonces::bigint[]) as i (id, nonce)`, args)
		batch.Queue(`
			insert into attempts (chain_id, sender, nonce, raw, hash, fees)
			select @chain, @sender, nonce, raw, hash, fees
			from unnest(@nonces::bigint[], @raws::bytea[], @hashes::bytea[], @fees::jsonb[]) as i (nonce, raw, hash, fees)`, args)
		return tx.SendBatch(ctx, batch).Close()
	})
	if errors.Is(err, errFenced) || errors.Is(err, errClaimChanged) {
		return err
	}
	if err != nil {
		return fmt.Errorf("commit signed transactions: %w", storeError(err))
	}
	return nil
}

func commitArgs(chainID int64, l lease, txs []signedTx) pgx.NamedArgs {
	ids, versions, nonces := make([]uuid.UUID, len(txs)), make([]int32, len(txs)), make([]int64, len(txs))
	raws, hashes, fees := make([][]byte, len(txs)), make([][]byte, len(txs)), make([][]byte, len(txs))
	for i, t := range txs {
		ids[i], versions[i], nonces[i] = t.id, int32(t.version), int64(t.nonce)
		raws[i], hashes[i], fees[i] = t.raw, t.hash[:], mustJSON(t.fees)
	}
	return pgx.NamedArgs{
		"chain": chainID, "sender": l.Sender[:], "epoch": l.Epoch, "first": nonces[0], "count": len(txs),
		"ids": ids, "versions": versions, "nonces": nonces, "raws": raws, "hashes": hashes, "fees": fees,
	}
}
