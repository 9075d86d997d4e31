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

// countQueued counts the waiting transactions of senders and tenants, each up
// to most, under the keys of queueLimits. What waits for approval waits for its
// tenant.
func (s *Store) countQueued(ctx context.Context, most int) (map[string]int, error) {
	type row struct {
		Key   string
		Count int
	}
	rows, err := query(ctx, s, `
		select 's' || encode(s.address, 'hex'), (select count(*) from (
			select from transactions t where t.chain_id = s.chain_id and t.sender = s.address and t.is_queued limit @most) q)
		from senders s where s.chain_id = @chain
		union all
		select 't' || tenant_id, count(*) from (select tenant_id from transactions where is_queued limit @most) q group by tenant_id
		union all
		select 't' || tenant_id, count(*) from (
			select tenant_id from transactions where is_held limit @most) q group by tenant_id`,
		pgx.NamedArgs{"chain": s.chainID, "most": most}, pgx.RowToStructByPos[row])
	if err != nil {
		return nil, fmt.Errorf("count queued transactions: %w", err)
	}
	counts := make(map[string]int, len(rows))
	for _, r := range rows {
		counts[r.Key] += r.Count
	}
	return counts, nil
}

// selectTransaction reads everything a Transaction holds.
const selectTransaction = `
	select t.id, t.seq, t.tenant_id, t.chain_id, t.sender, t.recipient, t.value::text, t.data, t.gas, t.fees, t.access_list, t.asked_nonce, t.authorizations, t.idem_key, t.reference, t.not_after,
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
	Statuses       []Status  // any of them
	Since, Until   time.Time // accepted in this time, Until not included
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
	statuses := make([]string, len(f.Statuses))
	for i, status := range f.Statuses {
		statuses[i] = string(status)
	}
	add(len(statuses) > 0, "t.status = any(@statuses::text[]::transaction_status[])", "statuses", statuses)
	add(!f.Since.IsZero(), "t.created_at >= @since", "since", f.Since)
	add(!f.Until.IsZero(), "t.created_at < @until", "until", f.Until)
	add(f.IdempotencyKey != "", "t.idem_key = @key", "key", f.IdempotencyKey)
	add(f.Reference != "", "t.reference = @reference", "reference", f.Reference)
	add(f.Before > 0, "t.seq < @before", "before", f.Before)

	rows, err := query(ctx, s, selectTransaction+" where "+strings.Join(where, " and ")+" order by t.seq desc limit @limit", args, scanTransaction)
	if err != nil {
		return nil, fmt.Errorf("list transactions: %w", err)
	}
	return rows, nil
}

// claim asks for the next transactions of a sender.
type claim struct {
	sender common.Address
	most   int
	list   []claimed
	err    error // what came of it
}

// maxClaims is the most senders whose transactions are claimed in one statement.
const maxClaims = 64

// selectClaims is selectClaimable for several senders. The limit stands there
// twice, since only one that is the same for all tells the planner how few rows
// are wanted.
func selectClaims() string {
	return `
		select c.place, q.* from unnest(@senders::bytea[], @limits::int[]) with ordinality as c (sender, most, place)
		cross join lateral (select * from (` + strings.ReplaceAll(selectClaimable, "@sender", "c.sender") + `) q limit c.most) q`
}

// claimBatch answers claims together, each as by Claimable.
func (s *Store) claimBatch(ctx context.Context, list []*claim) {
	type row struct {
		place int64 // from 1 on
		claimed
	}
	rows, err := query(ctx, s, selectClaims(), claimArgs(s.chainID, list), func(r pgx.CollectableRow) (out row, err error) {
		out.claimed, err = scanClaimed(r, &out.place)
		return out, err
	})
	if err != nil {
		for _, c := range list {
			c.err = fmt.Errorf("claim transactions: %w", err)
		}
		return
	}
	for _, r := range rows {
		c := list[r.place-1]
		c.list = append(c.list, r.claimed)
	}
}

func claimArgs(chainID int64, list []*claim) pgx.NamedArgs {
	senders, limits, most := make([][]byte, len(list)), make([]int32, len(list)), 0
	for i, c := range list {
		senders[i], limits[i] = c.sender[:], int32(c.most)
		most = max(most, c.most)
	}
	return pgx.NamedArgs{"chain": chainID, "senders": senders, "limits": limits, "limit": most}
}

// selectClaimable reads from the front of an index, however long the queue is.
const selectClaimable = `
		select t.id, t.version, t.recipient, t.value::text, t.data, t.gas, t.fees, t.access_list, t.asked_nonce, t.authorizations, t.not_after <= now(), t.substatus
		from transactions t join senders s on s.chain_id = t.chain_id and s.address = t.sender
		where t.chain_id = @chain and t.sender = @sender and t.is_queued and s.state = 'active'
		order by t.priority desc, t.seq limit @limit`

// Claimable reads the next queued transactions of a sender, in the order in
// which they get their nonces. A sender that is not active has none.
func (s *Store) Claimable(ctx context.Context, sender common.Address, limit int) ([]claimed, error) {
	rows, err := query(ctx, s, selectClaimable,
		pgx.NamedArgs{"chain": s.chainID, "sender": sender[:], "limit": limit}, func(r pgx.CollectableRow) (claimed, error) { return scanClaimed(r) })
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
		where id in (select id from transactions where chain_id = @chain and is_queued and substatus is null limit @limit)
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
