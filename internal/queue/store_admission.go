package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/slipwayhq/slipway/internal/audit"
	"github.com/slipwayhq/slipway/internal/policy"
)

// audited is the store that writes down what it accepts.
func (s *Store) audited(l *audit.Log) *Store {
	out := *s
	out.audit = l
	return &out
}

// admit stores what was decided about entries that were just accepted: the
// charges, the decisions, the approvals they wait for, and who asked. The audit
// log comes last, since it locks all other writers out.
func (s *Store) admit(ctx context.Context, tx pgx.Tx, entries []*entry, m *meter, accepted map[uuid.UUID]acceptance) error {
	var fresh []*entry
	for _, e := range entries {
		if _, isNew := accepted[e.id]; isNew {
			fresh = append(fresh, e)
		} else if e.isCharged { // another one took its idempotency key meanwhile
			m.takeBack(e.admission.charges())
		}
	}
	if m != nil {
		if err := m.write(ctx, tx); err != nil {
			return err
		}
	}
	if err := noteDecisions(ctx, tx, fresh); err != nil {
		return err
	}
	if err := holdBack(ctx, tx, fresh); err != nil {
		return err
	}
	var notes []audit.Entry
	for _, e := range fresh {
		if note := e.admission.Audit; note.Action != "" {
			note.Object = e.id.String()
			notes = append(notes, note)
		}
	}
	return s.audit.Append(ctx, tx, notes)
}

func noteDecisions(ctx context.Context, tx pgx.Tx, entries []*entry) error {
	var ids []uuid.UUID
	var decisions [][]byte
	for _, e := range entries {
		if e.admission.Decision != nil {
			ids, decisions = append(ids, e.id), append(decisions, mustJSON(e.admission.Decision))
		}
	}
	if len(ids) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `update transactions t set policy_decision = d.decision from unnest($1::uuid[], $2::jsonb[]) d (id, decision) where t.id = d.id`, ids, decisions)
	return err
}

// holdBack suspends accepted transactions until people agree.
func holdBack(ctx context.Context, tx pgx.Tx, entries []*entry) error {
	var ids []uuid.UUID
	var submitters []string
	var needs [][]byte
	for _, e := range entries {
		if a := e.admission; a.waits() {
			ids, submitters, needs = append(ids, e.id), append(submitters, a.Submitter), append(needs, mustJSON(a.Decision.Approvals))
		}
	}
	if len(ids) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `
		with held as (
			update transactions set status = 'suspended', substatus = @substatus where id = any(@ids) returning id),
		asked as (
			insert into approvals (tx_id, submitter, needs) select * from unnest(@ids::uuid[], @submitters::text[], @needs::jsonb[]))
		insert into tx_events (tx_id, type, data) select id, 'suspended', jsonb_build_object('why', @substatus::text) from held`,
		pgx.NamedArgs{"ids": ids, "submitters": submitters, "needs": needs, "substatus": NeedsApproval})
	return err
}

// AcceptedBefore finds the transaction that an entry repeats, if there is one.
func (s *Store) AcceptedBefore(ctx context.Context, e *entry) (uuid.UUID, bool, error) {
	ids, err := query(ctx, s, `select id from transactions where tenant_id = @tenant and idem_key = @key and req_hash = @hash`,
		pgx.NamedArgs{"tenant": e.request.Tenant, "key": e.request.IdempotencyKey, "hash": e.fingerprint[:]}, pgx.RowTo[uuid.UUID])
	if err != nil || len(ids) == 0 {
		return uuid.Nil, false, err
	}
	return ids[0], true, nil
}

// Decision reads what the policy decided about a transaction.
func (s *Store) Decision(ctx context.Context, tenant string, id uuid.UUID) (json.RawMessage, error) {
	list, err := query(ctx, s, `select coalesce(policy_decision, 'null')::text from transactions where id = @id and tenant_id = @tenant and chain_id = @chain`,
		pgx.NamedArgs{"id": id, "tenant": tenant, "chain": s.chainID}, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read decision: %w", err)
	}
	if len(list) == 0 {
		return nil, ErrNotFound
	}
	return json.RawMessage(list[0]), nil
}

// asked is what a transaction waits for.
type asked struct {
	TxID      uuid.UUID
	Submitter string
	Needs     []policy.Approval
	Votes     []CastVote
}

const selectAsked = `
	select a.tx_id, a.submitter, a.needs,
		coalesce((select jsonb_agg(jsonb_build_object('approver', v.approver, 'approves', v.approves, 'reason', v.reason, 'at', v.at) order by v.at)
			from approval_votes v where v.tx_id = a.tx_id), '[]')
	from approvals a`

// Pending reads the transactions of a tenant that wait for approval.
func (s *Store) Pending(ctx context.Context, tenant string, before int64, limit int) ([]Pending, error) {
	list, err := query(ctx, s, selectTransaction+`
		where t.tenant_id = @tenant and t.chain_id = @chain and t.is_held and (@before = 0 or t.seq < @before)
		order by t.seq desc limit @limit`,
		pgx.NamedArgs{"tenant": tenant, "chain": s.chainID, "before": before, "limit": limit}, scanTransaction)
	if err != nil {
		return nil, fmt.Errorf("list what waits for approval: %w", err)
	}
	ids := make([]uuid.UUID, len(list))
	for i, t := range list {
		ids[i] = t.ID
	}
	details, err := query(ctx, s, selectAsked+` where a.tx_id = any(@ids)`, pgx.NamedArgs{"ids": ids}, pgx.RowToStructByPos[asked])
	if err != nil {
		return nil, fmt.Errorf("list what waits for approval: %w", err)
	}
	byID := map[uuid.UUID]asked{}
	for _, d := range details {
		byID[d.TxID] = d
	}
	out := make([]Pending, len(list))
	for i, t := range list {
		d := byID[t.ID]
		out[i] = Pending{Transaction: t, Submitter: d.Submitter, Needs: d.Needs, Votes: d.Votes}
	}
	return out, nil
}

// Vote notes a vote and does what follows from it, in one SQL transaction.
func (s *Store) Vote(ctx context.Context, tenant string, id uuid.UUID, v Vote) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return s.vote(ctx, tx, tenant, id, v) })
	for _, ours := range []error{ErrNotFound, ErrWrongStatus, ErrOwnApproval, ErrNotApprover} {
		if errors.Is(err, ours) {
			return err
		}
	}
	if err != nil {
		return fmt.Errorf("vote on transaction: %w", storeError(err))
	}
	return nil
}

func (s *Store) vote(ctx context.Context, tx pgx.Tx, tenant string, id uuid.UUID, v Vote) error {
	var status Status
	var substatus string
	err := tx.QueryRow(ctx, `
		select status::text, coalesce(substatus, '') from transactions where id = @id and tenant_id = @tenant and chain_id = @chain for update`,
		pgx.NamedArgs{"id": id, "tenant": tenant, "chain": s.chainID}).Scan(&status, &substatus)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return ErrNotFound
	case err != nil:
		return err
	case status != StatusSuspended || substatus != NeedsApproval:
		return fmt.Errorf("%w: it does not wait for approval, it is %s", ErrWrongStatus, status)
	}
	if _, err := tx.Exec(ctx, `
		insert into approval_votes (tx_id, approver, approves, reason) values (@id, @approver, @approves, @reason)
		on conflict (tx_id, approver) do update set approves = excluded.approves, reason = excluded.reason, at = now()`,
		pgx.NamedArgs{"id": id, "approver": v.Approver, "approves": v.Approves, "reason": nullIfZero(v.Reason)}); err != nil {
		return err
	}
	rows, err := tx.Query(ctx, selectAsked+` where a.tx_id = $1`, id)
	if err != nil {
		return err
	}
	a, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[asked])
	if err != nil {
		return err
	}
	next, err := a.next(v)
	if err != nil {
		return err // takes the vote back
	}
	if err := noteVote(ctx, tx, id, v, next); err != nil {
		return err
	}
	v.Audit.Object = id.String()
	return s.audit.Append(ctx, tx, []audit.Entry{v.Audit})
}

// next is the status that follows once v is among the votes.
func (a asked) next(v Vote) (Status, error) {
	if v.Approver == a.Submitter {
		return "", ErrOwnApproval
	}
	isAsked := false
	var agreed []string
	for _, cast := range a.Votes {
		if cast.Approves {
			agreed = append(agreed, cast.Approver)
		}
	}
	isMet := true
	for _, need := range a.Needs {
		isAsked = isAsked || need.May(v.Approver)
		isMet = isMet && need.IsMet(agreed)
	}
	switch {
	case !isAsked:
		return "", ErrNotApprover
	case !v.Approves:
		return StatusCancelled, nil
	case isMet:
		return StatusQueued, nil
	default:
		return StatusSuspended, nil
	}
}

// noteVote moves the transaction and writes its history.
func noteVote(ctx context.Context, tx pgx.Tx, id uuid.UUID, v Vote, next Status) error {
	word := "approved"
	if !v.Approves {
		word = "approval_rejected"
	}
	if _, err := tx.Exec(ctx, `
		insert into tx_events (tx_id, type, data) values (@id, @word, jsonb_strip_nulls(jsonb_build_object('by', @by::text, 'reason', @reason::text)))`,
		pgx.NamedArgs{"id": id, "word": word, "by": v.Approver, "reason": nullIfZero(v.Reason)}); err != nil {
		return err
	}
	if next == StatusSuspended {
		return nil
	}
	substatus := ""
	if next == StatusCancelled {
		substatus = ApprovalRejected
	}
	_, err := tx.Exec(ctx, `
		with moved as (
			update transactions set status = @next::transaction_status, substatus = @substatus, version = version + 1, updated_at = now() where id = @id returning id)
		insert into tx_events (tx_id, type) select id, @next from moved`,
		pgx.NamedArgs{"id": id, "next": string(next), "substatus": nullIfZero(substatus)})
	return err
}
