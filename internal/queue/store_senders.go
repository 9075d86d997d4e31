package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

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

// lease is the right to drive a sender.
type lease struct {
	Sender common.Address
	Epoch  int64
}

// AcquireLeases takes the leases of up to limit senders that have work and no
// living holder, as far as they are the replica's share: with several replicas
// alive, none takes more than its part of all senders with work.
func (s *Store) AcquireLeases(ctx context.Context, owner uuid.UUID, ttl time.Duration, limit int) ([]lease, error) {
	leases, err := query(ctx, s, `
		with waiting as (
			select chain_id, address from senders s
			where chain_id = @chain and state <> 'halted' and (lease_until is null or lease_until < now())
			and (exists (select from transactions t where t.chain_id = s.chain_id and t.sender = s.address and t.is_queued)
			  or exists (select from nonce_slots n where n.chain_id = s.chain_id and n.sender = s.address and n.state in ('open', 'mined')))),
		share as (
			select ceil(((select count(*) from waiting) + count(*))::numeric / greatest(1, (
				select count(*) from replicas where chain_id = @chain and (id = @owner or seen_at > now() - @ttl::interval)))) - count(*) filter (where lease_owner = @owner) as rest
			from senders where chain_id = @chain and lease_until > now()),
		free as (
			select s.chain_id, s.address from senders s join waiting w using (chain_id, address)
			where s.lease_until is null or s.lease_until < now()
			order by s.address limit greatest(0, least(@limit, (select rest from share))) for update of s skip locked)
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
		where s.chain_id = @chain and s.address = l.a and s.lease_epoch = l.e and s.lease_owner = @owner and s.lease_until > now() and s.state <> 'halted'
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
