package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// tableSize is what a table and its indexes take on the disk.
type tableSize struct {
	Name  string
	Bytes int64
}

// progress is how far a run has got, from the database.
type progress struct {
	finished int64 // transactions that are final
	tables   []tableSize
}

// readProgress asks the database. What it asks costs it next to nothing.
func readProgress(ctx context.Context, dsn string) (progress, error) {
	var p progress
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return p, fmt.Errorf("look into the database: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if err := conn.QueryRow(ctx, `select coalesce(sum(low_water), 0)::bigint from senders`).Scan(&p.finished); err != nil {
		return p, fmt.Errorf("count finished transactions: %w", err)
	}
	rows, err := conn.Query(ctx, `
		select relname::text, pg_total_relation_size(oid) from pg_class
		where relname in ('transactions', 'nonce_slots', 'attempts', 'receipts', 'tx_events') and relkind = 'r' order by 1`)
	if err != nil {
		return p, fmt.Errorf("read the sizes of tables: %w", err)
	}
	p.tables, err = pgx.CollectRows(rows, pgx.RowToStructByPos[tableSize])
	return p, err
}
