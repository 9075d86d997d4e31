package webhooks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// claim says how much work a replica can take.
type claim struct {
	free       int               // in all
	perWebhook int               // at a time
	sickAfter  int               // failures in a row after which a webhook gets one
	busy       map[uuid.UUID]int // what it is doing already
	lease      time.Duration
}

// claimDue reads from the front of an index, however much is pending.
const claimDue = `
		with due as (
			select d.id from (select id, failures from webhooks where active order by random()) w
			left join unnest(@ids::uuid[], @counts::int[]) as b (id, n) on b.id = w.id
			cross join lateral (
				select id from webhook_deliveries
				where webhook_id = w.id and state = 'pending' and not blocked and next_at <= now()
				order by next_at limit greatest(0, case when w.failures >= @sick then 1 else @per end - coalesce(b.n, 0))
				for update skip locked) d
			limit @free)
		update webhook_deliveries d set attempts = d.attempts + 1, next_at = now() + @lease
		from due, webhooks w where d.id = due.id and w.id = d.webhook_id
		returning d.id, d.webhook_id, w.url, d.type, d.body, d.attempts, extract(epoch from now() - d.since)::float8,
			(select array_agg(k.sealed order by k.place) from webhook_secrets k where k.webhook_id = w.id)`

// Claim takes deliveries that are due, of webhooks in an order by chance: those
// that always have work do not keep the others waiting.
func (s *Store) Claim(ctx context.Context, c claim) ([]job, error) {
	ids, counts := make([]uuid.UUID, 0, len(c.busy)), make([]int, 0, len(c.busy))
	for id, n := range c.busy {
		ids, counts = append(ids, id), append(counts, n)
	}
	jobs, err := query(ctx, s.pool, claimDue,
		pgx.NamedArgs{"ids": ids, "counts": counts, "sick": c.sickAfter, "per": c.perWebhook, "free": c.free, "lease": c.lease}, scanJob)
	if err != nil {
		return nil, fmt.Errorf("claim deliveries: %w", err)
	}
	return jobs, nil
}

func scanJob(row pgx.CollectableRow) (job, error) {
	var j job
	var age float64
	err := row.Scan(&j.id, &j.webhook, &j.url, &j.eventType, &j.body, &j.attempt, &age, &j.sealed)
	j.age = time.Duration(age * float64(time.Second))
	return j, err
}

// Report writes down what came of an attempt. It is false, and changes nothing,
// when another attempt was made since.
func (s *Store) Report(ctx context.Context, j job, r result, end ending) (bool, error) {
	isKept := false
	failure := r.outcome
	if r.outcome == outcomeDelivered {
		failure = ""
	}
	args := pgx.NamedArgs{
		"id": j.id, "webhook": j.webhook, "attempt": j.attempt, "state": string(end.state), "pause": end.pause, "status": r.status, "failure": failure,
	}
	err := s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		var txID uuid.UUID
		err := tx.QueryRow(ctx, `
			update webhook_deliveries set state = @state::delivery_state, next_at = now() + @pause, last_status = nullif(@status::int, 0),
				last_error = nullif(@failure::text, ''), ended_at = case when @state = 'pending' then null else now() end
			where id = @id and attempts = @attempt and state = 'pending' returning tx_id`, args).Scan(&txID)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		isKept = true
		if end.state != StatePending {
			args["tx"] = txID
			if _, err := tx.Exec(ctx, unblockNext, args); err != nil {
				return err
			}
		}
		_, err = tx.Exec(ctx, `
			update webhooks set failures = case when @failure::text = '' then 0 else failures + 1 end
			where id = @webhook and (@failure <> '' or failures > 0)`, args)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("report delivery: %w", err)
	}
	return isKept, nil
}

// unblockNext lets the next delivery of a lane go. As a statement of its own it
// sees what was inserted while the one before waited for its lock.
const unblockNext = `
	update webhook_deliveries set blocked = false, next_at = now()
	where id = (select id from webhook_deliveries where webhook_id = @webhook and tx_id = @tx and state = 'pending' order by event_id limit 1) and blocked`

// Deliveries reads a page, newest event first.
func (s *Store) Deliveries(ctx context.Context, webhook uuid.UUID, f DeliveryFilter) ([]Delivery, error) {
	list, err := query(ctx, s.pool, `
		select id, event_id, tx_id, type, body, state::text, blocked, attempts, next_at, coalesce(last_status, 0), coalesce(last_error, ''), created_at, ended_at
		from webhook_deliveries
		where webhook_id = @webhook and (@state::text = '' or state = @state::delivery_state) and (@before::bigint = 0 or event_id < @before)
		order by event_id desc limit @limit`,
		pgx.NamedArgs{"webhook": webhook, "state": string(f.State), "before": f.Before, "limit": f.Limit}, pgx.RowToStructByPos[Delivery])
	if err != nil {
		return nil, fmt.Errorf("read deliveries: %w", err)
	}
	return list, nil
}

// Redeliver makes one that has ended pending again.
func (s *Store) Redeliver(ctx context.Context, webhook, id uuid.UUID) error {
	args := pgx.NamedArgs{"webhook": webhook, "id": id}
	n, err := s.exec(ctx, `
		update webhook_deliveries set state = 'pending', blocked = false, next_at = now(), since = now(), ended_at = null
		where id = @id and webhook_id = @webhook and state <> 'pending'`, args)
	if err != nil {
		return fmt.Errorf("redeliver: %w", err)
	}
	if n == 1 {
		return nil
	}
	found, err := query(ctx, s.pool, `select id from webhook_deliveries where id = @id and webhook_id = @webhook`, args, pgx.RowTo[uuid.UUID])
	switch {
	case err != nil:
		return fmt.Errorf("redeliver: %w", err)
	case len(found) == 0:
		return ErrNotFound
	default:
		return ErrNotDead
	}
}

// redeliverLimit bounds what is repeated with one call.
const redeliverLimit = 10_000

// RedeliverDead makes the earliest dead ones pending again, each lane in its
// order: only the first of each can go, and not before one that is pending.
func (s *Store) RedeliverDead(ctx context.Context, webhook uuid.UUID) (int, error) {
	args := pgx.NamedArgs{"webhook": webhook, "limit": redeliverLimit}
	count := 0
	err := s.inTransaction(ctx, func(ctx context.Context, tx pgx.Tx) error {
		// What is pending in these lanes must not end meanwhile; see lockLanes.
		if _, err := tx.Exec(ctx, `
			select from webhook_deliveries where webhook_id = @webhook and state = 'pending' and tx_id in (
				select tx_id from webhook_deliveries where webhook_id = @webhook and state = 'dead' order by event_id limit @limit)
			order by webhook_id, tx_id, event_id for update`, args); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `
			with again as (
				select id, row_number() over (partition by tx_id order by event_id) > 1 or exists (
					select from webhook_deliveries p
					where p.webhook_id = d.webhook_id and p.tx_id = d.tx_id and p.state = 'pending' and p.event_id < d.event_id) as blocked
				from webhook_deliveries d where webhook_id = @webhook and state = 'dead' order by event_id limit @limit)
			update webhook_deliveries d set state = 'pending', blocked = again.blocked, next_at = now(), since = now(), ended_at = null
			from again where d.id = again.id and d.state = 'dead'`, args)
		count = int(tag.RowsAffected())
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("redeliver: %w", err)
	}
	return count, nil
}

// Backlog counts pending deliveries up to most, and says how old the oldest is.
func (s *Store) Backlog(ctx context.Context, most int) (int, time.Duration, error) {
	type row struct {
		Count  int
		Oldest float64
	}
	rows, err := query(ctx, s.pool, `
		select count(*), coalesce(extract(epoch from now() - min(created_at)), 0)::float8
		from (select created_at from webhook_deliveries where state = 'pending' limit @most) p`,
		pgx.NamedArgs{"most": most}, pgx.RowToStructByPos[row])
	if err != nil {
		return 0, 0, fmt.Errorf("count pending deliveries: %w", err)
	}
	return rows[0].Count, time.Duration(rows[0].Oldest * float64(time.Second)), nil
}

// Purge removes deliveries whose time is over, up to limit of each kind.
func (s *Store) Purge(ctx context.Context, keepDelivered, keepDead time.Duration, limit int) error {
	for state, keep := range map[State]time.Duration{StateDelivered: keepDelivered, StateDead: keepDead} {
		_, err := s.exec(ctx, `
			delete from webhook_deliveries where id in (
				select id from webhook_deliveries where state = @state::delivery_state and ended_at < now() - @keep::interval
				order by ended_at limit @limit for update skip locked)`,
			pgx.NamedArgs{"state": string(state), "keep": keep, "limit": limit})
		if err != nil {
			return fmt.Errorf("remove old deliveries: %w", err)
		}
	}
	return nil
}
