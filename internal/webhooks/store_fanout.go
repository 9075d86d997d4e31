package webhooks

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/slipwayhq/slipway/internal/events"
)

// FanOut turns the next events into deliveries and moves the position, in one
// SQL transaction. It says how many it made, and whether to come back at once.
// While another replica does it, it does nothing.
func (s *Store) FanOut(ctx context.Context, reader *events.Reader) (made int, progress events.Progress, err error) {
	err = s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		var position int64
		err := tx.QueryRow(ctx, `select position from webhook_feed for update skip locked`).Scan(&position)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		settled, p, err := reader.Advance(ctx, tx, position)
		if err != nil || settled == position {
			progress = p
			return err
		}
		if made, err = s.makeDeliveries(ctx, tx, position, settled); err != nil {
			return err
		}
		progress = p
		_, err = tx.Exec(ctx, `update webhook_feed set position = $1`, settled)
		return err
	})
	if err != nil {
		return 0, progress, fmt.Errorf("make deliveries: %w", err)
	}
	return made, progress, nil
}

// makeDeliveries does so for the events between two positions.
func (s *Store) makeDeliveries(ctx context.Context, tx pgx.Tx, after, upTo int64) (int, error) {
	to, err := query(ctx, tx, `select id, tenant_id, chain_id, types, senders from webhooks where active`, pgx.NamedArgs{}, scanSubscriber)
	if err != nil || len(to) == 0 {
		return 0, err
	}
	list, err := events.Load(ctx, tx, after, upTo)
	if err != nil {
		return 0, err
	}
	deliveries, err := plan(list, to)
	if err != nil || len(deliveries) == 0 {
		return 0, err
	}
	pending, err := lockLanes(ctx, tx, deliveries)
	if err != nil {
		return 0, err
	}
	block(deliveries, pending)
	return len(deliveries), insertDeliveries(ctx, tx, deliveries)
}

func scanSubscriber(row pgx.CollectableRow) (subscriber, error) {
	var w subscriber
	var chain int64
	var senders [][]byte
	err := row.Scan(&w.id, &w.tenant, &chain, &w.types, &senders)
	w.chainID, w.senders = uint64(chain), addresses(senders)
	return w, err
}

// lockLanes finds the lanes that have pending deliveries, and keeps those from
// ending until the new ones are in the table: who ends one looks for the next
// afterwards (Report). Rows are locked from the earliest, as Report does.
func lockLanes(ctx context.Context, tx pgx.Tx, list []planned) (map[lane]bool, error) {
	webhooks, txs := make([]uuid.UUID, len(list)), make([]uuid.UUID, len(list))
	for i, d := range list {
		webhooks[i], txs[i] = d.webhook, d.event.TxID
	}
	found, err := query(ctx, tx, `
		select d.webhook_id, d.tx_id from webhook_deliveries d
		where d.state = 'pending' and (d.webhook_id, d.tx_id) in (select * from unnest(@webhooks::uuid[], @txs::uuid[]))
		order by d.webhook_id, d.tx_id, d.event_id for update`,
		pgx.NamedArgs{"webhooks": webhooks, "txs": txs},
		func(row pgx.CollectableRow) (l lane, err error) { return l, row.Scan(&l.webhook, &l.tx) })
	if err != nil {
		return nil, err
	}
	pending := map[lane]bool{}
	for _, l := range found {
		pending[l] = true
	}
	return pending, nil
}

func insertDeliveries(ctx context.Context, tx pgx.Tx, list []planned) error {
	n := len(list)
	ids, webhooks, eventIDs, txs := make([]uuid.UUID, n), make([]uuid.UUID, n), make([]int64, n), make([]uuid.UUID, n)
	types, bodies, blocked := make([]string, n), make([][]byte, n), make([]bool, n)
	for i, d := range list {
		ids[i], webhooks[i], eventIDs[i], txs[i] = d.id, d.webhook, d.event.ID, d.event.TxID
		types[i], bodies[i], blocked[i] = d.event.Type, d.body, d.blocked
	}
	// A webhook that was deleted meanwhile gets none.
	_, err := tx.Exec(ctx, `
		insert into webhook_deliveries (id, webhook_id, event_id, tx_id, type, body, blocked)
		select i.* from unnest(@ids::uuid[], @webhooks::uuid[], @events::bigint[], @txs::uuid[], @types::text[], @bodies::bytea[], @blocked::bool[])
			as i (id, webhook, event, tx, type, body, blocked)
		where exists (select from webhooks w where w.id = i.webhook for key share)
		on conflict (webhook_id, event_id) do nothing`,
		pgx.NamedArgs{"ids": ids, "webhooks": webhooks, "events": eventIDs, "txs": txs, "types": types, "bodies": bodies, "blocked": blocked})
	return err
}
