package queue

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// acceptance is what the database gives a transaction when it accepts it.
type acceptance struct {
	Seq       int64
	CreatedAt time.Time
}

// Insert accepts a transaction: its row and its first event, in one statement.
// It returns false when the tenant's idempotency key is taken.
func (s *Store) Insert(ctx context.Context, id uuid.UUID, r Request, requestHash [32]byte) (acceptance, bool, error) {
	rows, err := query(ctx, s, `
		with accepted as (
			insert into transactions (id, tenant_id, chain_id, sender, recipient, value, data, gas, fees, access_list, idem_key, req_hash, reference, not_after)
			values (@id, @tenant, @chain, @sender, @recipient, @value::text::numeric, @data, @gas, @fees, @access_list, @idem_key, @req_hash, @reference, @not_after)
			on conflict (tenant_id, idem_key) where idem_key is not null do nothing
			returning id, seq, created_at),
		noted as (insert into tx_events (tx_id, type) select id, 'queued' from accepted)
		select seq, created_at from accepted`,
		pgx.NamedArgs{
			"id": id, "tenant": r.Tenant, "chain": s.chainID, "sender": r.Sender[:], "recipient": addressOrNull(r.To),
			"value": r.Value.String(), "data": r.Data, "gas": nullIfZero(int64(r.Gas)), "fees": jsonOrNull(r.Fees, r.Fees.IsZero()),
			"access_list": jsonOrNull(r.AccessList, len(r.AccessList) == 0), "idem_key": nullIfZero(r.IdempotencyKey),
			"req_hash": requestHash[:], "reference": nullIfZero(r.Reference), "not_after": nullIfZero(r.NotAfter),
		}, pgx.RowToStructByPos[acceptance])
	if err != nil {
		return acceptance{}, false, fmt.Errorf("accept transaction: %w", err)
	}
	if len(rows) == 0 {
		return acceptance{}, false, nil
	}
	return rows[0], true, nil
}

// requestHash returns the fingerprint stored with an idempotency key.
func (s *Store) requestHash(ctx context.Context, tenant, key string) (uuid.UUID, [32]byte, error) {
	type row struct {
		ID   uuid.UUID
		Hash []byte
	}
	rows, err := query(ctx, s, `select id, req_hash from transactions where tenant_id = @tenant and idem_key = @key`,
		pgx.NamedArgs{"tenant": tenant, "key": key}, pgx.RowToStructByPos[row])
	if err != nil {
		return uuid.Nil, [32]byte{}, fmt.Errorf("find idempotency key: %w", err)
	}
	if len(rows) == 0 {
		return uuid.Nil, [32]byte{}, ErrNotFound
	}
	return rows[0].ID, [32]byte(rows[0].Hash), nil
}

// selectTransaction reads everything a Transaction holds.
const selectTransaction = `
	select t.id, t.seq, t.tenant_id, t.chain_id, t.sender, t.recipient, t.value::text, t.data, t.gas, t.fees, t.access_list, t.idem_key, t.reference, t.not_after,
		t.status::text, t.substatus, t.created_at, t.updated_at, t.error, n.nonce, a.hash,
		r.hash, r.block_number, r.block_hash, r.status, r.gas_used, r.effective_gas_price::text, r.contract, r.final
	from transactions t
	left join nonce_slots n on n.tx_id = t.id and n.state <> 'stolen'
	left join lateral (
		select hash from attempts where chain_id = n.chain_id and sender = n.sender and nonce = n.nonce order by seq desc limit 1) a on true
	left join receipts r on r.tx_id = t.id`

// ByID reads one transaction of a tenant.
func (s *Store) ByID(ctx context.Context, tenant string, id uuid.UUID) (Transaction, error) {
	rows, err := query(ctx, s, selectTransaction+` where t.id = @id and t.tenant_id = @tenant and t.chain_id = @chain`,
		pgx.NamedArgs{"id": id, "tenant": tenant, "chain": s.chainID}, scanTransaction)
	if err != nil {
		return Transaction{}, fmt.Errorf("read transaction: %w", err)
	}
	if len(rows) == 0 {
		return Transaction{}, ErrNotFound
	}
	return rows[0], nil
}

// Filter chooses transactions of a list; zero fields do not filter.
type Filter struct {
	Tenant         string
	Sender         *common.Address
	Status         Status
	IdempotencyKey string
	Reference      string
	Before         int64 // only older ones: Transaction.Seq of the last one of the page before
	Limit          int
}

// List reads transactions, newest first.
func (s *Store) List(ctx context.Context, f Filter) ([]Transaction, error) {
	where := []string{"t.tenant_id = @tenant", "t.chain_id = @chain"}
	args := pgx.NamedArgs{"tenant": f.Tenant, "chain": s.chainID, "limit": f.Limit}
	add := func(use bool, condition, name string, value any) {
		if use {
			where = append(where, condition)
			args[name] = value
		}
	}
	if f.Sender != nil {
		add(true, "t.sender = @sender", "sender", f.Sender[:])
	}
	add(f.Status != "", "t.status = @status::transaction_status", "status", string(f.Status))
	add(f.IdempotencyKey != "", "t.idem_key = @key", "key", f.IdempotencyKey)
	add(f.Reference != "", "t.reference = @reference", "reference", f.Reference)
	add(f.Before > 0, "t.seq < @before", "before", f.Before)

	rows, err := query(ctx, s, selectTransaction+" where "+strings.Join(where, " and ")+" order by t.seq desc limit @limit", args, scanTransaction)
	if err != nil {
		return nil, fmt.Errorf("list transactions: %w", err)
	}
	return rows, nil
}

// Claimable reads the next queued transactions of a sender, in the order in
// which they get their nonces. A sender that is not active has none.
func (s *Store) Claimable(ctx context.Context, sender common.Address, limit int) ([]claimed, error) {
	rows, err := query(ctx, s, `
		select t.id, t.version, t.recipient, t.value::text, t.data, t.gas, t.fees, t.access_list, t.not_after <= now(), t.substatus
		from transactions t join senders s on s.chain_id = t.chain_id and s.address = t.sender
		where t.chain_id = @chain and t.sender = @sender and t.status = 'queued' and s.state = 'active'
		order by t.priority desc, t.seq limit @limit`,
		pgx.NamedArgs{"chain": s.chainID, "sender": sender[:], "limit": limit}, scanClaimed)
	if err != nil {
		return nil, fmt.Errorf("claim transactions: %w", err)
	}
	return rows, nil
}

// Refuse ends a queued transaction with a reason. It changes nothing when the
// transaction changed since it was claimed, or the lease was lost.
func (s *Store) Refuse(ctx context.Context, l lease, c claimed, reason Reason) error {
	return s.endQueued(ctx, l, c, StatusRejected, mustJSON(reason))
}

// Expire ends a queued transaction whose time is over, under the same conditions.
func (s *Store) Expire(ctx context.Context, l lease, c claimed) error {
	return s.endQueued(ctx, l, c, StatusExpired, nil)
}

func (s *Store) endQueued(ctx context.Context, l lease, c claimed, status Status, reason []byte) error {
	_, err := s.exec(ctx, `
		with ended as (
			update transactions set status = @status::transaction_status, substatus = null, error = @reason, version = version + 1, updated_at = now()
			where id = @id and version = @version and status = 'queued'
			and exists (select from senders where chain_id = @chain and address = @sender and lease_epoch = @epoch)
			returning id)
		insert into tx_events (tx_id, type, data) select id, @status, @reason from ended`,
		pgx.NamedArgs{"chain": s.chainID, "sender": l.Sender[:], "epoch": l.Epoch, "id": c.id, "version": c.version, "status": string(status), "reason": reason})
	if err != nil {
		return fmt.Errorf("end transaction as %s: %w", status, err)
	}
	return nil
}

// NoteUnreachable notes of up to limit queued transactions of the chain that
// they wait for a node. It is for the time before any sender is driven.
func (s *Store) NoteUnreachable(ctx context.Context, limit int) error {
	_, err := s.exec(ctx, `
		update transactions set substatus = @substatus, updated_at = now()
		where id in (select id from transactions where chain_id = @chain and status = 'queued' and substatus is null limit @limit)
		and status = 'queued'`,
		pgx.NamedArgs{"chain": s.chainID, "substatus": WaitingForNode, "limit": limit})
	if err != nil {
		return fmt.Errorf("note why transactions wait: %w", err)
	}
	return nil
}

// SetSubstatus notes why transactions wait; "" takes the note away. It is for
// the reader only and no decision depends on it.
func (s *Store) SetSubstatus(ctx context.Context, ids []uuid.UUID, substatus string) error {
	_, err := s.exec(ctx, `
		update transactions set substatus = @substatus, updated_at = now()
		where id = any(@ids) and substatus is distinct from @substatus and status in ('queued', 'signed', 'submitted')`,
		pgx.NamedArgs{"ids": ids, "substatus": nullIfZero(substatus)})
	if err != nil {
		return fmt.Errorf("note why transactions wait: %w", err)
	}
	return nil
}
