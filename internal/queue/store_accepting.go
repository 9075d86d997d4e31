package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

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
