package queue

import (
	"context"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipwayhq/slipway/internal/policy"
)

// meter holds the windows that a list of charges is for. Their keys are locked
// until the SQL transaction ends, so that what replicas accept together stays
// within the limits.
type meter struct {
	windows map[string]*openWindow
}

type openWindow struct {
	period time.Duration
	bucket int64        // that new charges go to
	held   policy.Usage // what the window held, and what was added
	added  policy.Usage
}

// openMeter locks and reads the windows of charges.
func openMeter(ctx context.Context, tx pgx.Tx, charges []policy.Charge) (*meter, error) {
	m := &meter{windows: map[string]*openWindow{}}
	for _, c := range charges {
		m.windows[c.Key] = &openWindow{period: c.Period}
	}
	keys := slices.Sorted(maps.Keys(m.windows))
	sizes := make([]int64, len(keys)) // of a bucket, in microseconds
	for i, key := range keys {
		sizes[i] = bucketSize(m.windows[key].period)
	}
	// All take the locks in one order. A statement of its own, since a statement
	// sees what was there when it began, not what was there when it got the lock.
	if _, err := tx.Exec(ctx, `
		select pg_advisory_xact_lock(lock) from (
			select distinct hashtextextended('policy ' || key, 0) as lock from unnest($1::text[]) key order by lock) locks`, keys); err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, `
		with wanted as (
			select key, (extract(epoch from clock_timestamp()) * 1000000 / size)::numeric(40, 20) as at from unnest($1::text[], $2::bigint[]) w (key, size))
		select w.key, floor(w.at)::bigint, coalesce(sum(u.count), 0)::bigint, coalesce(sum(u.value), 0)::text, coalesce(sum(u.gas), 0)::text
		from wanted w left join policy_usage u on u.key = w.key and u.bucket >= floor(w.at)::bigint - $3 group by w.key, w.at`, keys, sizes, policy.Buckets)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var key, value, gas string
		var bucket, count int64
		if err := rows.Scan(&key, &bucket, &count, &value, &gas); err != nil {
			return nil, err
		}
		w := m.windows[key]
		w.bucket, w.held.Count = bucket, uint64(count)
		if err := parseInto(&w.held.Value, value); err != nil {
			return nil, err
		}
		if err := parseInto(&w.held.Gas, gas); err != nil {
			return nil, err
		}
	}
	return m, rows.Err()
}

func bucketSize(period time.Duration) int64 { return max(1, period.Microseconds()/policy.Buckets) }

func parseInto(into *big.Int, text string) error {
	if _, ok := into.SetString(text, 10); !ok {
		return fmt.Errorf("read usage: %q is no number", text)
	}
	return nil
}

// add takes all charges of a decision, or none when a window is full: then it
// says which rule's.
func (m *meter) add(d policy.Decision) (rule string, err error) {
	for i, c := range d.Charges {
		of := m.windows[c.Key].held.Full(c)
		if of == "" {
			m.count(c, 1)
			continue
		}
		m.takeBack(d.Charges[:i])
		if new(policy.Usage).Full(c) != "" {
			return c.Rule, &policy.DeniedError{Decision: d.Exceeded(c.Rule)} // it would never fit
		}
		return c.Rule, &policy.LimitError{Rule: c.Rule, Per: c.Period, Of: of}
	}
	return "", nil
}

// count adds a charge, or takes it back, without looking for room.
func (m *meter) count(c policy.Charge, n int64) {
	w := m.windows[c.Key]
	w.held.Add(c, n)
	w.added.Add(c, n)
}

func (m *meter) takeBack(charges []policy.Charge) {
	for _, c := range charges {
		m.count(c, -1)
	}
}

// write stores what was added, and forgets what counts no more.
func (m *meter) write(ctx context.Context, tx pgx.Tx) error {
	var keys, values, gases []string
	var buckets, counts []int64
	var ends []time.Time
	for key, w := range m.windows {
		if w.added.Count == 0 {
			continue
		}
		size := bucketSize(w.period)
		keys, buckets, counts = append(keys, key), append(buckets, w.bucket), append(counts, int64(w.added.Count))
		values, gases = append(values, w.added.Value.String()), append(gases, w.added.Gas.String())
		ends = append(ends, time.UnixMicro((w.bucket+policy.Buckets+2)*size))
	}
	if len(keys) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `
		with old as (delete from policy_usage where key = any(@keys) and ends_at < now())
		insert into policy_usage (key, bucket, ends_at, count, value, gas)
		select key, bucket, ends_at, count, value::numeric, gas::numeric
		from unnest(@keys::text[], @buckets::bigint[], @ends::timestamptz[], @counts::bigint[], @values::text[], @gases::text[]) u (key, bucket, ends_at, count, value, gas)
		on conflict (key, bucket) do update set count = policy_usage.count + excluded.count, value = policy_usage.value + excluded.value, gas = policy_usage.gas + excluded.gas`,
		pgx.NamedArgs{"keys": keys, "buckets": buckets, "ends": ends, "counts": counts, "values": values, "gases": gases})
	return err
}

// Charge adds the charges of one decision.
func (s *Store) Charge(ctx context.Context, d policy.Decision) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		m, err := openMeter(ctx, tx, d.Charges)
		if err != nil {
			return err
		}
		if err := m.take(&d); err != nil {
			return err
		}
		return m.write(ctx, tx)
	})
	if isOverLimit(err) {
		return err
	}
	if err != nil {
		return fmt.Errorf("count against limits: %w", storeError(err))
	}
	return nil
}

// take is add, except that a dry run only notes that a window is full.
func (m *meter) take(d *policy.Decision) error {
	rule, err := m.add(*d)
	if err == nil || !d.DryRun {
		return err
	}
	for _, c := range d.Charges {
		m.count(c, 1)
	}
	*d = d.Exceeded(rule)
	return nil
}

// charge takes from the windows what the entries add. It returns the entries
// that have room, in their order; with isWhole it fails if one has none. What
// was accepted before under its idempotency key is not charged again.
func (s *Store) charge(ctx context.Context, tx pgx.Tx, entries []*entry, isWhole bool) ([]*entry, *meter, error) {
	var charges []policy.Charge
	for _, e := range entries {
		e.err = nil
		charges = append(charges, e.admission.charges()...)
	}
	if len(charges) == 0 {
		return entries, nil, nil
	}
	m, err := openMeter(ctx, tx, charges)
	if err != nil {
		return nil, nil, err
	}
	known, err := knownKeys(ctx, tx, entries)
	if err != nil {
		return nil, nil, err
	}
	open := make([]*entry, 0, len(entries))
	for _, e := range entries {
		if e.isCharged = false; len(e.admission.charges()) > 0 && !known[e.key()] {
			if e.err = m.take(e.admission.Decision); e.err != nil && isWhole {
				return nil, nil, e.err
			}
			e.isCharged = e.err == nil
		}
		if e.err == nil {
			open = append(open, e)
			if e.request.IdempotencyKey != "" {
				known[e.key()] = true
			}
		}
	}
	return open, m, nil
}

// idemKey is a tenant's idempotency key.
type idemKey struct{ tenant, key string }

func (e *entry) key() idemKey { return idemKey{e.request.Tenant, e.request.IdempotencyKey} }

// knownKeys says which of the entries' idempotency keys are taken.
func knownKeys(ctx context.Context, tx pgx.Tx, entries []*entry) (map[idemKey]bool, error) {
	var tenants, keys []string
	for _, e := range entries {
		if e.request.IdempotencyKey != "" {
			tenants, keys = append(tenants, e.request.Tenant), append(keys, e.request.IdempotencyKey)
		}
	}
	out := map[idemKey]bool{}
	if len(keys) == 0 {
		return out, nil
	}
	rows, err := tx.Query(ctx, `
		select t.tenant_id, t.idem_key from unnest($1::text[], $2::text[]) k (tenant, key) join transactions t on t.tenant_id = k.tenant and t.idem_key = k.key`, tenants, keys)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var k idemKey
		if err := rows.Scan(&k.tenant, &k.key); err != nil {
			return nil, err
		}
		out[k] = true
	}
	return out, rows.Err()
}
