package audit

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Log is the audit log of a database. A nil *Log keeps nothing.
type Log struct{ pool *pgxpool.Pool }

// New makes the log over a migrated database.
func New(pool *pgxpool.Pool) *Log { return &Log{pool} }

// timeout bounds one SQL transaction; verifying and pruning take longer.
const timeout, longTimeout = 15 * time.Second, 30 * time.Minute

// ErrUnavailable says that the database could not be reached.
var ErrUnavailable = errors.New("the audit log cannot be reached")

// storeError keeps apart what PostgreSQL says from not having reached it. What
// PostgreSQL says has no parameters in it.
func storeError(doing string, err error) error {
	var pgErr *pgconn.PgError
	var broken *BrokenError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &broken):
		return err
	case errors.As(err, &pgErr) && !strings.HasPrefix(pgErr.Code, "28"): // a password that is being changed
		return fmt.Errorf("%s: %s (SQLSTATE %s)", doing, pgErr.Message, pgErr.Code)
	default:
		return fmt.Errorf("%s: %w", doing, ErrUnavailable)
	}
}

// Record appends entries.
func (l *Log) Record(ctx context.Context, entries ...Entry) error {
	if l == nil || len(entries) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := pgx.BeginFunc(ctx, l.pool, func(tx pgx.Tx) error { return l.Append(ctx, tx, entries) })
	return storeError("write audit log", err)
}

// Append appends entries within an SQL transaction. It locks the head of the
// chain until that ends, so it must come last.
func (l *Log) Append(ctx context.Context, tx pgx.Tx, entries []Entry) error {
	if l == nil || len(entries) == 0 {
		return nil
	}
	var seq int64
	var head []byte
	var now time.Time
	// After waiting for the lock, PostgreSQL gives the row as it is then.
	if err := tx.QueryRow(ctx, `select seq, hash, clock_timestamp() from audit_head for update`).Scan(&seq, &head, &now); err != nil {
		return err
	}
	n := len(entries)
	seqs, ats, hashes, previous := make([]int64, n), make([]time.Time, n), make([][]byte, n), make([][]byte, n)
	texts := make([][]string, 8)
	for i, e := range entries {
		row, err := e.row(seq+1, now, head)
		if err != nil {
			return fmt.Errorf("write audit log: %w", err)
		}
		seq, head = row.Seq, row.Hash
		seqs[i], ats[i], hashes[i], previous[i] = row.Seq, row.At, row.Hash, row.Previous
		for at, text := range []string{row.Tenant, row.Actor, row.KeyID, row.Address, row.Action, row.Object, row.Decision, row.Detail} {
			texts[at] = append(texts[at], text)
		}
	}
	_, err := tx.Exec(ctx, `
		with appended as (
			insert into audit_log (seq, at, tenant_id, actor, key_id, address, action, object, decision, detail, previous, hash)
			select * from unnest(@seqs::bigint[], @ats::timestamptz[], @tenants::text[], @actors::text[], @keys::text[], @addresses::text[],
				@actions::text[], @objects::text[], @decisions::text[], @details::text[], @previous::bytea[], @hashes::bytea[]))
		update audit_head set seq = @seq, hash = @head`,
		pgx.NamedArgs{
			"seqs": seqs, "ats": ats, "tenants": texts[0], "actors": texts[1], "keys": texts[2], "addresses": texts[3], "actions": texts[4],
			"objects": texts[5], "decisions": texts[6], "details": texts[7], "previous": previous, "hashes": hashes, "seq": seq, "head": head,
		})
	return err
}

const selectRows = `select seq, at, tenant_id, actor, key_id, address, action, object, decision, detail, previous, hash from audit_log`

// List reads rows of a tenant, newest first, older than the row before (0: all).
func (l *Log) List(ctx context.Context, tenant string, before int64, limit int) ([]Row, error) {
	if l == nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	rows, err := l.pool.Query(ctx, selectRows+` where tenant_id = @tenant and (@before = 0 or seq < @before) order by seq desc limit @limit`,
		pgx.NamedArgs{"tenant": tenant, "before": before, "limit": limit})
	if err != nil {
		return nil, storeError("read audit log", err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Row])
	return out, storeError("read audit log", err)
}

// Verify reads the whole chain. The error is a *BrokenError where it does not
// hold.
func (l *Log) Verify(ctx context.Context) (Report, error) {
	ctx, cancel := context.WithTimeout(ctx, longTimeout)
	defer cancel()
	var report Report
	// One snapshot of the chain and of its head.
	err := pgx.BeginTxFunc(ctx, l.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		var err error
		report, err = verify(ctx, tx)
		return err
	})
	return report, storeError("verify audit log", err)
}

func verify(ctx context.Context, tx pgx.Tx) (Report, error) {
	start := link{hash: string(make([]byte, 32))}
	var cutHash []byte
	var cut int64
	err := tx.QueryRow(ctx, `select seq, hash from audit_checkpoints order by seq desc limit 1`).Scan(&cut, &cutHash)
	switch {
	case err == nil:
		start = link{cut, string(cutHash)}
	case !errors.Is(err, pgx.ErrNoRows):
		return Report{}, err
	}
	report := Report{Pruned: cut}
	end, isCutTold := start, cut == 0

	rows, err := tx.Query(ctx, selectRows+` order by seq`)
	if err != nil {
		return report, err
	}
	defer rows.Close()
	for rows.Next() {
		row, err := pgx.RowToStructByPos[Row](rows)
		if err != nil {
			return report, err
		}
		if end, err = end.follow(row); err != nil {
			return report, err
		}
		isCutTold = isCutTold || row.Action == pruneAction && row.Object == checkpointObject(cut, cutHash)
		report.Rows++
	}
	if err := rows.Err(); err != nil {
		return report, err
	}

	var head link
	var hash []byte
	if err := tx.QueryRow(ctx, `select seq, hash from audit_head`).Scan(&head.seq, &hash); err != nil {
		return report, err
	}
	head.hash = string(hash)
	report.Head = hex.EncodeToString([]byte(end.hash))
	switch {
	case !isCutTold:
		return report, &BrokenError{start.seq, "it is said to be the last one that was pruned, but no row tells of that"}
	case end.seq < head.seq:
		return report, &BrokenError{end.seq + 1, "it is missing, and so is all after it"}
	case end != head:
		return report, &BrokenError{end.seq, "the head of the chain is another row"}
	}
	return report, nil
}

// Prune removes the rows that are older, and leaves a checkpoint. It appends an
// entry that says so, and returns how many rows went.
func (l *Log) Prune(ctx context.Context, olderThan time.Duration, by Entry) (int64, error) {
	if l == nil {
		return 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, longTimeout)
	defer cancel()
	var gone int64
	err := pgx.BeginFunc(ctx, l.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `select set_config('slipway.audit_prune', 'on', true)`); err != nil {
			return err
		}
		// One prune at a time; writers are only held up for the entry at the end.
		if _, err := tx.Exec(ctx, `lock table audit_checkpoints in exclusive mode`); err != nil {
			return err
		}
		// Rows before the first that stays: times of replicas' rows never run
		// against the order, they are all the database's.
		var seq int64
		var hash []byte
		err := tx.QueryRow(ctx, `
			select seq, hash from audit_log where seq < coalesce((select min(seq) from audit_log where at >= now() - @age::interval), 9223372036854775807)
			order by seq desc limit 1`, pgx.NamedArgs{"age": olderThan}).Scan(&seq, &hash)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `insert into audit_checkpoints (seq, hash) values ($1, $2)`, seq, hash); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `delete from audit_log where seq <= $1`, seq)
		if err != nil {
			return err
		}
		gone = tag.RowsAffected()
		by.Action, by.Object, by.Decision = pruneAction, checkpointObject(seq, hash), "allow"
		by.Detail = map[string]any{"rows": gone}
		return l.Append(ctx, tx, []Entry{by})
	})
	return gone, storeError("prune audit log", err)
}

// pruneEvery is how often Run looks for rows that are too old.
const pruneEvery = time.Hour

// Run prunes what is older than the retention, until ctx ends. It implements
// lifecycle.Run.
func (l *Log) Run(ctx context.Context, cfg Config, log *slog.Logger, ready func()) error {
	ready()
	if l == nil || cfg.Retention == 0 {
		<-ctx.Done()
		return nil
	}
	ticker := time.NewTicker(pruneEvery)
	defer ticker.Stop()
	for {
		gone, err := l.Prune(ctx, cfg.Retention, Entry{Actor: "signer"})
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			log.WarnContext(ctx, "audit log not pruned", slog.Any("err", err))
		} else if gone > 0 {
			log.InfoContext(ctx, "audit log pruned", slog.Int64("rows", gone))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}
