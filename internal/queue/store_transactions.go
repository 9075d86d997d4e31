package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
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

// insertAll accepts entries in one SQL transaction: their rows and their first
// events. An entry whose tenant's idempotency key is taken becomes a replay, or
// fails with ErrKeyReused; with isWhole that fails all of them. The error is
// that of the whole, and nothing was accepted then; each entry's own is in it.
func (s *Store) insertAll(ctx context.Context, entries []*entry, isWhole bool) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	insert := func() error {
		return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return s.insertWithin(ctx, tx, entries, isWhole) })
	}
	if !isWhole && !slices.ContainsFunc(entries, s.needsMore) {
		insert = func() error { return s.insertSimple(ctx, entries) }
	}
	err := insert()
	for tries := 0; isDeadlock(err) && tries < 3; tries++ { // two lists with the same keys in another order
		err = insert()
	}
	if isRefusal(err) || isOverLimit(err) {
		return err
	}
	if err != nil {
		return fmt.Errorf("accept transactions: %w", storeError(err))
	}
	return nil
}

// needsMore says whether more than its row and event are stored with an entry.
func (s *Store) needsMore(e *entry) bool {
	return len(e.request.ABI) > 0 || e.admission.Decision != nil || s.audit != nil && e.admission.Audit.Action != ""
}

// insertSimple accepts in a single statement, which is a SQL transaction as well
// and needs no round trips to begin and to end it. What is said of an entry that
// was not accepted is read afterwards, and a failure then is that entry's own.
func (s *Store) insertSimple(ctx context.Context, entries []*entry) error {
	accepted, protected, err := s.insert(ctx, s.pool, entries)
	if err != nil {
		return err
	}
	for _, e := range entries {
		e.err = nil
		if err := explain(ctx, s.pool, []*entry{e}, accepted, protected, false); err != nil {
			e.err = fmt.Errorf("accept transactions: %w", storeError(err))
		}
	}
	return nil
}

func (s *Store) insertWithin(ctx context.Context, tx pgx.Tx, entries []*entry, isWhole bool) error {
	open, m, err := s.charge(ctx, tx, entries, isWhole)
	if err != nil {
		return err
	}
	accepted, protected, err := s.insert(ctx, tx, open)
	if err != nil {
		return err
	}
	if err := noteErrors(ctx, tx, entries, accepted); err != nil {
		return err
	}
	if err := explain(ctx, tx, open, accepted, protected, isWhole); err != nil {
		return err
	}
	return s.admit(ctx, tx, open, m, accepted)
}

// querier is a SQL transaction, or a pool: then each statement is one.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// insert is the statement that accepts.
func (s *Store) insert(ctx context.Context, db querier, entries []*entry) (accepted map[uuid.UUID]acceptance, protected map[uuid.UUID]bool, err error) {
	rows, err := db.Query(ctx, `
		with asked as (
			select *, not proven and exists (select from protected_accounts p where p.address = e.sender) as protected
			from unnest(@ids::uuid[], @tenants::text[], @senders::bytea[], @recipients::bytea[], @values::text[], @datas::bytea[], @gases::bigint[], @fees::jsonb[],
				@access_lists::jsonb[], @idem_keys::text[], @req_hashes::bytea[], @references::text[], @not_afters::timestamptz[], @redrives::uuid[],
				@asked_nonces::bigint[], @authorizations::jsonb[], @proven::bool[]) with ordinality
			as e (id, tenant, sender, recipient, value, data, gas, fees, access_list, idem_key, req_hash, reference, not_after, redrive_of, asked_nonce, authorizations, proven, place)),
		accepted as (
			insert into transactions (id, tenant_id, chain_id, sender, recipient, value, data, gas, fees, access_list, idem_key, req_hash, reference, not_after, redrive_of, asked_nonce, authorizations)
			select id, tenant, @chain, sender, recipient, value::numeric, data, gas, fees, access_list, idem_key, req_hash, reference, not_after, redrive_of, asked_nonce, authorizations
			from asked e
			where not protected and (select s.state from senders s where s.chain_id = @chain and s.address = e.sender) is distinct from 'draining'
			order by place
			on conflict (tenant_id, idem_key) where idem_key is not null do nothing
			returning id, seq, created_at),
		noted as (insert into tx_events (tx_id, type) select id, 'queued' from accepted)
		select e.id, e.protected, a.seq, a.created_at from asked e left join accepted a on a.id = e.id`, insertArgs(s.chainID, entries))
	if err != nil {
		return nil, nil, err
	}
	return collectAccepted(rows)
}

// collectAccepted reads which entries were accepted, and which were not because
// their account is protected.
func collectAccepted(rows pgx.Rows) (accepted map[uuid.UUID]acceptance, protected map[uuid.UUID]bool, err error) {
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct {
		ID          uuid.UUID
		IsProtected bool
		Seq         *int64
		CreatedAt   *time.Time
	}])
	accepted, protected = make(map[uuid.UUID]acceptance, len(list)), map[uuid.UUID]bool{}
	for _, a := range list {
		switch {
		case a.Seq != nil:
			accepted[a.ID] = acceptance{*a.Seq, deref(a.CreatedAt)}
		case a.IsProtected:
			protected[a.ID] = true
		}
	}
	return accepted, protected, err
}

// explain finds out what became of the entries that have no row of their own.
// Who shows no proof for a protected account does not hear of replays either.
func explain(ctx context.Context, db querier, entries []*entry, accepted map[uuid.UUID]acceptance, protected map[uuid.UUID]bool, isWhole bool) error {
	for _, e := range entries {
		var isNew bool
		if e.at, isNew = accepted[e.id]; isNew {
			continue
		}
		if protected[e.id] {
			e.err = ErrUnproven
		} else {
			e.original, e.err = replayed(ctx, db, e)
		}
		if e.err != nil && (isWhole || !isRefusal(e.err)) {
			return e.err
		}
		e.isReplay = e.err == nil
	}
	return nil
}

// isRefusal says whether an error is one entry's own.
func isRefusal(err error) bool {
	return errors.Is(err, ErrKeyReused) || errors.Is(err, ErrDraining) || errors.Is(err, ErrUnproven)
}

// replayed finds the transaction that took an entry's idempotency key.
func replayed(ctx context.Context, db querier, e *entry) (uuid.UUID, error) {
	if e.request.IdempotencyKey == "" {
		return uuid.Nil, ErrDraining
	}
	var id uuid.UUID
	var hash []byte
	err := db.QueryRow(ctx, `select id, req_hash from transactions where tenant_id = $1 and idem_key = $2`, e.request.Tenant, e.request.IdempotencyKey).Scan(&id, &hash)
	if errors.Is(err, pgx.ErrNoRows) {
		return uuid.Nil, ErrDraining
	}
	if err != nil {
		return uuid.Nil, err
	}
	if !bytes.Equal(hash, e.fingerprint[:]) {
		return uuid.Nil, ErrKeyReused
	}
	return id, nil
}

func insertArgs(chainID int64, entries []*entry) pgx.NamedArgs {
	n := len(entries)
	ids, tenants, senders, recipients := make([]uuid.UUID, n), make([]string, n), make([][]byte, n), make([][]byte, n)
	values, datas, gases, fees, accessLists := make([]string, n), make([][]byte, n), make([]*int64, n), make([][]byte, n), make([][]byte, n)
	keys, hashes, references := make([]*string, n), make([][]byte, n), make([]*string, n)
	notAfters, redrives := make([]*time.Time, n), make([]*uuid.UUID, n)
	nonces, authorizations, proven := make([]*uint64, n), make([][]byte, n), make([]bool, n)
	for i, e := range entries {
		r := &e.request
		ids[i], tenants[i], senders[i], recipients[i] = e.id, r.Tenant, r.Sender[:], addressOrNull(r.To)
		values[i], datas[i], gases[i] = r.Value.String(), r.Data, nullIfZero(int64(r.Gas))
		fees[i], accessLists[i] = jsonOrNull(r.Fees, r.Fees == Fees{}), jsonOrNull(r.AccessList, r.AccessList == nil)
		keys[i], hashes[i], references[i] = nullIfZero(r.IdempotencyKey), e.fingerprint[:], nullIfZero(r.Reference)
		notAfters[i], redrives[i] = nullIfZero(r.NotAfter), r.RedriveOf
		nonces[i], authorizations[i] = r.Nonce, jsonOrNull(r.Authorizations, len(r.Authorizations) == 0)
		proven[i] = r.IsProven
	}
	return pgx.NamedArgs{
		"chain": chainID, "ids": ids, "tenants": tenants, "senders": senders, "recipients": recipients, "values": values, "datas": datas, "gases": gases,
		"fees": fees, "access_lists": accessLists, "idem_keys": keys, "req_hashes": hashes, "references": references, "not_afters": notAfters, "redrives": redrives,
		"asked_nonces": nonces, "authorizations": authorizations, "proven": proven,
	}
}

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
