// Package eventstest makes histories for tests, without the queue.
package eventstest

import (
	"context"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/slipwayhq/slipway/internal/pgtest"
)

// ChainID is the chain of the senders.
const ChainID = 4242

// Alice and Bob are senders.
func Alice() common.Address { return common.HexToAddress("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266") }

// Bob is the other sender.
func Bob() common.Address { return common.HexToAddress("0x70997970C51812dc3A010C7d01b50e0d17dc79C8") }

// History is a database with senders. TestMain must call pgtest.Main with a
// template that has the signer's tables.
type History struct {
	DSN  string
	Pool *pgxpool.Pool
}

// New makes one for the length of a test.
func New(tb testing.TB) *History {
	tb.Helper()
	h := &History{DSN: pgtest.DSN(tb)}
	pool, err := pgxpool.New(tb.Context(), h.DSN)
	if err != nil {
		tb.Fatalf("eventstest: %v", err)
	}
	tb.Cleanup(pool.Close)
	h.Pool = pool
	h.Exec(tb, `insert into chains (chain_id) values ($1)`, ChainID)
	for _, a := range []common.Address{Alice(), Bob()} {
		h.Exec(tb, `insert into senders (chain_id, address, key_ref) values ($1, $2, 'test')`, ChainID, a[:])
	}
	return h
}

// Exec runs one statement.
func (h *History) Exec(tb testing.TB, sql string, args ...any) {
	tb.Helper()
	if _, err := h.Pool.Exec(tb.Context(), sql, args...); err != nil {
		tb.Fatalf("eventstest: %s: %v", sql, err)
	}
}

// Transaction makes one, without an event.
func (h *History) Transaction(tb testing.TB, tenant string, sender common.Address, reference string) uuid.UUID {
	tb.Helper()
	id := uuid.New()
	h.Exec(tb, `insert into transactions (id, tenant_id, chain_id, sender, value, data, req_hash, reference) values ($1, $2, $3, $4, 0, '', decode(repeat('00', 32), 'hex'), nullif($5, ''))`,
		id, tenant, ChainID, sender[:], reference)
	return id
}

// Append writes events of a transaction, each in an SQL transaction of its own,
// and returns the last one's id.
func (h *History) Append(tb testing.TB, tx uuid.UUID, types ...string) int64 {
	tb.Helper()
	var id int64
	for _, t := range types {
		var err error
		if id, err = Write(tb.Context(), h.Pool, tx, t, nil); err != nil {
			tb.Fatalf("eventstest: %v", err)
		}
	}
	return id
}

// Writer is a pool, or one SQL transaction.
type Writer interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// Write writes one event as the queue does: while the transaction's row is locked.
func Write(ctx context.Context, db Writer, tx uuid.UUID, eventType string, data []byte) (int64, error) {
	var id int64
	err := db.QueryRow(ctx, `
		with moved as (update transactions set version = version + 1 where id = $1 returning id)
		insert into tx_events (tx_id, type, data) select id, $2, $3 from moved returning id`, tx, eventType, data).Scan(&id)
	return id, err
}
