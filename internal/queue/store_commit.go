package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/slipwayhq/slipway/internal/failpoint"
)

// signedTx is a claimed transaction with its nonce and bytes.
type signedTx struct {
	id      uuid.UUID
	version int
	nonce   uint64
	raw     []byte
	hash    common.Hash
	fees    Fees
	// isPriced says that the fee policy chose the fees.
	isPriced bool
}

// commitment is one sender's signed transactions with the lease to commit them
// under.
type commitment struct {
	lease lease
	txs   []signedTx
	err   error // what came of it
}

// Commit stores slots and signed bytes and moves next_nonce, in one SQL
// transaction. It changes nothing and returns errFenced unless the lease's epoch
// and next_nonce are as expected, and errClaimChanged unless every transaction
// is still as it was claimed. After any other error the outcome is unknown: the
// caller must read the slots again before it signs anything.
func (s *Store) Commit(ctx context.Context, l lease, txs []signedTx) error {
	c := &commitment{lease: l, txs: txs}
	s.commitBatch(ctx, []*commitment{c})
	return c.err
}

// maxCommitments is the most senders whose transactions are committed in one
// SQL transaction.
const maxCommitments = 64

// commitBatch commits for several senders in one SQL transaction, each as by
// Commit: what is wrong with one keeps the others from nothing.
func (s *Store) commitBatch(ctx context.Context, list []*commitment) {
	failpoint.Hit("before_fence")
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return s.commitWithin(ctx, tx, list) })
	if err == nil {
		failpoint.Hit("after_commit")
		return
	}
	if storeErr := storeError(err); len(list) == 1 || errors.Is(storeErr, ErrUnavailable) {
		for _, c := range list {
			c.err = fmt.Errorf("commit signed transactions: %w", storeErr)
		}
		return
	}
	for _, c := range list { // PostgreSQL refused, and took everything back: one by one
		c.err = nil
		s.commitBatch(ctx, []*commitment{c})
	}
}

// lockTimeout ends the waiting for a row that a replica holds which does not move.
const lockTimeout = "5s"

func (s *Store) commitWithin(ctx context.Context, tx pgx.Tx, list []*commitment) error {
	args := fenceArgs(s.chainID, list)
	batch := &pgx.Batch{}
	batch.Queue(`select set_config('lock_timeout', '` + lockTimeout + `', true), set_config('idle_in_transaction_session_timeout', '15s', true), ` + byIndex)
	// The fence comes first: its row locks make rival commits wait here. In order,
	// so that no two replicas wait for each other; and no stronger than needed: the
	// foreign keys of what is accepted meanwhile hold on to the same rows. Each row
	// is looked up for itself (lateral), however the planner misjudges how many there are.
	batch.Queue(`
		select s.address from (
			select * from unnest(@senders::bytea[], @epochs::bigint[], @firsts::bigint[]) as u (sender, epoch, first) order by sender) c
		cross join lateral (
			select s.address from senders s
			where s.chain_id = @chain and s.address = c.sender and s.lease_epoch = c.epoch and s.next_nonce = c.first and s.state = 'active'
			for no key update) s`, args)
	batch.Queue(`
		select t.id from (select * from unnest(@ids::uuid[], @versions::int[]) as u (id, version) order by id) c
		cross join lateral (
			select t.id from transactions t where t.id = c.id and t.version = c.version and t.status = 'queued'
			for no key update) t`, args)
	results := tx.SendBatch(ctx, batch)
	_, err := results.Exec()
	fenced, err := collect(results, err, pgx.RowTo[[]byte])
	claimed, err := collect(results, err, pgx.RowTo[uuid.UUID])
	if err = errors.Join(err, results.Close()); err != nil {
		return err
	}
	good := judgeCommitments(list, fenced, claimed)
	if len(good) == 0 {
		return nil
	}
	return s.storeCommitments(ctx, tx, good)
}

// collect reads the rows of the next statement, unless one before has failed.
func collect[T any](results pgx.BatchResults, err error, scan pgx.RowToFunc[T]) ([]T, error) {
	if err != nil {
		return nil, err
	}
	rows, err := results.Query()
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scan)
}

// judgeCommitments sorts out those whose lease or whose transactions are not
// what they were, from the rows that are locked. It is pure.
func judgeCommitments(list []*commitment, fenced [][]byte, claimed []uuid.UUID) (good []*commitment) {
	holds, unchanged := map[string]bool{}, map[uuid.UUID]bool{}
	for _, address := range fenced {
		holds[string(address)] = true
	}
	for _, id := range claimed {
		unchanged[id] = true
	}
	for _, c := range list {
		switch {
		case !holds[string(c.lease.Sender[:])]:
			c.err = errFenced
		case slices.ContainsFunc(c.txs, func(t signedTx) bool { return !unchanged[t.id] }):
			c.err = errClaimChanged
		default:
			good = append(good, c)
		}
	}
	return good
}

// storeCommitments writes what was found good. The fence stands in the update
// once more: nothing depends on the rows having been locked.
func (s *Store) storeCommitments(ctx context.Context, tx pgx.Tx, good []*commitment) error {
	fence, rows := fenceArgs(s.chainID, good), slotArgs(s.chainID, good)
	batch := &pgx.Batch{}
	batch.Queue(`
		update senders s set next_nonce = s.next_nonce + c.count
		from unnest(@senders::bytea[], @epochs::bigint[], @firsts::bigint[], @counts::bigint[]) as c (sender, epoch, first, count)
		where s.chain_id = @chain and s.address = c.sender and s.lease_epoch = c.epoch and s.next_nonce = c.first and s.state = 'active'`, fence)
	batch.Queue(`
		with signed as (
			update transactions t set status = 'signed', substatus = null, version = t.version + 1, updated_at = now()
			from unnest(@ids::uuid[], @versions::int[], @nonces::bigint[], @hashes::bytea[]) as c (id, version, nonce, hash)
			where t.id = c.id and t.version = c.version and t.status = 'queued'
			returning t.id, c.nonce, c.hash)
		insert into tx_events (tx_id, type, data)
		select id, 'signed', jsonb_build_object('nonce', nonce, 'hash', '0x' || encode(hash, 'hex')) from signed`, rows)
	batch.Queue(`
		insert into nonce_slots (chain_id, sender, nonce, tx_id)
		select @chain, sender, nonce, id from unnest(@owners::bytea[], @nonces::bigint[], @ids::uuid[]) as i (sender, nonce, id)`, rows)
	batch.Queue(`
		insert into attempts (chain_id, sender, nonce, raw, hash, fees)
		select @chain, sender, nonce, raw, hash, fees
		from unnest(@owners::bytea[], @nonces::bigint[], @raws::bytea[], @hashes::bytea[], @fees::jsonb[]) as i (sender, nonce, raw, hash, fees)`, rows)
	results := tx.SendBatch(ctx, batch)
	moved, err := results.Exec()
	var signed pgconn.CommandTag
	if err == nil {
		signed, err = results.Exec()
	}
	if err = errors.Join(err, results.Close()); err != nil {
		return err
	}
	if moved.RowsAffected() != int64(len(good)) || signed.RowsAffected() != count(good) {
		return errMoved
	}
	failpoint.Hit("before_commit")
	return nil
}

// errMoved cannot happen while the rows are locked; it takes everything back.
var errMoved = errors.New("senders or transactions changed under their locks")

func count(list []*commitment) (n int64) {
	for _, c := range list {
		n += int64(len(c.txs))
	}
	return n
}

func fenceArgs(chainID int64, list []*commitment) pgx.NamedArgs {
	n := len(list)
	senders, epochs, firsts, counts := make([][]byte, n), make([]int64, n), make([]int64, n), make([]int64, n)
	var ids []uuid.UUID
	var versions []int32
	for i, c := range list {
		senders[i], epochs[i], firsts[i], counts[i] = c.lease.Sender[:], c.lease.Epoch, int64(c.txs[0].nonce), int64(len(c.txs))
		for _, t := range c.txs {
			ids, versions = append(ids, t.id), append(versions, int32(t.version))
		}
	}
	return pgx.NamedArgs{"chain": chainID, "senders": senders, "epochs": epochs, "firsts": firsts, "counts": counts, "ids": ids, "versions": versions}
}

func slotArgs(chainID int64, list []*commitment) pgx.NamedArgs {
	var ids []uuid.UUID
	var versions []int32
	var nonces []int64
	var owners, raws, hashes, fees [][]byte
	for _, c := range list {
		for _, t := range c.txs {
			ids, versions, nonces = append(ids, t.id), append(versions, int32(t.version)), append(nonces, int64(t.nonce))
			owners, raws, hashes, fees = append(owners, c.lease.Sender[:]), append(raws, t.raw), append(hashes, t.hash[:]), append(fees, mustJSON(t.fees))
		}
	}
	return pgx.NamedArgs{
		"chain": chainID, "ids": ids, "versions": versions, "nonces": nonces, "owners": owners, "raws": raws, "hashes": hashes, "fees": fees,
	}
}
