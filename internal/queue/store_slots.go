package queue

import (
	"context"
	"encoding/json"
	"errors"
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
	batch.Queue(`select set_config('synchronous_commit', 'off', true), ` + byIndex)
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

// settlement is what a sender's driver found in blocks. lowWater is the nonce
// below which all is final, window what the sender has learnt.
type settlement struct {
	sender   common.Address
	list     []settled
	lowWater uint64
	window   int
	err      error // what came of it
}

// maxSettlements is the most senders whose receipts are stored in one statement.
const maxSettlements = 16

// settleBatch stores receipts, of each sender at most one list: final ones end
// their transactions, others mark them as mined. It needs no fence: a receipt is
// true whoever read it. When the database refuses the lists together they are
// stored one by one.
func (s *Store) settleBatch(ctx context.Context, list []*settlement) {
	err := s.settle(ctx, list)
	if err != nil && len(list) > 1 && !errors.Is(err, ErrUnavailable) {
		for _, e := range list {
			e.err = s.settle(ctx, []*settlement{e})
		}
		return
	}
	for _, e := range list {
		e.err = err
	}
}

// settle is one SQL transaction. Senders are locked in order, as commits do, so
// that nobody waits for each other. Slots are looked up one by one (lateral):
// most slots are final, so the planner expects next to no open ones, and would
// compare each of them with each receipt.
func (s *Store) settle(ctx context.Context, list []*settlement) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	batch := &pgx.Batch{}
	batch.Queue(`select ` + byIndex)
	batch.Queue(`
		with seen as materialized (
			select m.*, a.purpose = 'cancel' as cancels from unnest(@owners::bytea[], @ids::uuid[], @nonces::bigint[], @hashes::bytea[], @blocks::bigint[], @block_hashes::bytea[], @success::bool[], @gas::bigint[], @prices::text[], @contracts::bytea[], @final::bool[])
			as m (sender, id, nonce, hash, block, block_hash, success, gas, price, contract, final) join attempts a on a.hash = m.hash),
		unfinished as materialized (
			select m.* from seen m cross join lateral (
				select from nonce_slots n
				where n.chain_id = @chain and n.sender = m.sender and n.nonce = m.nonce and n.tx_id = m.id and n.state in ('open', 'mined')
				for no key update) n),
		slots as (
			update nonce_slots n set state = case when m.final then 'final' else 'mined' end::slot_state, final_hash = m.hash
			from unfinished m where n.tx_id = m.id and n.state <> 'stolen'
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
		held as (
			select s.address, p.low_water, p.size from (
				select * from unnest(@senders::bytea[], @low_waters::bigint[], @windows::int[]) as u (sender, low_water, size) order by sender) p
			cross join lateral (select s.address from senders s where s.chain_id = @chain and s.address = p.sender for no key update) s),
		progress as (
			update senders s set low_water = greatest(s.low_water, p.low_water), window_size = p.size from held p where s.chain_id = @chain and s.address = p.address)
		insert into tx_events (tx_id, type, data)
		select id, status::text, jsonb_build_object('block', block, 'hash', '0x' || encode(hash, 'hex')) from moved`,
		settleArgs(s.chainID, list))
	if err := s.pool.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("settle transactions: %w", storeError(err))
	}
	return nil
}

func settleArgs(chainID int64, list []*settlement) pgx.NamedArgs {
	var senders, owners, hashes, blockHashes, contracts [][]byte
	var lowWaters, nonces, blocks, gas []int64
	var windows []int32
	var ids []uuid.UUID
	var success, final []bool
	var prices []*string
	for _, e := range list {
		senders, lowWaters, windows = append(senders, e.sender[:]), append(lowWaters, int64(e.lowWater)), append(windows, int32(e.window))
		for i := range e.list {
			one := &e.list[i]
			r := &one.receipt
			owners, ids, nonces, hashes = append(owners, e.sender[:]), append(ids, one.txID), append(nonces, int64(one.nonce)), append(hashes, r.Hash[:])
			blocks, blockHashes, success = append(blocks, int64(r.BlockNumber)), append(blockHashes, r.BlockHash[:]), append(success, r.Success)
			gas, contracts, final = append(gas, int64(r.GasUsed)), append(contracts, addressOrNull(r.Contract)), append(final, r.Final)
			prices = append(prices, textOrNull(r.EffectiveGasPrice))
		}
	}
	return pgx.NamedArgs{
		"chain": chainID, "senders": senders, "low_waters": lowWaters, "windows": windows,
		"owners": owners, "ids": ids, "nonces": nonces, "hashes": hashes, "blocks": blocks, "block_hashes": blockHashes,
		"success": success, "gas": gas, "prices": prices, "contracts": contracts, "final": final,
	}
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
