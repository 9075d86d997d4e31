package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/slipwayhq/slipway/internal/failpoint"
)

// wish is what an operator wants done with a transaction that has a nonce.
type wish string

const (
	wishCancel  wish = "cancel"
	wishSpeedUp wish = "speed_up"
)

// Events reads the history of a transaction, oldest first.
func (s *Store) Events(ctx context.Context, id uuid.UUID) ([]Event, error) {
	events, err := query(ctx, s, `select id, tx_id, at, type, data from tx_events where tx_id = @id order by id`,
		pgx.NamedArgs{"id": id}, pgx.RowToStructByPos[Event])
	if err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	return events, nil
}

// ByHash reads the transaction that an attempt's hash belongs to.
func (s *Store) ByHash(ctx context.Context, tenant string, hash common.Hash) (Transaction, error) {
	ids, err := query(ctx, s, `
		select t.id from attempts a
		join nonce_slots n on n.chain_id = a.chain_id and n.sender = a.sender and n.nonce = a.nonce
		join transactions t on t.id = n.tx_id
		where a.hash = @hash and a.chain_id = @chain and t.tenant_id = @tenant`,
		pgx.NamedArgs{"hash": hash[:], "chain": s.chainID, "tenant": tenant}, pgx.RowTo[uuid.UUID])
	if err != nil {
		return Transaction{}, fmt.Errorf("find transaction by hash: %w", err)
	}
	if len(ids) == 0 {
		return Transaction{}, ErrNotFound
	}
	return s.ByID(ctx, tenant, ids[0])
}

// MoveWaiting moves a transaction without a nonce from one status to another.
// It is false, and changes nothing, when the transaction has moved meanwhile.
func (s *Store) MoveWaiting(ctx context.Context, id uuid.UUID, from, to Status) (bool, error) {
	n, err := s.exec(ctx, `
		with moved as (
			update transactions set status = @to::transaction_status, substatus = null, version = version + 1, updated_at = now()
			where id = @id and status = @from::transaction_status and status in ('queued', 'suspended')
			and not (@to = 'queued' and substatus is not distinct from 'needs_approval') returning id)
		insert into tx_events (tx_id, type) select id, @to from moved`,
		pgx.NamedArgs{"id": id, "from": string(from), "to": string(to)})
	if err != nil {
		return false, fmt.Errorf("move transaction to %s: %w", to, err)
	}
	return n == 1, nil
}

// Wish notes what is wanted of a transaction with a nonce. A wish to cancel
// stays one. It is false when the transaction has moved meanwhile.
func (s *Store) Wish(ctx context.Context, id uuid.UUID, w wish, fees Fees) (bool, error) {
	n, err := s.exec(ctx, `
		update transactions set wish = case when wish = 'cancel' then wish else @wish::transaction_wish end, wish_fees = @fees,
			substatus = case when @wish = 'cancel' then @cancelling else substatus end, updated_at = now()
		where id = @id and status in ('signed', 'submitted')`,
		pgx.NamedArgs{"id": id, "wish": string(w), "fees": jsonOrNull(fees, fees.IsZero()), "cancelling": Cancelling})
	if err != nil {
		return false, fmt.Errorf("note wish: %w", err)
	}
	return n == 1, nil
}

// wished is a wish that its driver has to fulfil.
type wished struct {
	TxID uuid.UUID
	Wish wish
	Fees []byte
}

// Wishes reads the wishes for a sender's transactions.
func (s *Store) Wishes(ctx context.Context, sender common.Address) ([]wished, error) {
	list, err := query(ctx, s, `select id, wish::text, wish_fees from transactions where chain_id = @chain and sender = @sender and wish is not null limit 100`,
		pgx.NamedArgs{"chain": s.chainID, "sender": sender[:]}, pgx.RowToStructByPos[wished])
	if err != nil {
		return nil, fmt.Errorf("read wishes: %w", err)
	}
	return list, nil
}

// DropWish forgets a wish that cannot be fulfilled any more.
func (s *Store) DropWish(ctx context.Context, id uuid.UUID) error {
	_, err := s.exec(ctx, `update transactions set wish = null, wish_fees = null where id = @id and wish is not null`, pgx.NamedArgs{"id": id})
	if err != nil {
		return fmt.Errorf("forget wish: %w", err)
	}
	return nil
}

// replacement is another attempt for a slot.
type replacement struct {
	txID    uuid.UUID
	nonce   uint64
	seq     int
	purpose string // bump or cancel
	raw     []byte
	hash    common.Hash
	fees    Fees
}

// Replace stores another attempt for an open slot and fulfils the wish for it.
// It changes nothing and returns errFenced unless the lease holds, and
// errClaimChanged when the slot is not open any more. After any other error the
// outcome is unknown, as with Commit.
func (s *Store) Replace(ctx context.Context, l lease, r replacement) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	args := pgx.NamedArgs{
		"chain": s.chainID, "sender": l.Sender[:], "epoch": l.Epoch, "nonce": int64(r.nonce), "tx": r.txID, "seq": r.seq,
		"purpose": r.purpose, "raw": r.raw, "hash": r.hash[:], "fees": mustJSON(r.fees),
	}
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `select from senders where chain_id = @chain and address = @sender and lease_epoch = @epoch and state <> 'halted' for no key update`, args)
		if err != nil {
			return err
		}
		if tag.RowsAffected() != 1 {
			return errFenced
		}
		tag, err = tx.Exec(ctx, `
			insert into attempts (chain_id, sender, nonce, seq, purpose, raw, hash, fees)
			select chain_id, sender, nonce, @seq, @purpose::attempt_purpose, @raw, @hash, @fees from nonce_slots
			where chain_id = @chain and sender = @sender and nonce = @nonce and tx_id = @tx and state = 'open'`, args)
		if err != nil {
			return err
		}
		if tag.RowsAffected() != 1 {
			return errClaimChanged
		}
		_, err = tx.Exec(ctx, `
			with fulfilled as (
				update transactions set wish = null, wish_fees = null, version = version + 1, updated_at = now() where id = @tx returning id)
			insert into tx_events (tx_id, type, data)
			select id, case when @purpose = 'cancel' then 'cancelling' else 'replaced' end,
				jsonb_build_object('nonce', @nonce::bigint, 'hash', '0x' || encode(@hash::bytea, 'hex'), 'fees', @fees::jsonb) from fulfilled`, args)
		failpoint.Hit("during_bump_commit")
		return err
	})
	if err != nil && err != errFenced && err != errClaimChanged { //nolint:errorlint // our own, never wrapped
		return fmt.Errorf("store replacement: %w", storeError(err))
	}
	return err
}

// Senders reads one sender, or all.
func (s *Store) Senders(ctx context.Context, only *common.Address) ([]Sender, error) {
	list, err := query(ctx, s, `
		select s.address, s.key_ref, s.state::text, coalesce(s.state_reason, ''), s.next_nonce, s.low_water, s.window_size,
			coalesce(s.lease_owner::text, ''), case when s.lease_until > now() then s.lease_until end,
			(select count(*) from nonce_slots n where n.chain_id = s.chain_id and n.sender = s.address and n.state in ('open', 'mined')),
			(select count(*) from (select from transactions t where t.chain_id = s.chain_id and t.sender = s.address and t.is_queued limit @most) q)
		from senders s where s.chain_id = @chain and (@only::bytea is null or s.address = @only) order by s.address`,
		pgx.NamedArgs{"chain": s.chainID, "only": addressOrNull(only), "most": maxCounted},
		func(row pgx.CollectableRow) (Sender, error) {
			var o Sender
			var address []byte
			var next, low int64
			err := row.Scan(&address, &o.KeyRef, &o.State, &o.Reason, &next, &low, &o.Window, &o.LeaseOwner, &o.LeaseUntil, &o.Open, &o.Queued)
			o.Address, o.NextNonce, o.LowWater = common.BytesToAddress(address), uint64(next), uint64(low)
			if o.LeaseUntil == nil {
				o.LeaseOwner = ""
			}
			return o, err
		})
	if err != nil {
		return nil, fmt.Errorf("read senders: %w", err)
	}
	return list, nil
}

// SetSenderState changes a sender's state; it returns ErrUnknownSender.
func (s *Store) SetSenderState(ctx context.Context, address common.Address, state SenderState, reason string) error {
	n, err := s.exec(ctx, `
		update senders set state = @state::sender_state, state_reason = @reason where chain_id = @chain and address = @sender`,
		pgx.NamedArgs{"chain": s.chainID, "sender": address[:], "state": string(state), "reason": nullIfZero(reason)})
	if err != nil {
		return fmt.Errorf("change sender's state: %w", err)
	}
	if n == 0 {
		return fmt.Errorf("%w %s", ErrUnknownSender, address)
	}
	return nil
}

// PauseAll pauses the senders of all chains, for a database that was put back from
// a copy: what it holds as waiting may have been executed since the copy was made.
// It returns how many are paused now that were not before. No replica needs to run.
func PauseAll(ctx context.Context, pool *pgxpool.Pool, reason string) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	tag, err := pool.Exec(ctx, `
		update senders set state = 'paused', state_reason = $1 where state in ('active', 'draining')`, reason)
	if err != nil {
		return 0, fmt.Errorf("pause senders: %w", storeError(err))
	}
	return tag.RowsAffected(), nil
}

// HaltAll stops every sender of the chain: nothing is signed or sent for them
// until an operator has looked.
func (s *Store) HaltAll(ctx context.Context, reason string) error {
	_, err := s.exec(ctx, `
		update senders set state = 'halted', state_reason = @reason, lease_epoch = lease_epoch + 1, lease_owner = null, lease_until = null
		where chain_id = @chain and state <> 'halted'`, pgx.NamedArgs{"chain": s.chainID, "reason": reason})
	if err != nil {
		return fmt.Errorf("halt senders: %w", err)
	}
	return nil
}

// Appear notes that a replica lives, and forgets those that are long gone. It
// says how many senders with a holder there are for each living replica,
// rounded up.
func (s *Store) Appear(ctx context.Context, owner uuid.UUID, ttl time.Duration) (share int, err error) {
	rows, err := query(ctx, s, `
		with gone as (delete from replicas where chain_id = @chain and seen_at < now() - interval '10 minutes'),
		here as (
			insert into replicas (id, chain_id) values (@owner, @chain) on conflict (id) do update set seen_at = now() returning id)
		select ceil((select count(*) from senders where chain_id = @chain and lease_until > now())::numeric
			/ (1 + (select count(*) from replicas where chain_id = @chain and id <> @owner and seen_at > now() - @ttl::interval)))::int from here`,
		pgx.NamedArgs{"chain": s.chainID, "owner": owner, "ttl": ttl}, pgx.RowTo[int])
	if err != nil {
		return 0, fmt.Errorf("note that the replica lives: %w", err)
	}
	return rows[0], nil
}

// Disappear takes a replica out that stops.
func (s *Store) Disappear(ctx context.Context, owner uuid.UUID) error {
	_, err := s.exec(ctx, `delete from replicas where id = @owner`, pgx.NamedArgs{"owner": owner})
	if err != nil {
		return fmt.Errorf("take out replica: %w", err)
	}
	return nil
}
