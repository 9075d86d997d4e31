package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"
)

// ErrWrongStatus says that an operation does not fit where the transaction
// stands; the text names the status.
var ErrWrongStatus = errors.New("not possible for a transaction in this status")

// Event is one entry of a transaction's history.
type Event struct {
	ID   int64
	TxID uuid.UUID
	At   time.Time
	// Type is the status that was reached, or what was done otherwise: replaced,
	// cancelling.
	Type string
	Data json.RawMessage // null where there is nothing to add
}

// History lists what became of a transaction, oldest first.
func (q *Queue) History(ctx context.Context, tenant string, id uuid.UUID) ([]Event, error) {
	if _, err := q.Get(ctx, tenant, id); err != nil {
		return nil, err
	}
	return q.store.Events(ctx, id)
}

// ByHash finds the transaction of a tenant that one of its attempts' hashes belongs to.
func (q *Queue) ByHash(ctx context.Context, tenant string, hash common.Hash) (Transaction, error) {
	return q.store.ByHash(ctx, tenantOf(tenant), hash)
}

// Cancel ends a transaction that has no nonce yet. One that has is asked to be
// replaced by a transfer of nothing to its own sender, at the same nonce: it
// ends as cancelled if the chain takes that one, and otherwise as whatever the
// chain says. It returns ErrNotFound or ErrWrongStatus.
func (q *Queue) Cancel(ctx context.Context, tenant string, id uuid.UUID) (Transaction, error) {
	return q.operate(ctx, tenant, id, func(t Transaction) (bool, error) {
		switch t.Status {
		case StatusQueued, StatusSuspended:
			return q.store.MoveWaiting(ctx, t.ID, t.Status, StatusCancelled)
		case StatusSigned, StatusSubmitted:
			return q.store.Wish(ctx, t.ID, wishCancel, Fees{})
		default:
			return false, wrongStatus(t)
		}
	})
}

// SpeedUp asks for a higher price for a transaction that has a nonce, and lets
// it be offered to the node again. Prices that are all nil are chosen by the fee
// policy, within its limits.
func (q *Queue) SpeedUp(ctx context.Context, tenant string, id uuid.UUID, fees Fees) (Transaction, error) {
	return q.operate(ctx, tenant, id, func(t Transaction) (bool, error) {
		if t.Status != StatusSigned && t.Status != StatusSubmitted {
			return false, wrongStatus(t)
		}
		return q.store.Wish(ctx, t.ID, wishSpeedUp, fees)
	})
}

// Suspend keeps a queued transaction back; those behind it go on.
func (q *Queue) Suspend(ctx context.Context, tenant string, id uuid.UUID) (Transaction, error) {
	return q.move(ctx, tenant, id, StatusQueued, StatusSuspended)
}

// Resume puts a suspended transaction back into its place in the queue.
func (q *Queue) Resume(ctx context.Context, tenant string, id uuid.UUID) (Transaction, error) {
	return q.move(ctx, tenant, id, StatusSuspended, StatusQueued)
}

func (q *Queue) move(ctx context.Context, tenant string, id uuid.UUID, from, to Status) (Transaction, error) {
	return q.operate(ctx, tenant, id, func(t Transaction) (bool, error) {
		switch t.Status {
		case to:
			return true, nil // done before
		case from:
			if t.Substatus == NeedsApproval {
				return false, fmt.Errorf("%w: it waits for approval", ErrWrongStatus)
			}
			return q.store.MoveWaiting(ctx, t.ID, from, to)
		default:
			return false, wrongStatus(t)
		}
	})
}

// operate lets do change a transaction and returns what came of it. Where the
// transaction moves at the same moment, it is looked at again.
func (q *Queue) operate(ctx context.Context, tenant string, id uuid.UUID, do func(Transaction) (bool, error)) (Transaction, error) {
	const tries = 5
	for range tries {
		t, err := q.Get(ctx, tenant, id)
		if err != nil {
			return t, err
		}
		isDone, err := do(t)
		if err != nil {
			return t, err
		}
		if isDone {
			q.keeper.wake(t.Request.Sender)
			q.waiters.tell(id, notice{})
			return q.Get(ctx, tenant, id)
		}
	}
	return Transaction{}, fmt.Errorf("%w: it keeps moving", ErrWrongStatus)
}

func wrongStatus(t Transaction) error { return fmt.Errorf("%w: it is %s", ErrWrongStatus, t.Status) }

// Redrive accepts the request of a transaction that ended without doing what
// was asked as a new one. Each transaction can be redriven once: asked again,
// the same new transaction is returned.
func (q *Queue) Redrive(ctx context.Context, tenant string, id uuid.UUID) (Accepted, error) {
	t, err := q.Get(ctx, tenant, id)
	if err != nil {
		return Accepted{}, err
	}
	if !t.Status.IsEnd() || t.Status == StatusConfirmed {
		return Accepted{}, wrongStatus(t)
	}
	again := t.Request
	again.IdempotencyKey = "redrive:" + id.String()
	again.RedriveOf = &id
	again.Nonce = nil // it is over: another transaction may have it
	again.NotAfter = time.Time{}
	again.IsProven = true // it was when it was accepted first
	return q.Enqueue(ctx, again)
}

// Wait waits until a transaction has got as far as a status (signed, submitted
// or mined), or has ended. When ctx ends before, it returns the transaction as
// it is, with ctx's cause.
func (q *Queue) Wait(ctx context.Context, tenant string, id uuid.UUID, until Status) (Transaction, error) {
	for {
		notices, leave := q.waiters.wait(id)
		t, err := q.Get(context.WithoutCancel(ctx), tenant, id)
		if err != nil || hasReached(t.Status, until) {
			leave()
			return t, err
		}
		timer := time.NewTimer(pollEvery)
		select {
		case <-notices:
		case <-timer.C:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		timer.Stop()
		leave()
		if err != nil {
			return t, err
		}
	}
}

// hasReached says whether a status is as far as another, or an end.
func hasReached(at, until Status) bool {
	way := map[Status]int{StatusSigned: 1, StatusSubmitted: 2, StatusMined: 3}
	return at.IsEnd() || way[at] >= way[until] && way[at] > 0
}

// SenderState says whether a sender's transactions get nonces.
type SenderState string

// The states of a sender.
const (
	SenderActive SenderState = "active"
	// SenderPaused accepts, but signs nothing new. What is signed goes on.
	SenderPaused SenderState = "paused"
	// SenderDraining accepts nothing and works off what it has.
	SenderDraining SenderState = "draining"
	// SenderHalted is touched by nothing: its chain is not the one it was. Only
	// an operator leads out of it.
	SenderHalted SenderState = "halted"
)

// Sender is where an account stands.
type Sender struct {
	Address    common.Address
	KeyRef     string
	State      SenderState
	Reason     string // why it is in this state, "" for none
	NextNonce  uint64
	LowWater   uint64 // every nonce below is final
	Open       int    // nonces given out that are not final
	Queued     int    // counted up to maxCounted
	Window     int    // most open nonces at a time
	LeaseOwner string // the replica that drives it, "" for none
	LeaseUntil *time.Time
}

// maxCounted is how far queued transactions are counted for a report.
const maxCounted = 100_000

// Senders lists all senders of the chain, sorted by address.
func (q *Queue) Senders(ctx context.Context) ([]Sender, error) { return q.store.Senders(ctx, nil) }

// Sender reads one; it returns ErrUnknownSender.
func (q *Queue) Sender(ctx context.Context, address common.Address) (Sender, error) {
	list, err := q.store.Senders(ctx, &address)
	if err != nil {
		return Sender{}, err
	}
	if len(list) == 0 {
		return Sender{}, fmt.Errorf("%w %s", ErrUnknownSender, address)
	}
	return list[0], nil
}

// SetSenderState moves a sender to active, paused or draining, with a reason
// for the reader.
func (q *Queue) SetSenderState(ctx context.Context, address common.Address, state SenderState, reason string) error {
	if state != SenderActive && state != SenderPaused && state != SenderDraining {
		return fmt.Errorf("%w: a sender can be made active, paused or draining, not %q", ErrWrongStatus, state)
	}
	if err := q.store.SetSenderState(ctx, address, state, reason); err != nil {
		return err
	}
	q.keeper.wake(address)
	return nil
}

// NonceReport compares what the database and the chain know of a sender's nonces.
type NonceReport struct {
	Sender
	Latest  uint64 // transactions of the sender in blocks
	Pending uint64 // with those in the node's pool
	Slots   []OpenSlot
}

// OpenSlot is a nonce that is not final.
type OpenSlot struct {
	Nonce    uint64
	TxID     uuid.UUID
	Hash     common.Hash // of the newest attempt
	Attempts int
	LastSent *time.Time // nil: never offered to the node
}

// Nonces reports on a sender's nonces. It asks the node.
func (q *Queue) Nonces(ctx context.Context, address common.Address) (NonceReport, error) {
	sender, err := q.Sender(ctx, address)
	if err != nil {
		return NonceReport{}, err
	}
	report := NonceReport{Sender: sender}
	slots, err := q.store.UnfinishedSlots(ctx, address)
	if err != nil {
		return report, err
	}
	for _, s := range slots {
		open := OpenSlot{Nonce: s.nonce, TxID: s.txID, Hash: s.newest().hash, Attempts: len(s.attempts)}
		if !s.lastSent.IsZero() {
			open.LastSent = &s.lastSent
		}
		report.Slots = append(report.Slots, open)
	}
	counts := q.node.Nonces(ctx, []common.Address{address})[0]
	report.Latest, report.Pending = counts.Latest, counts.Pending
	return report, counts.Err
}

// Rebalance gives away the senders that this replica has beyond its share, and
// says how many. The others take them at once.
func (q *Queue) Rebalance(ctx context.Context) (int, error) { return q.keeper.shed(ctx) }
