package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Store is every SQL statement of the queue, for one chain. Its methods are
// single statements or single SQL transactions.
type Store struct {
	pool    *pgxpool.Pool
	chainID int64
}

// storeTimeout bounds one statement or SQL transaction, waiting for a
// connection included.
const storeTimeout = 15 * time.Second

// ConnectConfig says how to reach the database.
type ConnectConfig struct {
	DSN      string
	MaxConns int32
}

// Connect opens a pool and checks that the database answers. The DSN never
// appears in the error.
func Connect(ctx context.Context, cfg ConnectConfig) (*pgxpool.Pool, error) {
	poolConfig, err := pgxpool.ParseConfig(cfg.DSN)
	if err != nil {
		return nil, errors.New("the database URL is malformed")
	}
	if cfg.MaxConns > 0 {
		poolConfig.MaxConns = cfg.MaxConns
	}
	poolConfig.ConnConfig.ConnectTimeout = 5 * time.Second
	pool, err := pgxpool.NewWithConfig(ctx, poolConfig)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", storeError(err))
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("open database: %w", storeError(err))
	}
	return pool, nil
}

// NewStore makes the store of one chain over a migrated database.
func NewStore(pool *pgxpool.Pool, chainID uint64) *Store {
	return &Store{pool: pool, chainID: int64(chainID)}
}

// Ping says whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return storeError(s.pool.Ping(ctx))
}

// storeError keeps apart what PostgreSQL says about a statement from not having
// reached it. Neither text contains SQL, parameters or the DSN.
func storeError(err error) error {
	var pgErr *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &pgErr):
		// 57P0x: the server is stopping or starting; 53xxx: out of connections
		// or memory; 25006: a demoted primary. Another try may meet a healthy one.
		if strings.HasPrefix(pgErr.Code, "57P") || strings.HasPrefix(pgErr.Code, "53") || pgErr.Code == "25006" {
			return fmt.Errorf("%w: %s", ErrUnavailable, pgErr.Message)
		}
		return fmt.Errorf("database: %s (SQLSTATE %s)", pgErr.Message, pgErr.Code)
	default:
		var connectErr *pgconn.ConnectError
		if errors.As(err, &connectErr) { // its text names host, user and database
			return fmt.Errorf("%w: connection refused or lost", ErrUnavailable)
		}
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
}

// exec runs one statement and returns the number of rows it changed.
func (s *Store) exec(ctx context.Context, sql string, args pgx.NamedArgs) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	tag, err := s.pool.Exec(ctx, sql, args)
	return tag.RowsAffected(), storeError(err)
}

// query runs one statement and reads its rows with scan.
func query[T any](ctx context.Context, s *Store, sql string, args pgx.NamedArgs, scan pgx.RowToFunc[T]) ([]T, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	rows, err := s.pool.Query(ctx, sql, args)
	if err != nil {
		return nil, storeError(err)
	}
	out, err := pgx.CollectRows(rows, scan)
	return out, storeError(err)
}

// --- chain and senders ---

// EnsureChain makes the chain's row and returns the pinned genesis hash, zero
// while none is pinned.
func (s *Store) EnsureChain(ctx context.Context) (common.Hash, error) {
	_, err := s.exec(ctx, `insert into chains (chain_id) values (@chain) on conflict do nothing`, pgx.NamedArgs{"chain": s.chainID})
	if err != nil {
		return common.Hash{}, fmt.Errorf("register chain: %w", err)
	}
	return s.pinnedGenesis(ctx)
}

func (s *Store) pinnedGenesis(ctx context.Context) (common.Hash, error) {
	rows, err := query(ctx, s, `select genesis_hash from chains where chain_id = @chain`, pgx.NamedArgs{"chain": s.chainID}, pgx.RowTo[[]byte])
	if err != nil || len(rows) == 0 {
		return common.Hash{}, fmt.Errorf("read pinned genesis: %w", err)
	}
	return common.BytesToHash(rows[0]), nil
}

// PinGenesis pins the genesis hash if none is pinned, and returns the pinned one.
func (s *Store) PinGenesis(ctx context.Context, hash common.Hash) (common.Hash, error) {
	_, err := s.exec(ctx, `update chains set genesis_hash = @hash, pinned_at = now() where chain_id = @chain and genesis_hash is null`,
		pgx.NamedArgs{"chain": s.chainID, "hash": hash[:]})
	if err != nil {
		return common.Hash{}, fmt.Errorf("pin genesis: %w", err)
	}
	return s.pinnedGenesis(ctx)
}

// EnsureSenders makes rows for the keyring's accounts and keeps their key
// references up to date.
func (s *Store) EnsureSenders(ctx context.Context, addresses []common.Address, keyRefs []string) error {
	_, err := s.exec(ctx, `
		insert into senders (chain_id, address, key_ref)
		select @chain, a, r from unnest(@addresses::bytea[], @refs::text[]) as k (a, r)
		on conflict (chain_id, address) do update set key_ref = excluded.key_ref where senders.key_ref <> excluded.key_ref`,
		pgx.NamedArgs{"chain": s.chainID, "addresses": addressBytes(addresses), "refs": keyRefs})
	if err != nil {
		return fmt.Errorf("register senders: %w", err)
	}
	return nil
}

// senderRow is what a driver needs to know of its sender.
type senderRow struct {
	State     string
	NextNonce uint64
	Contacted bool
	Window    int
	LowWater  uint64
}

// LoadSender reads a sender's row.
func (s *Store) LoadSender(ctx context.Context, sender common.Address) (senderRow, error) {
	rows, err := query(ctx, s, `
		select state::text, next_nonce, contacted_at is not null, window_size, low_water
		from senders where chain_id = @chain and address = @sender`,
		pgx.NamedArgs{"chain": s.chainID, "sender": sender[:]}, pgx.RowToStructByPos[senderRow])
	if err != nil {
		return senderRow{}, fmt.Errorf("load sender: %w", err)
	}
	if len(rows) == 0 {
		return senderRow{}, ErrUnknownSender
	}
	return rows[0], nil
}

// --- leases ---

// lease is the right to drive a sender.
type lease struct {
	Sender common.Address
	Epoch  int64
}

// AcquireLeases takes the leases of up to limit senders that have work and no
// living holder.
func (s *Store) AcquireLeases(ctx context.Context, owner uuid.UUID, ttl time.Duration, limit int) ([]lease, error) {
	leases, err := query(ctx, s, `
		with free as (
			select chain_id, address from senders s
			where chain_id = @chain and state <> 'halted' and (lease_until is null or lease_until < now())
			and (exists (select from transactions t where t.chain_id = s.chain_id and t.sender = s.address and t.status = 'queued')
			  or exists (select from nonce_slots n where n.chain_id = s.chain_id and n.sender = s.address and n.state in ('open', 'mined')))
			order by address limit @limit for update skip locked)
		update senders s set lease_owner = @owner, lease_epoch = lease_epoch + 1, lease_until = now() + @ttl
		from free where s.chain_id = free.chain_id and s.address = free.address
		returning s.address, s.lease_epoch`,
		pgx.NamedArgs{"chain": s.chainID, "owner": owner, "ttl": ttl, "limit": limit},
		func(row pgx.CollectableRow) (lease, error) {
			var l lease
			var address []byte
			err := row.Scan(&address, &l.Epoch)
			l.Sender = common.BytesToAddress(address)
			return l, err
		})
	if err != nil {
		return nil, fmt.Errorf("acquire leases: %w", err)
	}
	return leases, nil
}

// RenewLeases prolongs leases and returns the senders whose lease still holds.
func (s *Store) RenewLeases(ctx context.Context, owner uuid.UUID, ttl time.Duration, leases []lease) ([]common.Address, error) {
	senders, epochs := make([]common.Address, len(leases)), make([]int64, len(leases))
	for i, l := range leases {
		senders[i], epochs[i] = l.Sender, l.Epoch
	}
	held, err := query(ctx, s, `
		update senders s set lease_until = now() + @ttl
		from (select a, e from unnest(@senders::bytea[], @epochs::bigint[]) as l (a, e) order by a) l
		where s.chain_id = @chain and s.address = l.a and s.lease_epoch = l.e and s.lease_owner = @owner and s.lease_until > now()
		returning s.address`,
		pgx.NamedArgs{"chain": s.chainID, "owner": owner, "ttl": ttl, "senders": addressBytes(senders), "epochs": epochs}, pgx.RowTo[[]byte])
	if err != nil {
		return nil, fmt.Errorf("renew leases: %w", err)
	}
	out := make([]common.Address, len(held))
	for i, b := range held {
		out[i] = common.BytesToAddress(b)
	}
	return out, nil
}

// ReleaseLease gives a lease back before it runs out.
func (s *Store) ReleaseLease(ctx context.Context, owner uuid.UUID, l lease) error {
	_, err := s.exec(ctx, `
		update senders set lease_until = null, lease_owner = null
		where chain_id = @chain and address = @sender and lease_owner = @owner and lease_epoch = @epoch`,
		pgx.NamedArgs{"chain": s.chainID, "sender": l.Sender[:], "owner": owner, "epoch": l.Epoch})
	if err != nil {
		return fmt.Errorf("release lease: %w", err)
	}
	return nil
}

// SetNextNonce raises next_nonce to what the chain shows; only the lease's
// holder may, and only while the sender has no open slot. It returns errFenced
// otherwise.
func (s *Store) SetNextNonce(ctx context.Context, l lease, from, to uint64) error {
	n, err := s.exec(ctx, `
		update senders set next_nonce = @to, low_water = @to, contacted_at = coalesce(contacted_at, now())
		where chain_id = @chain and address = @sender and lease_epoch = @epoch and next_nonce = @from and @to >= next_nonce
		and not exists (select from nonce_slots where chain_id = @chain and sender = @sender and state in ('open', 'mined'))`,
		pgx.NamedArgs{"chain": s.chainID, "sender": l.Sender[:], "epoch": l.Epoch, "from": int64(from), "to": int64(to)})
	if err != nil {
		return fmt.Errorf("set first nonce: %w", err)
	}
	if n != 1 {
		return errFenced
	}
	return nil
}

// --- accepting and reading ---

// acceptance is what the database gives a transaction when it accepts it.
type acceptance struct {
	Seq       int64
	CreatedAt time.Time
}

// Insert accepts a transaction: its row and its first event, in one statement.
// It returns false when the tenant's idempotency key is taken.
func (s *Store) Insert(ctx context.Context, id uuid.UUID, r Request, requestHash [32]byte) (acceptance, bool, error) {
	rows, err := query(ctx, s, `
		with accepted as (
			insert into transactions (id, tenant_id, chain_id, sender, recipient, value, data, gas, fees, access_list, idem_key, req_hash, reference, not_after)
			values (@id, @tenant, @chain, @sender, @recipient, @value::text::numeric, @data, @gas, @fees, @access_list, @idem_key, @req_hash, @reference, @not_after)
			on conflict (tenant_id, idem_key) where idem_key is not null do nothing
			returning id, seq, created_at),
		noted as (insert into tx_events (tx_id, type) select id, 'queued' from accepted)
		select seq, created_at from accepted`,
		pgx.NamedArgs{
			"id": id, "tenant": r.Tenant, "chain": s.chainID, "sender": r.Sender[:], "recipient": addressOrNull(r.To),
			"value": r.Value.String(), "data": r.Data, "gas": nullIfZero(int64(r.Gas)), "fees": jsonOrNull(r.Fees, r.Fees.IsZero()),
			"access_list": jsonOrNull(r.AccessList, len(r.AccessList) == 0), "idem_key": nullIfZero(r.IdempotencyKey),
			"req_hash": requestHash[:], "reference": nullIfZero(r.Reference), "not_after": nullIfZero(r.NotAfter),
		}, pgx.RowToStructByPos[acceptance])
	if err != nil {
		return acceptance{}, false, fmt.Errorf("accept transaction: %w", err)
	}
	if len(rows) == 0 {
		return acceptance{}, false, nil
	}
	return rows[0], true, nil
}

// requestHash returns the fingerprint stored with an idempotency key.
func (s *Store) requestHash(ctx context.Context, tenant, key string) (uuid.UUID, [32]byte, error) {
	type row struct {
		ID   uuid.UUID
		Hash []byte
	}
	rows, err := query(ctx, s, `select id, req_hash from transactions where tenant_id = @tenant and idem_key = @key`,
		pgx.NamedArgs{"tenant": tenant, "key": key}, pgx.RowToStructByPos[row])
	if err != nil {
		return uuid.Nil, [32]byte{}, fmt.Errorf("find idempotency key: %w", err)
	}
	if len(rows) == 0 {
		return uuid.Nil, [32]byte{}, ErrNotFound
	}
	return rows[0].ID, [32]byte(rows[0].Hash), nil
}

// selectTransaction reads everything a Transaction holds.
const selectTransaction = `
	select t.id, t.seq, t.tenant_id, t.chain_id, t.sender, t.recipient, t.value::text, t.data, t.gas, t.fees, t.access_list, t.idem_key, t.reference, t.not_after,
		t.status::text, t.substatus, t.created_at, t.updated_at, t.error, n.nonce, a.hash,
		r.hash, r.block_number, r.block_hash, r.status, r.gas_used, r.effective_gas_price::text, r.contract, r.final
	from transactions t
	left join nonce_slots n on n.tx_id = t.id and n.state <> 'stolen'
	left join lateral (
		select hash from attempts where chain_id = n.chain_id and sender = n.sender and nonce = n.nonce order by seq desc limit 1) a on true
	left join receipts r on r.tx_id = t.id`

// ByID reads one transaction of a tenant.
func (s *Store) ByID(ctx context.Context, tenant string, id uuid.UUID) (Transaction, error) {
	rows, err := query(ctx, s, selectTransaction+` where t.id = @id and t.tenant_id = @tenant and t.chain_id = @chain`,
		pgx.NamedArgs{"id": id, "tenant": tenant, "chain": s.chainID}, scanTransaction)
	if err != nil {
		return Transaction{}, fmt.Errorf("read transaction: %w", err)
	}
	if len(rows) == 0 {
		return Transaction{}, ErrNotFound
	}
	return rows[0], nil
}

// Filter chooses transactions of a list; zero fields do not filter.
type Filter struct {
	Tenant         string
	Sender         *common.Address
	Status         Status
	IdempotencyKey string
	Reference      string
	Before         int64 // only older ones: Transaction.Seq of the last one of the page before
	Limit          int
}

// List reads transactions, newest first.
func (s *Store) List(ctx context.Context, f Filter) ([]Transaction, error) {
	where := []string{"t.tenant_id = @tenant", "t.chain_id = @chain"}
	args := pgx.NamedArgs{"tenant": f.Tenant, "chain": s.chainID, "limit": f.Limit}
	add := func(use bool, condition, name string, value any) {
		if use {
			where = append(where, condition)
			args[name] = value
		}
	}
	if f.Sender != nil {
		add(true, "t.sender = @sender", "sender", f.Sender[:])
	}
	add(f.Status != "", "t.status = @status::transaction_status", "status", string(f.Status))
	add(f.IdempotencyKey != "", "t.idem_key = @key", "key", f.IdempotencyKey)
	add(f.Reference != "", "t.reference = @reference", "reference", f.Reference)
	add(f.Before > 0, "t.seq < @before", "before", f.Before)

	rows, err := query(ctx, s, selectTransaction+" where "+strings.Join(where, " and ")+" order by t.seq desc limit @limit", args, scanTransaction)
	if err != nil {
		return nil, fmt.Errorf("list transactions: %w", err)
	}
	return rows, nil
}

// Claimable reads the next queued transactions of a sender, in the order in
// which they get their nonces. A sender that is not active has none.
func (s *Store) Claimable(ctx context.Context, sender common.Address, limit int) ([]claimed, error) {
	rows, err := query(ctx, s, `
		select t.id, t.version, t.recipient, t.value::text, t.data, t.gas, t.fees, t.access_list, t.not_after <= now(), t.substatus
		from transactions t join senders s on s.chain_id = t.chain_id and s.address = t.sender
		where t.chain_id = @chain and t.sender = @sender and t.status = 'queued' and s.state = 'active'
		order by t.priority desc, t.seq limit @limit`,
		pgx.NamedArgs{"chain": s.chainID, "sender": sender[:], "limit": limit}, scanClaimed)
	if err != nil {
		return nil, fmt.Errorf("claim transactions: %w", err)
	}
	return rows, nil
}

// --- the fenced commit ---

// signedTx is a claimed transaction with its nonce and bytes.
type signedTx struct {
	id      uuid.UUID
	version int
	nonce   uint64
	raw     []byte
	hash    common.Hash
	fees    Fees
}

// Commit stores slots and signed bytes and moves next_nonce, in one SQL
// transaction. It changes nothing and returns errFenced unless the lease's epoch
// and next_nonce are as expected, and errClaimChanged unless every transaction
// is still as it was claimed. After any other error the outcome is unknown: the
// caller must read the slots again before it signs anything.
func (s *Store) Commit(ctx context.Context, l lease, txs []signedTx) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()

	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		args := commitArgs(s.chainID, l, txs)
		// The fence comes first: its row lock makes rival commits wait here.
		tag, err := tx.Exec(ctx, `
			update senders set next_nonce = next_nonce + @count
			where chain_id = @chain and address = @sender and lease_epoch = @epoch and next_nonce = @first and state = 'active'`, args)
		if err != nil {
			return err
		}
		if tag.RowsAffected() != 1 {
			return errFenced
		}
		tag, err = tx.Exec(ctx, `
			with signed as (
				update transactions t set status = 'signed', substatus = null, version = t.version + 1, updated_at = now()
				from unnest(@ids::uuid[], @versions::int[]) as c (id, version)
				where t.id = c.id and t.version = c.version and t.status = 'queued'
				returning t.id)
			insert into tx_events (tx_id, type, data)
			select i.id, 'signed', jsonb_build_object('nonce', i.nonce, 'hash', '0x' || encode(i.hash, 'hex'))
			from unnest(@ids::uuid[], @nonces::bigint[], @hashes::bytea[]) as i (id, nonce, hash) join signed on signed.id = i.id`, args)
		if err != nil {
			return err
		}
		if tag.RowsAffected() != int64(len(txs)) {
			return errClaimChanged
		}
		batch := &pgx.Batch{}
		batch.Queue(`
			insert into nonce_slots (chain_id, sender, nonce, tx_id)
			select @chain, @sender, nonce, id from unnest(@ids::uuid[], @nonces::bigint[]) as i (id, nonce)`, args)
		batch.Queue(`
			insert into attempts (chain_id, sender, nonce, raw, hash, fees)
			select @chain, @sender, nonce, raw, hash, fees
			from unnest(@nonces::bigint[], @raws::bytea[], @hashes::bytea[], @fees::jsonb[]) as i (nonce, raw, hash, fees)`, args)
		return tx.SendBatch(ctx, batch).Close()
	})
	if errors.Is(err, errFenced) || errors.Is(err, errClaimChanged) {
		return err
	}
	if err != nil {
		return fmt.Errorf("commit signed transactions: %w", storeError(err))
	}
	return nil
}

func commitArgs(chainID int64, l lease, txs []signedTx) pgx.NamedArgs {
	ids, versions, nonces := make([]uuid.UUID, len(txs)), make([]int32, len(txs)), make([]int64, len(txs))
	raws, hashes, fees := make([][]byte, len(txs)), make([][]byte, len(txs)), make([][]byte, len(txs))
	for i, t := range txs {
		ids[i], versions[i], nonces[i] = t.id, int32(t.version), int64(t.nonce)
		raws[i], hashes[i], fees[i] = t.raw, t.hash[:], mustJSON(t.fees)
	}
	return pgx.NamedArgs{
		"chain": chainID, "sender": l.Sender[:], "epoch": l.Epoch, "first": nonces[0], "count": len(txs),
		"ids": ids, "versions": versions, "nonces": nonces, "raws": raws, "hashes": hashes, "fees": fees,
	}
}

// --- ends before a nonce ---

// Refuse ends a queued transaction with a reason. It changes nothing when the
// transaction changed since it was claimed, or the lease was lost.
func (s *Store) Refuse(ctx context.Context, l lease, c claimed, reason Reason) error {
	return s.endQueued(ctx, l, c, StatusRejected, mustJSON(reason))
}

// Expire ends a queued transaction whose time is over, under the same conditions.
func (s *Store) Expire(ctx context.Context, l lease, c claimed) error {
	return s.endQueued(ctx, l, c, StatusExpired, nil)
}

func (s *Store) endQueued(ctx context.Context, l lease, c claimed, status Status, reason []byte) error {
	_, err := s.exec(ctx, `
		with ended as (
			update transactions set status = @status::transaction_status, substatus = null, error = @reason, version = version + 1, updated_at = now()
			where id = @id and version = @version and status = 'queued'
			and exists (select from senders where chain_id = @chain and address = @sender and lease_epoch = @epoch)
			returning id)
		insert into tx_events (tx_id, type, data) select id, @status, @reason from ended`,
		pgx.NamedArgs{"chain": s.chainID, "sender": l.Sender[:], "epoch": l.Epoch, "id": c.id, "version": c.version, "status": string(status), "reason": reason})
	if err != nil {
		return fmt.Errorf("end transaction as %s: %w", status, err)
	}
	return nil
}

// SetSubstatus notes why transactions wait; "" takes the note away. It is for
// the reader only and no decision depends on it.
func (s *Store) SetSubstatus(ctx context.Context, ids []uuid.UUID, substatus string) error {
	_, err := s.exec(ctx, `
		update transactions set substatus = @substatus, updated_at = now()
		where id = any(@ids) and substatus is distinct from @substatus and status in ('queued', 'signed', 'submitted')`,
		pgx.NamedArgs{"ids": ids, "substatus": nullIfZero(substatus)})
	if err != nil {
		return fmt.Errorf("note why transactions wait: %w", err)
	}
	return nil
}

// --- slots ---

// UnfinishedSlots reads the slots of a sender that are not final, with their
// attempts.
func (s *Store) UnfinishedSlots(ctx context.Context, sender common.Address) ([]*slot, error) {
	type row struct {
		Nonce     int64
		TxID      uuid.UUID
		Seq       int
		Raw, Hash []byte
		Sent      bool
		LastSent  *time.Time
		Substatus *string
	}
	rows, err := query(ctx, s, `
		select n.nonce, n.tx_id, a.seq, a.raw, a.hash, a.first_sent_at is not null, a.last_sent_at, t.substatus
		from nonce_slots n
		join attempts a on a.chain_id = n.chain_id and a.sender = n.sender and a.nonce = n.nonce
		join transactions t on t.id = n.tx_id
		where n.chain_id = @chain and n.sender = @sender and n.state in ('open', 'mined')
		order by n.nonce, a.seq`,
		pgx.NamedArgs{"chain": s.chainID, "sender": sender[:]}, pgx.RowToStructByPos[row])
	if err != nil {
		return nil, fmt.Errorf("read unfinished slots: %w", err)
	}
	var slots []*slot
	for _, r := range rows {
		if len(slots) == 0 || slots[len(slots)-1].nonce != uint64(r.Nonce) {
			slots = append(slots, &slot{nonce: uint64(r.Nonce), txID: r.TxID, waiting: deref(r.Substatus)})
		}
		last := slots[len(slots)-1]
		last.attempts = append(last.attempts, attempt{seq: r.Seq, raw: r.Raw, hash: common.BytesToHash(r.Hash)})
		last.sent = r.Sent
		last.lastSent = deref(r.LastSent)
	}
	return slots, nil
}

// sendRecord is what became of one offer to the node.
type sendRecord struct {
	txID    uuid.UUID
	hash    common.Hash
	taken   bool // the node has it
	code    int
	message string
}

// RecordSends notes offers to the node. Losing it in a crash of the database is
// harmless, the bytes are sent once more; so it does not wait for the disk.
func (s *Store) RecordSends(ctx context.Context, records []sendRecord) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()

	hashes, codes, messages := make([][]byte, len(records)), make([]int32, len(records)), make([]string, len(records))
	var taken []uuid.UUID
	for i, r := range records {
		hashes[i], codes[i], messages[i] = r.hash[:], int32(r.code), r.message
		if r.taken {
			taken = append(taken, r.txID)
		}
	}
	args := pgx.NamedArgs{"hashes": hashes, "codes": codes, "messages": messages, "taken": taken}
	batch := &pgx.Batch{}
	batch.Queue(`set local synchronous_commit = off`)
	batch.Queue(`
		update attempts a set first_sent_at = coalesce(first_sent_at, now()), last_sent_at = now(), send_count = send_count + 1,
			last_code = nullif(r.code, 0), last_message = nullif(r.message, '')
		from unnest(@hashes::bytea[], @codes::int[], @messages::text[]) as r (hash, code, message) where a.hash = r.hash`, args)
	batch.Queue(`
		with submitted as (
			update transactions set status = 'submitted', substatus = null, version = version + 1, updated_at = now()
			where id = any(@taken::uuid[]) and status = 'signed' returning id)
		insert into tx_events (tx_id, type) select id, 'submitted' from submitted`, args)
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return tx.SendBatch(ctx, batch).Close() })
	if err != nil {
		return fmt.Errorf("record sends: %w", storeError(err))
	}
	return nil
}

// settled is a slot with the receipt the chain gave.
type settled struct {
	txID    uuid.UUID
	nonce   uint64
	receipt Receipt
}

// Settle stores receipts: final ones end their transactions, others mark them
// as mined. lowWater is the nonce below which all is final. It needs no fence:
// a receipt is true whoever read it.
func (s *Store) Settle(ctx context.Context, sender common.Address, list []settled, lowWater uint64) error {
	n := len(list)
	ids, nonces, hashes, blocks, blockHashes := make([]uuid.UUID, n), make([]int64, n), make([][]byte, n), make([]int64, n), make([][]byte, n)
	success, gas, prices, contracts, final := make([]bool, n), make([]int64, n), make([]*string, n), make([][]byte, n), make([]bool, n)
	for i, e := range list {
		r := e.receipt
		ids[i], nonces[i], hashes[i], blocks[i], blockHashes[i] = e.txID, int64(e.nonce), r.Hash[:], int64(r.BlockNumber), r.BlockHash[:]
		success[i], gas[i], contracts[i], final[i] = r.Success, int64(r.GasUsed), addressOrNull(r.Contract), r.Final
		if r.EffectiveGasPrice != nil {
			price := r.EffectiveGasPrice.String()
			prices[i] = &price
		}
	}
	_, err := s.exec(ctx, `
		with seen as (
			select * from unnest(@ids::uuid[], @nonces::bigint[], @hashes::bytea[], @blocks::bigint[], @block_hashes::bytea[], @success::bool[], @gas::bigint[], @prices::text[], @contracts::bytea[], @final::bool[])
			as m (id, nonce, hash, block, block_hash, success, gas, price, contract, final)),
		slots as (
			update nonce_slots n set state = case when m.final then 'final' else 'mined' end::slot_state, final_hash = m.hash
			from seen m where n.chain_id = @chain and n.sender = @sender and n.nonce = m.nonce and n.tx_id = m.id and n.state in ('open', 'mined')
			returning m.*),
		kept as (
			insert into receipts (tx_id, hash, block_number, block_hash, status, gas_used, effective_gas_price, contract, final)
			select id, hash, block, block_hash, success::int, gas, price::numeric, contract, final from slots
			on conflict (tx_id) do update set hash = excluded.hash, block_number = excluded.block_number, block_hash = excluded.block_hash,
				status = excluded.status, gas_used = excluded.gas_used, effective_gas_price = excluded.effective_gas_price,
				contract = excluded.contract, final = excluded.final, recorded_at = now()),
		moved as (
			update transactions t set status = case when not m.final then 'mined' when m.success then 'confirmed' else 'reverted' end::transaction_status,
				substatus = null, version = t.version + 1, updated_at = now()
			from slots m where t.id = m.id
			returning t.id, t.status, m.block, m.hash),
		progress as (
			update senders set low_water = greatest(low_water, @low_water) where chain_id = @chain and address = @sender)
		insert into tx_events (tx_id, type, data)
		select id, status::text, jsonb_build_object('block', block, 'hash', '0x' || encode(hash, 'hex')) from moved`,
		pgx.NamedArgs{
			"chain": s.chainID, "sender": sender[:], "ids": ids, "nonces": nonces, "hashes": hashes, "blocks": blocks, "block_hashes": blockHashes,
			"success": success, "gas": gas, "prices": prices, "contracts": contracts, "final": final, "low_water": int64(lowWater),
		})
	if err != nil {
		return fmt.Errorf("settle transactions: %w", err)
	}
	return nil
}

// Unmine takes a mined slot back after a reorganisation.
func (s *Store) Unmine(ctx context.Context, sender common.Address, nonce uint64, id uuid.UUID) error {
	_, err := s.exec(ctx, `
		with slots as (
			update nonce_slots set state = 'open', final_hash = null
			where chain_id = @chain and sender = @sender and nonce = @nonce and tx_id = @id and state = 'mined' returning tx_id),
		gone as (delete from receipts where tx_id in (select tx_id from slots)),
		moved as (
			update transactions set status = 'submitted', version = version + 1, updated_at = now()
			where id in (select tx_id from slots) returning id)
		insert into tx_events (tx_id, type, data) select id, 'submitted', '{"after": "reorganisation"}' from moved`,
		pgx.NamedArgs{"chain": s.chainID, "sender": sender[:], "nonce": int64(nonce), "id": id})
	if err != nil {
		return fmt.Errorf("take back mined transaction: %w", err)
	}
	return nil
}

// MarkStolen ends a transaction whose nonce somebody else's transaction used.
// Only the lease's holder may.
func (s *Store) MarkStolen(ctx context.Context, l lease, nonce uint64, id uuid.UUID, reason Reason) error {
	n, err := s.exec(ctx, `
		with slots as (
			update nonce_slots n set state = 'stolen' from senders s
			where n.chain_id = @chain and n.sender = @sender and n.nonce = @nonce and n.tx_id = @id and n.state = 'open'
			and s.chain_id = n.chain_id and s.address = n.sender and s.lease_epoch = @epoch
			returning n.tx_id),
		moved as (
			update transactions set status = 'failed', substatus = null, error = @reason, version = version + 1, updated_at = now()
			where id in (select tx_id from slots) returning id)
		insert into tx_events (tx_id, type, data) select id, 'failed', @reason from moved`,
		pgx.NamedArgs{"chain": s.chainID, "sender": l.Sender[:], "nonce": int64(nonce), "id": id, "epoch": l.Epoch, "reason": mustJSON(reason)})
	if err != nil {
		return fmt.Errorf("mark stolen slot: %w", err)
	}
	if n != 1 {
		return errFenced
	}
	return nil
}

// --- rows and parameters ---

// claimed is a queued transaction as its driver read it.
type claimed struct {
	id        uuid.UUID
	version   int
	request   Request // without tenant, key and reference
	expired   bool
	substatus string
}

func scanClaimed(row pgx.CollectableRow) (claimed, error) {
	var c claimed
	var recipient, fees, accessList []byte
	var value string
	var gas *int64
	var expired *bool
	var substatus *string
	if err := row.Scan(&c.id, &c.version, &recipient, &value, &c.request.Data, &gas, &fees, &accessList, &expired, &substatus); err != nil {
		return c, err
	}
	c.expired, c.substatus = deref(expired), deref(substatus)
	return c, fillRequest(&c.request, recipient, value, gas, fees, accessList)
}

func fillRequest(r *Request, recipient []byte, value string, gas *int64, fees, accessList []byte) error {
	if recipient != nil {
		to := common.BytesToAddress(recipient)
		r.To = &to
	}
	r.Value, _ = new(big.Int).SetString(value, 10)
	r.Gas = uint64(deref(gas))
	if fees != nil {
		if err := json.Unmarshal(fees, &r.Fees); err != nil {
			return fmt.Errorf("read fees: %w", err)
		}
	}
	if accessList != nil {
		if err := json.Unmarshal(accessList, &r.AccessList); err != nil {
			return fmt.Errorf("read access list: %w", err)
		}
	}
	return nil
}

func scanTransaction(row pgx.CollectableRow) (Transaction, error) {
	var t Transaction
	var chainID int64
	var sender, recipient, fees, accessList, reason, hash []byte
	var value, status string
	var gas, nonce *int64
	var key, reference, substatus *string
	var notAfter *time.Time
	var r receiptColumns
	err := row.Scan(&t.ID, &t.Seq, &t.Request.Tenant, &chainID, &sender, &recipient, &value, &t.Request.Data, &gas, &fees, &accessList, &key, &reference, &notAfter,
		&status, &substatus, &t.CreatedAt, &t.UpdatedAt, &reason, &nonce, &hash,
		&r.hash, &r.block, &r.blockHash, &r.status, &r.gas, &r.price, &r.contract, &r.final)
	if err != nil {
		return t, err
	}
	t.ChainID, t.Status, t.Substatus = uint64(chainID), Status(status), deref(substatus)
	t.Request.Sender = common.BytesToAddress(sender)
	t.Request.IdempotencyKey, t.Request.Reference, t.Request.NotAfter = deref(key), deref(reference), deref(notAfter)
	if nonce != nil {
		n := uint64(*nonce)
		t.Nonce = &n
	}
	if hash != nil {
		h := common.BytesToHash(hash)
		t.Hash = &h
	}
	if reason != nil {
		t.Error = &Reason{}
		if err := json.Unmarshal(reason, t.Error); err != nil {
			return t, fmt.Errorf("read reason: %w", err)
		}
	}
	t.Receipt = r.receipt()
	return t, fillRequest(&t.Request, recipient, value, gas, fees, accessList)
}

type receiptColumns struct {
	hash, blockHash, contract []byte
	block, gas                *int64
	status                    *int16
	price                     *string
	final                     *bool
}

func (c receiptColumns) receipt() *Receipt {
	if c.hash == nil {
		return nil
	}
	r := &Receipt{
		Hash: common.BytesToHash(c.hash), BlockNumber: uint64(deref(c.block)), BlockHash: common.BytesToHash(c.blockHash),
		Success: deref(c.status) == 1, GasUsed: uint64(deref(c.gas)), Final: deref(c.final),
	}
	if c.price != nil {
		r.EffectiveGasPrice, _ = new(big.Int).SetString(*c.price, 10)
	}
	if c.contract != nil {
		a := common.BytesToAddress(c.contract)
		r.Contract = &a
	}
	return r
}

func addressBytes(list []common.Address) [][]byte {
	out := make([][]byte, len(list))
	for i := range list {
		out[i] = list[i][:]
	}
	return out
}

func addressOrNull(a *common.Address) []byte {
	if a == nil {
		return nil
	}
	return a[:]
}

// nullIfZero turns a zero value into SQL's null.
func nullIfZero[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

func jsonOrNull(v any, isNull bool) []byte {
	if isNull {
		return nil
	}
	return mustJSON(v)
}

// mustJSON marshals our own plain structs, which cannot fail.
func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		return []byte(strconv.Quote("unmarshallable"))
	}
	return b
}
