package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/slipwayhq/slipway/internal/audit"
	"github.com/slipwayhq/slipway/internal/failpoint"
	"github.com/slipwayhq/slipway/internal/signing"
	"github.com/slipwayhq/slipway/internal/telemetry"
)

// Deps are what the queue works with.
type Deps struct {
	Store *Store
	Node  Node
	Keys  signing.Keys
	// Admit decides about every request; nil lets in what the callers name.
	Admit Admitter
	// Audit is where acceptances and votes are written down; nil for nowhere.
	Audit   *audit.Log
	Metrics telemetry.Factory
	Log     *slog.Logger
}

// Queue accepts transactions and sees them through. Accepting and reading work
// as soon as Register was called; Run drives them.
type Queue struct {
	cfg      Config
	store    *Store
	node     Node
	keys     signing.Keys
	waiters  *waiters
	keeper   *keeper
	identity *identity
	intake   *gather[*entry]
	limits   *queueLimits
	admit    Admitter // nil: everything
	metrics  *metrics
	log      *slog.Logger
}

// New makes a queue; it talks to nobody.
func New(cfg Config, deps Deps) (*Queue, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("queue configuration: %w", err)
	}
	m := newMetrics(deps.Metrics)
	w := newWaiters()
	if deps.Audit != nil {
		deps.Store = deps.Store.audited(deps.Audit)
	}
	id := &identity{chainID: cfg.ChainID, node: deps.Node, store: deps.Store}
	return &Queue{
		identity: id,
		cfg:      cfg, store: deps.Store, node: deps.Node, keys: deps.Keys, waiters: w, metrics: m, log: deps.Log,
		intake: &gather[*entry]{write: deps.Store.insertBatch, most: maxIntake, atOnce: 1}, limits: &queueLimits{cfg: cfg, store: deps.Store}, admit: deps.Admit,
		keeper: &keeper{
			cfg: cfg, owner: uuid.New(), store: deps.Store, node: newSharedNode(deps.Node), identity: id, keys: deps.Keys, waiters: w, metrics: m, log: deps.Log,
			shared: shared{
				claims: &gather[*claim]{write: deps.Store.claimBatch, most: maxClaims, atOnce: 1}, commits: newCommits(deps.Store, m),
				settlements: &gather[*settlement]{write: deps.Store.settleBatch, most: maxSettlements, atOnce: 1}, sends: newSendRecorder(deps.Store, w, deps.Log),
			},
			wakeUp: make(chan struct{}, 1), drivers: map[common.Address]*running{},
		},
	}, nil
}

// Register makes the rows of the chain and of the keyring's accounts.
func (q *Queue) Register(ctx context.Context) error {
	if _, err := q.store.EnsureChain(ctx); err != nil {
		return err
	}
	signers := q.keys.Signers()
	accounts, refs := make([]common.Address, len(signers)), make([]string, len(signers))
	for i, s := range signers {
		accounts[i], refs[i] = s.Address(), string(s.Ref())
	}
	return q.store.EnsureSenders(ctx, accounts, refs)
}

// Run drives the transactions of this replica's senders until ctx ends. It
// begins once a node has shown the right chain; it fails with ErrOtherChain
// when a node shows another one.
func (q *Queue) Run(ctx context.Context) error {
	if known, err := q.identify(ctx); !known {
		return err
	}
	w := &watcher{
		cfg: q.cfg, node: q.node, log: q.log, metrics: q.metrics, drivers: q.keeper.current, identity: q.identity, halt: q.keeper.haltAll,
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { q.keeper.run(ctx); return nil })
	group.Go(func() error { q.keeper.sends.run(ctx); return nil })
	group.Go(func() error { w.run(ctx); return nil })
	old := &retention{keep: q.cfg.Retention, store: q.store, log: q.log}
	group.Go(func() error { old.run(ctx); return nil })
	return group.Wait()
}

// identify waits for a node and compares its chain with the configured id and
// the pinned genesis. It is false, without an error, when ctx ended before.
func (q *Queue) identify(ctx context.Context) (bool, error) {
	pause := backoff{first: 100 * time.Millisecond, most: 5 * time.Second}
	for ctx.Err() == nil {
		err := q.identity.check(ctx, 0)
		if err == nil || errors.Is(err, ErrOtherChain) {
			return err == nil, err
		}
		if ctx.Err() == nil {
			q.log.WarnContext(ctx, "waiting for a node", slog.Any("err", errors.Join(err, q.store.NoteUnreachable(ctx, q.cfg.BatchSize))))
			wait(ctx, pause.next(), nil)
		}
	}
	return false, nil
}

// Accepted is a transaction that is now the queue's responsibility.
type Accepted struct {
	Transaction
	// Replayed says that the same request was accepted before, under the same
	// idempotency key; the transaction is that one.
	Replayed bool
}

// Enqueue accepts a transaction. When it returns without an error the request
// is durable. It returns ErrUnknownSender, ErrKeyReused, ErrUnproven,
// ErrUnavailable or what kept the keys from saying whether they know the sender.
func (q *Queue) Enqueue(ctx context.Context, r Request) (Accepted, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Accepted{}, fmt.Errorf("make id: %w", err)
	}
	accepted, err := q.enqueue(ctx, id, r)
	q.metrics.accepted.WithLabelValues(acceptOutcome(accepted, err)).Inc()
	return accepted, err
}

// Watch waits until a transaction has a hash or has ended without one, or until
// ctx ends: then it returns the transaction as it is, with ctx's cause. It must
// be called once.
type Watch func(ctx context.Context) (Transaction, error)

// EnqueueWatched is Enqueue for callers who want the hash.
func (q *Queue) EnqueueWatched(ctx context.Context, r Request) (Accepted, Watch, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Accepted{}, nil, fmt.Errorf("make id: %w", err)
	}
	// Waiting begins before the transaction exists, so that no notice is missed.
	notices, leave := q.waiters.wait(id)
	accepted, err := q.enqueue(ctx, id, r)
	q.metrics.accepted.WithLabelValues(acceptOutcome(accepted, err)).Inc()
	if err != nil {
		leave()
		return Accepted{}, nil, err
	}
	if accepted.Replayed {
		leave()
		notices, leave = q.waiters.wait(accepted.ID)
	}
	return accepted, func(ctx context.Context) (Transaction, error) {
		defer leave()
		return q.waitSigned(ctx, accepted, notices)
	}, nil
}

// waitSigned waits for the notice, and looks from time to time.
func (q *Queue) waitSigned(ctx context.Context, a Accepted, notices <-chan notice) (Transaction, error) {
	t := a.Transaction
	for first := true; ; first = false {
		if !first || a.Replayed {
			var err error
			if t, err = q.Get(context.WithoutCancel(ctx), t.Request.Tenant, t.ID); err != nil {
				return t, err
			}
		}
		if t.Hash != nil || t.Status.IsEnd() {
			return t, nil
		}
		timer := time.NewTimer(pollEvery)
		select {
		case n := <-notices:
			timer.Stop()
			if n.signed != nil {
				t.Status, t.Nonce, t.Hash = StatusSigned, &n.signed.nonce, &n.signed.hash
				return t, nil
			}
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return t, context.Cause(ctx)
		}
	}
}

func acceptOutcome(a Accepted, err error) string {
	switch {
	case err == nil && a.Replayed:
		return "replayed"
	case err == nil:
		return "accepted"
	case errors.Is(err, ErrUnavailable):
		return "failed"
	default:
		return "refused"
	}
}

func (q *Queue) enqueue(ctx context.Context, id uuid.UUID, r Request) (Accepted, error) {
	e, err := q.entry(ctx, id, r)
	if err != nil {
		return q.acceptedBefore(ctx, e, err)
	}
	if err := q.limits.take(ctx, []Request{e.request}); err != nil {
		return Accepted{}, err
	}
	if err := q.intake.add(ctx, e); err != nil {
		return Accepted{}, err
	}
	failpoint.Hit("after_insert")
	if e.err != nil {
		return Accepted{}, q.noteRefused(ctx, e, e.err)
	}
	return q.accepted(ctx, e)
}

// acceptedBefore is the answer to a request that would not be accepted now: what
// was promised under its idempotency key stands.
func (q *Queue) acceptedBefore(ctx context.Context, e *entry, why error) (Accepted, error) {
	if e == nil || e.request.Tenant == "" || e.request.IdempotencyKey == "" {
		return Accepted{}, why
	}
	original, isKnown, err := q.store.AcceptedBefore(ctx, e)
	if err != nil || !isKnown {
		return Accepted{}, errors.Join(why, err)
	}
	e.isReplay, e.original = true, original
	return q.accepted(ctx, e)
}

// EnqueueAll accepts several transactions, or none of them. Its errors are
// those of Enqueue.
func (q *Queue) EnqueueAll(ctx context.Context, requests []Request) ([]Accepted, error) {
	entries, checked := make([]*entry, len(requests)), make([]Request, len(requests))
	for i, r := range requests {
		id, err := uuid.NewV7()
		if err != nil {
			return nil, fmt.Errorf("make id: %w", err)
		}
		if entries[i], err = q.entry(ctx, id, r); err != nil {
			return nil, fmt.Errorf("transaction %d: %w", i, err)
		}
		checked[i] = entries[i].request
	}
	if err := q.limits.take(ctx, checked); err != nil {
		return nil, err
	}
	if err := q.store.insertAll(ctx, entries, true); err != nil {
		q.metrics.accepted.WithLabelValues(acceptOutcome(Accepted{}, err)).Add(float64(len(entries)))
		for _, e := range entries {
			if e.err != nil {
				return nil, q.noteRefused(ctx, e, err)
			}
		}
		return nil, err
	}
	out := make([]Accepted, len(entries))
	for i, e := range entries {
		var err error
		if out[i], err = q.accepted(ctx, e); err != nil {
			return nil, err
		}
		q.metrics.accepted.WithLabelValues(acceptOutcome(out[i], nil)).Inc()
	}
	return out, nil
}

// entry checks a request and completes it. When it is not admitted there is an
// entry as well as an error.
func (q *Queue) entry(ctx context.Context, id uuid.UUID, r Request) (*entry, error) {
	switch _, err := q.keys.Signer(r.Sender); {
	case errors.Is(err, signing.ErrUnknownSigner):
		return nil, fmt.Errorf("%w %s", ErrUnknownSender, r.Sender)
	case err != nil:
		return nil, fmt.Errorf("look for the sender's key: %w", err)
	}
	r.Tenant = tenantOf(r.Tenant)
	if r.Value == nil {
		r.Value = new(big.Int)
	}
	if r.Data == nil {
		r.Data = []byte{}
	}
	e := &entry{id: id, request: r, fingerprint: r.fingerprint(q.cfg.ChainID)}
	if q.admit == nil {
		return e, nil
	}
	var err error
	e.admission, err = q.admit.Admit(ctx, r)
	e.request.Tenant = e.admission.Tenant
	return e, err
}

// accepted is what the caller gets for an entry that is in the database.
func (q *Queue) accepted(ctx context.Context, e *entry) (Accepted, error) {
	if e.isReplay {
		t, err := q.store.ByID(ctx, e.request.Tenant, e.original)
		return Accepted{Transaction: t, Replayed: true}, err
	}
	q.keeper.wake(e.request.Sender)
	t := Transaction{
		ID: e.id, Seq: e.at.Seq, ChainID: q.cfg.ChainID, Request: e.request, Status: StatusQueued, CreatedAt: e.at.CreatedAt, UpdatedAt: e.at.CreatedAt,
	}
	if e.admission.waits() {
		t.Status, t.Substatus = StatusSuspended, NeedsApproval
	}
	return Accepted{Transaction: t}, nil
}

// Get reads one transaction of a tenant.
func (q *Queue) Get(ctx context.Context, tenant string, id uuid.UUID) (Transaction, error) {
	return q.store.ByID(ctx, tenantOf(tenant), id)
}

// List reads transactions, newest first.
func (q *Queue) List(ctx context.Context, f Filter) ([]Transaction, error) {
	f.Tenant = tenantOf(f.Tenant)
	return q.store.List(ctx, f)
}

// Ping says whether the database answers.
func (q *Queue) Ping(ctx context.Context) error { return q.store.Ping(ctx) }

// Accounts lists the keyring's accounts, sorted.
func (q *Queue) Accounts() []common.Address {
	signers := q.keys.Signers()
	out := make([]common.Address, len(signers))
	for i, s := range signers {
		out[i] = s.Address()
	}
	return out
}

func tenantOf(name string) string { return cmp.Or(name, DefaultTenant) }
