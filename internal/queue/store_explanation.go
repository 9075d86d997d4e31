package queue

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// noteErrors keeps the custom errors and events of entries that were just accepted, in
// the transaction that accepts them.
func noteErrors(ctx context.Context, tx pgx.Tx, entries []*entry, accepted map[uuid.UUID]acceptance) error {
	var ids []uuid.UUID
	var lists [][]byte
	for _, e := range entries {
		if _, isNew := accepted[e.id]; isNew && len(e.request.ABI) > 0 {
			ids, lists = append(ids, e.id), append(lists, mustJSON(e.request.ABI))
		}
	}
	if len(ids) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `insert into transaction_errors (tx_id, errors) select id, list from unnest(@ids::uuid[], @lists::jsonb[]) as e (id, list)`,
		pgx.NamedArgs{"ids": ids, "lists": lists})
	return err
}

// Explanation reads what explains a transaction. One that is tried once more
// has the errors of the first.
func (s *Store) Explanation(ctx context.Context, tenant string, id uuid.UUID) (Explanation, error) {
	type row struct {
		Errors []byte
		Data   []byte
		Source *string
	}
	rows, err := query(ctx, s, `
		select e.errors, r.revert_data, r.revert_source
		from transactions t
		left join lateral (
			select errors from transaction_errors where tx_id in (t.id, t.redrive_of) order by tx_id = t.id desc limit 1) e on true
		left join receipts r on r.tx_id = t.id
		where t.id = @id and t.tenant_id = @tenant and t.chain_id = @chain`,
		pgx.NamedArgs{"id": id, "tenant": tenant, "chain": s.chainID}, pgx.RowToStructByPos[row])
	if err != nil {
		return Explanation{}, fmt.Errorf("read explanation: %w", err)
	}
	if len(rows) == 0 {
		return Explanation{}, ErrNotFound
	}
	var out Explanation
	if rows[0].Errors != nil {
		if err := json.Unmarshal(rows[0].Errors, &out.ABI); err != nil {
			return out, fmt.Errorf("read errors and events of the ABI: %w", err)
		}
	}
	if rows[0].Source != nil {
		out.Revert = &RevertData{Data: rows[0].Data, Source: RevertSource(*rows[0].Source)}
	}
	return out, nil
}

// NoteRevert keeps revert data; only of what has reverted for good, since a
// reorganisation may give a transaction another end.
func (s *Store) NoteRevert(ctx context.Context, tenant string, id uuid.UUID, r RevertData) error {
	_, err := s.exec(ctx, `
		update receipts set revert_data = @data, revert_source = @source
		where tx_id = @id and status = 0 and final and exists (
			select from transactions where id = @id and tenant_id = @tenant and chain_id = @chain)`,
		pgx.NamedArgs{"id": id, "tenant": tenant, "chain": s.chainID, "data": r.Data, "source": string(r.Source)})
	if err != nil {
		return fmt.Errorf("keep revert reason: %w", err)
	}
	return nil
}
