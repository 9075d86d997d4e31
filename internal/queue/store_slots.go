package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/slipwayhq/slipway/internal/failpoint"
)

// UnfinishedSlots reads the slots of a sender that are not final, with their
// attempts.
func (s *Store) UnfinishedSlots(ctx context.Context, sender common.Address) ([]*slot, error) {
	type row struct {
		Nonce     int64
		TxID      uuid.UUID
		Seq       int
		Purpose   string
		Raw, Hash []byte
		Fees      []byte
		Sent      bool
		FirstSent *float64 // seconds ago, by the database's clock
		LastSent  *float64
		Substatus *string
		IsPriced  bool
	}
	rows, err := query(ctx, s, `
		select n.nonce, n.tx_id, a.seq, a.purpose::text, a.raw, a.hash, a.fees, a.first_sent_at is not null,
			extract(epoch from now() - a.first_sent_at)::float8, extract(epoch from now() - a.last_sent_at)::float8, t.substatus, t.fees is null
		from nonce_slots n
		join attempts a on a.chain_id = n.chain_id and a.sender = n.sender and a.nonce = n.nonce
		join transactions t on t.id = n.tx_id
		where n.chain_id = @chain and n.sender = @sender and n.state in ('open', 'mined')
		order by n.nonce, a.seq`,
		pgx.NamedArgs{"chain": s.chainID, "sender": sender[:]}, pgx.RowToStructByPos[row])
	if err != nil {
		return nil, fmt.Errorf("read unfinished slots: %w", err)
	}
	var slots []*slot
	now := failpoint.Now()
	for _, r := range rows {
		if len(slots) == 0 || slots[len(slots)-1].nonce != uint64(r.Nonce) {
			slots = append(slots, &slot{nonce: uint64(r.Nonce), txID: r.TxID, waiting: deref(r.Substatus), isPriced: r.IsPriced})
		}
		last := slots[len(slots)-1]
		a := attempt{seq: r.Seq, purpose: r.Purpose, raw: r.Raw, hash: common.BytesToHash(r.Hash), firstSent: ago(now, r.FirstSent)}
		if err := json.Unmarshal(r.Fees, &a.fees); err != nil {
			return nil, fmt.Errorf("read fees: %w", err)
		}
		last.attempts = append(last.attempts, a)
		last.sent = r.Sent
		last.lastSent = ago(now, r.LastSent)
	}
	return slots, nil
}

// ago turns an age into a time by this machine's clock, with which it will be
// compared; nil is never.
func ago(now time.Time, seconds *float64) time.Time {
	if seconds == nil {
		return time.Time{}
	}
	return now.Add(-time.Duration(*seconds * float64(time.Second)))
}

// sendRecord is what became of one offer to the node.
type sendRecord struct {
	txID    uuid.UUID
	hash    common.Hash
	taken   bool // the node has it
	code    int
	message string
}

// RecordSends notes offers to the node. Losing it in a crash of the database is
// harmless, the bytes are sent once more; so it does not wait for the disk.
func (s *Store) RecordSends(ctx context.Context, records []sendRecord) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()

	hashes, codes, messages := make([][]byte, len(records)), make([]int32, len(records)), make([]string, len(records))
	var taken []uuid.UUID
	for i, r := range records {
		hashes[i], codes[i], messages[i] = r.hash[:], int32(r.code), r.message
		if r.taken {
			taken = append(taken, r.txID)
		}
	}
	args := pgx.NamedArgs{"hashes": hashes, "codes": codes, "messages": messages, "taken": taken}
	batch := &pgx.Batch{}
	batch.Queue(`set local synchronous_commit = off`)
	batch.Queue(`
		update attempts a set first_sent_at = coalesce(first_sent_at, now()), last_sent_at = now(), send_count = send_count + 1,
			last_code = nullif(r.code, 0), last_message = nullif(r.message, '')
		from unnest(@hashes::bytea[], @codes::int[], @messages::text[]) as r (hash, code, message) where a.hash = r.hash`, args)
	batch.Queue(`
		with submitted as (
			update transactions set status = 'submitted', substatus = null, version = version + 1, updated_at = now()
			where id = any(@taken::uuid[]) and status = 'signed' returning id)
		insert into tx_events (tx_id, type) select id, 'submitted' from submitted`, args)
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return tx.SendBatch(ctx, batch).Close() })
	if err != nil {
		return fmt.Errorf("record sends: %w", storeError(err))
	}
	return nil
}

// settled is a slot with the receipt the chain gave.
type settled struct {
	txID    uuid.UUID
	nonce   uint64
	cancels bool // the attempt in the block was to cancel
	receipt Receipt
}

// Settle stores receipts: final ones end their transactions, others mark them
// as mined. lowWater is the nonce below which all is final, window what the
// sender has learnt. It needs no fence:
// a receipt is true whoever read it.
func (s *Store) Settle(ctx context.Context, sender common.Address, list []settled, lowWater uint64, window int) error {
	n := len(list)
	ids, nonces, hashes, blocks, blockHashes := make([]uuid.UUID, n), make([]int64, n), make([][]byte, n), make([]int64, n), make([][]byte, n)
	success, gas, prices, contracts, final := make([]bool, n), make([]int64, n), make([]*string, n), make([][]byte, n), make([]bool, n)
	for i, e := range list {
		r := e.receipt
		ids[i], nonces[i], hashes[i], blocks[i], blockHashes[i] = e.txID, int64(e.nonce), r.Hash[:], int64(r.BlockNumber), r.BlockHash[:]
		success[i], gas[i], contracts[i], final[i] = r.Success, int64(r.GasUsed), addressOrNull(r.Contract), r.Final
		if r.EffectiveGasPrice != nil {
			price := r.EffectiveGasPrice.String()
			prices[i] = &price
		}
	}
	_, err := s.exec(ctx, `
		with seen as (
			select m.*, a.purpose = 'cancel' as cancels from unnest(@ids::uuid[], @nonces::bigint[], @hashes::bytea[], @blocks::bigint[], @block_hashes::bytea[], @success::bool[], @gas::bigint[], @prices::text[], @contracts::bytea[], @final::bool[])
			as m (id, nonce, hash, block, block_hash, success, gas, price, contract, final) join attempts a on a.hash = m.hash),
		slots as (
			update nonce_slots n set state = case when m.final then 'final' else 'mined' end::slot_state, final_hash = m.hash
			from seen m where n.chain_id = @chain and n.sender = @sender and n.nonce = m.nonce and n.tx_id = m.id and n.state in ('open', 'mined')
			returning m.*),
		kept as (
			insert into receipts (tx_id, hash, block_number, block_hash, status, gas_used, effective_gas_price, contract, final)
			select id, hash, block, block_hash, success::int, gas, price::numeric, contract, final from slots
			on conflict (tx_id) do update set hash = excluded.hash, block_number = excluded.block_number, block_hash = excluded.block_hash,
				status = excluded.status, gas_used = excluded.gas_used, effective_gas_price = excluded.effective_gas_price,
				contract = excluded.contract, final = excluded.final, recorded_at = now()),
		moved as (
			update transactions t set status = case when not m.final then 'mined' when m.cancels then 'cancelled' when m.success then 'confirmed' else 'reverted' end::transaction_status,
				substatus = null, wish = null, wish_fees = null, version = t.version + 1, updated_at = now()
			from slots m where t.id = m.id
			returning t.id, t.status, m.block, m.hash),
		progress as (
			update senders set low_water = greatest(low_water, @low_water), window_size = @window where chain_id = @chain and address = @sender)
		insert into tx_events (tx_id, type, data)
		select id, status::text, jsonb_build_object('block', block, 'hash', '0x' || encode(hash, 'hex')) from moved`,
		pgx.NamedArgs{
			"chain": s.chainID, "sender": sender[:], "ids": ids, "nonces": nonces, "hashes": hashes, "blocks": blocks, "block_hashes": blockHashes,
			"success": success, "gas": gas, "prices": prices, "contracts": contracts, "final": final, "low_water": int64(lowWater), "window": window,
		})
	if err != nil {
		return fmt.Errorf("settle transactions: %w", err)
	}
	return nil
}

// Unmine takes a mined slot back after a reorganisation.
func (s *Store) Unmine(ctx context.Context, sender common.Address, nonce uint64, id uuid.UUID) error {
	_, err := s.exec(ctx, `
		with slots as (
			update nonce_slots set state = 'open', final_hash = null
			where chain_id = @chain and sender = @sender and nonce = @nonce and tx_id = @id and state = 'mined' returning tx_id),
		gone as (delete from receipts where tx_id in (select tx_id from slots)),
		moved as (
			update transactions set status = 'submitted', version = version + 1, updated_at = now()
			where id in (select tx_id from slots) returning id)
		insert into tx_events (tx_id, type, data) select id, 'submitted', '{"after": "reorganisation"}' from moved`,
		pgx.NamedArgs{"chain": s.chainID, "sender": sender[:], "nonce": int64(nonce), "id": id})
	if err != nil {
		return fmt.Errorf("take back mined transaction: %w", err)
	}
	return nil
}

// MarkStolen ends a transaction whose nonce somebody else's transaction used.
// Only the lease's holder may.
func (s *Store) MarkStolen(ctx context.Context, l lease, nonce uint64, id uuid.UUID, reason Reason) error {
	n, err := s.exec(ctx, `
		with slots as (
			update nonce_slots n set state = 'stolen' from senders s
			where n.chain_id = @chain and n.sender = @sender and n.nonce = @nonce and n.tx_id = @id and n.state = 'open'
			and s.chain_id = n.chain_id and s.address = n.sender and s.lease_epoch = @epoch
			returning n.tx_id),
		moved as (
			update transactions set status = 'failed', substatus = null, error = @reason, version = version + 1, updated_at = now()
			where id in (select tx_id from slots) returning id)
		insert into tx_events (tx_id, type, data) select id, 'failed', @reason from moved`,
		pgx.NamedArgs{"chain": s.chainID, "sender": l.Sender[:], "nonce": int64(nonce), "id": id, "epoch": l.Epoch, "reason": mustJSON(reason)})
	if err != nil {
		return fmt.Errorf("mark stolen slot: %w", err)
	}
	if n != 1 {
		return errFenced
	}
	return nil
}
