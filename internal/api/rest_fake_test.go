package api

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"

	"github.com/slipwayhq/slipway/internal/queue"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/signing"
	"github.com/slipwayhq/slipway/internal/signing/local"
)

func (q *fakeQueue) EnqueueAll(ctx context.Context, list []queue.Request) ([]queue.Accepted, error) {
	before := slices.Clone(q.list)
	var out []queue.Accepted
	for i, r := range list {
		a, err := q.Enqueue(ctx, r)
		if err != nil {
			q.list = before
			return nil, fmt.Errorf("transaction %d: %w", i, err)
		}
		out = append(out, a)
	}
	return out, nil
}

func (q *fakeQueue) Wait(ctx context.Context, _ string, id uuid.UUID, until queue.Status) (queue.Transaction, error) {
	t, err := q.Get(ctx, "", id)
	if err != nil {
		return t, err
	}
	if q.onWait != nil {
		q.onWait()
	}
	if q.unsig {
		<-ctx.Done()
		return t, context.Cause(ctx)
	}
	if q.ended != nil {
		t.Status, t.Error = queue.StatusRejected, q.ended
		return t, nil
	}
	t.Status = until
	return t, nil
}

func (q *fakeQueue) ByHash(_ context.Context, _ string, hash common.Hash) (queue.Transaction, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, t := range q.list {
		if t.Hash != nil && *t.Hash == hash {
			return t, nil
		}
	}
	return queue.Transaction{}, queue.ErrNotFound
}

func (q *fakeQueue) History(ctx context.Context, tenant string, id uuid.UUID) ([]queue.Event, error) {
	if _, err := q.Get(ctx, tenant, id); err != nil {
		return nil, err
	}
	return []queue.Event{{ID: 1, TxID: id, At: time.Unix(1, 0), Type: "queued"}, {ID: 2, TxID: id, At: time.Unix(2, 0), Type: "rejected", Data: []byte(`{"code":"x"}`)}}, nil
}

func (q *fakeQueue) Explanation(context.Context, string, uuid.UUID) (queue.Explanation, error) {
	return q.explanation, nil
}

func (q *fakeQueue) NoteRevert(_ context.Context, _ string, _ uuid.UUID, r queue.RevertData) error {
	q.explanation.Revert = &r
	return nil
}

func (q *fakeQueue) change(id uuid.UUID, status queue.Status, from ...queue.Status) (queue.Transaction, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.IndexFunc(q.list, func(t queue.Transaction) bool { return t.ID == id })
	if i < 0 {
		return queue.Transaction{}, queue.ErrNotFound
	}
	if !slices.Contains(from, q.list[i].Status) {
		return queue.Transaction{}, fmt.Errorf("%w: it is %s", queue.ErrWrongStatus, q.list[i].Status)
	}
	q.list[i].Status = status
	return q.list[i], nil
}

func (q *fakeQueue) Cancel(_ context.Context, _ string, id uuid.UUID) (queue.Transaction, error) {
	return q.change(id, queue.StatusCancelled, queue.StatusQueued, queue.StatusSuspended)
}

func (q *fakeQueue) SpeedUp(_ context.Context, _ string, id uuid.UUID, fees queue.Fees) (queue.Transaction, error) {
	q.fees = append(q.fees, fees)
	return q.change(id, queue.StatusSubmitted, queue.StatusSubmitted)
}

func (q *fakeQueue) Suspend(_ context.Context, _ string, id uuid.UUID) (queue.Transaction, error) {
	return q.change(id, queue.StatusSuspended, queue.StatusQueued)
}

func (q *fakeQueue) Resume(_ context.Context, _ string, id uuid.UUID) (queue.Transaction, error) {
	return q.change(id, queue.StatusQueued, queue.StatusSuspended)
}

func (q *fakeQueue) Redrive(ctx context.Context, _ string, id uuid.UUID) (queue.Accepted, error) {
	t, err := q.change(id, queue.StatusCancelled, queue.StatusCancelled)
	if err != nil {
		return queue.Accepted{}, err
	}
	t.Request.IdempotencyKey = "redrive:" + id.String()
	return q.Enqueue(ctx, t.Request)
}

func (q *fakeQueue) Senders(context.Context) ([]queue.Sender, error) { return q.senders, nil }

func (q *fakeQueue) Sender(_ context.Context, a common.Address) (queue.Sender, error) {
	for _, s := range q.senders {
		if s.Address == a {
			return s, nil
		}
	}
	return queue.Sender{}, fmt.Errorf("%w %s", queue.ErrUnknownSender, a)
}

func (q *fakeQueue) SetSenderState(ctx context.Context, a common.Address, state queue.SenderState, reason string) error {
	if _, err := q.Sender(ctx, a); err != nil {
		return err
	}
	q.senders[0].State, q.senders[0].Reason = state, reason
	return nil
}

func (q *fakeQueue) Nonces(ctx context.Context, a common.Address) (queue.NonceReport, error) {
	s, err := q.Sender(ctx, a)
	return queue.NonceReport{Sender: s, Latest: 3, Pending: 4, Slots: []queue.OpenSlot{{Nonce: 3, Attempts: 1}}}, err
}

func (q *fakeQueue) Rebalance(context.Context) (int, error) { return 2, nil }

// testKeys are the first accounts of the development phrase: alice is one.
func testKeys() *signing.Keyring {
	signers, err := local.Accounts(local.Config{Mnemonic: secret.New("test test test test test test test test test test test junk"), Accounts: 1})
	if err != nil {
		panic(err)
	}
	return signing.NewKeyring(signers...)
}
