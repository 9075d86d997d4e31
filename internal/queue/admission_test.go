package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/audit"
	"github.com/slipwayhq/slipway/internal/policy"
	"github.com/slipwayhq/slipway/internal/telemetry"
)

// rules admits by a policy, for the tenant that the request names.
type rules struct {
	policy    atomic.Pointer[policy.Policy]
	submitter string
}

func (a *rules) Admit(_ context.Context, r Request) (Admission, error) {
	d := a.policy.Load().Decide(policy.Request{
		Kind: policy.KindTransaction, Tenant: r.Tenant, Caller: a.submitter, Sender: r.Sender, To: r.To, Value: r.Value, Gas: r.Gas, Data: r.Data,
	})
	out := Admission{Tenant: r.Tenant, Submitter: a.submitter, Decision: &d, Audit: audit.Entry{Tenant: r.Tenant, Actor: a.submitter, Action: "transaction.submit", Decision: string(d.Outcome)}}
	if d.Stops() {
		return out, &policy.DeniedError{Decision: d}
	}
	return out, nil
}

func (a *rules) set(t *testing.T, isDry bool, list ...policy.Rule) {
	t.Helper()
	p, err := policy.New(policy.Config{DryRun: isDry, Rules: list})
	require.NoError(t, err)
	a.policy.Store(p)
}

// guarded makes a replica with rules and an audit log.
func (b *bundle) guarded(t *testing.T, list ...policy.Rule) (*Queue, *rules) {
	t.Helper()
	a := &rules{submitter: "key:portal"}
	a.set(t, false, list...)
	q, err := New(b.cfg, Deps{
		Store: NewStore(b.pool, testChain), Node: b.chain, Keys: b.keys, Admit: a, Audit: audit.New(b.pool),
		Metrics: telemetry.NewFactory(), Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	require.NoError(t, q.Register(t.Context()))
	return q, a
}

func limited(limits ...policy.Limit) policy.Rule {
	return policy.Rule{ID: "limited", Effect: policy.EffectAllow, Limits: limits}
}

func hourly(n uint64) policy.Limit { return policy.Limit{Period: time.Hour, Count: &n} }

// A hundred requests at the same time, on two replicas, by three senders: ten
// are let through, whichever.
func TestAdmission_AWindowIsNeverExceeded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, _ := b.guarded(t, limited(hourly(10)))
	second, _ := b.guarded(t, limited(hourly(10)))
	var accepted, full, other atomic.Int32
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			q := []*Queue{first, second}[i%2]
			_, err := q.Enqueue(t.Context(), b.request(i%3, fmt.Sprint(i)))
			var limit *policy.LimitError
			switch {
			case err == nil:
				accepted.Add(1)
			case errors.As(err, &limit):
				full.Add(1)
			default:
				other.Add(1)
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 10, accepted.Load())
	require.EqualValues(t, 90, full.Load())
	list, err := first.List(t.Context(), Filter{Limit: 200})
	require.NoError(t, err)
	require.Len(t, list, 10)
	report, err := audit.New(b.pool).Verify(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 100, report.Rows, "who was refused is in the log as well")
}

// Lists and single requests, values and counts, on two replicas at once.
func TestAdmission_SumsAreNeverExceeded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ceiling := policy.Wei(big.NewInt(1000))
	first, _ := b.guarded(t, limited(policy.Limit{Period: time.Hour, Per: policy.PerTenant, Value: ceiling}))
	second, _ := b.guarded(t, limited(policy.Limit{Period: time.Hour, Per: policy.PerTenant, Value: ceiling}))
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			q := []*Queue{first, second}[i%2]
			r := b.request(i%3, fmt.Sprint(i))
			r.Value = big.NewInt(int64(30 + i))
			var err error
			if i%4 == 0 {
				_, err = q.EnqueueAll(t.Context(), []Request{r, r})
			} else {
				_, err = q.Enqueue(t.Context(), r)
			}
			var limit *policy.LimitError
			if err != nil && !errors.As(err, &limit) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	var sum, used string
	require.NoError(t, b.pool.QueryRow(t.Context(), `select sum(value)::text from transactions`).Scan(&sum))
	require.NoError(t, b.pool.QueryRow(t.Context(), `select sum(value)::text from policy_usage`).Scan(&used))
	require.Equal(t, sum, used, "what was let through is what was counted")
	total, _ := new(big.Int).SetString(sum, 10)
	require.LessOrEqual(t, total.Int64(), int64(1000))
	require.Greater(t, total.Int64(), int64(900), "nothing was refused that would have fit")
}

func TestAdmission_ARepetitionIsNotChargedAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q, a := b.guarded(t, limited(hourly(1)))
	r := b.request(0, "once")
	r.IdempotencyKey = "k"
	original, err := q.Enqueue(t.Context(), r)
	require.NoError(t, err)

	again, err := q.Enqueue(t.Context(), r)
	require.NoError(t, err)
	require.True(t, again.Replayed)
	require.Equal(t, original.ID, again.ID)
	_, err = q.Enqueue(t.Context(), b.request(0, "more"))
	require.ErrorContains(t, err, "no more requests")

	// Rules that came later do not unmake what was promised.
	a.set(t, false, policy.Rule{ID: "no", Effect: policy.EffectDeny})
	again, err = q.Enqueue(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, original.ID, again.ID)
	r.Data = []byte("something else")
	_, err = q.Enqueue(t.Context(), r)
	require.ErrorContains(t, err, "denied by no")
}

func TestAdmission_AWindowSlides(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q, _ := b.guarded(t, limited(hourly(2)))
	for range 2 {
		_, err := q.Enqueue(t.Context(), b.request(0, "x"))
		require.NoError(t, err)
	}
	_, err := q.Enqueue(t.Context(), b.request(0, "x"))
	var full *policy.LimitError
	require.ErrorAs(t, err, &full)
	require.Equal(t, time.Minute, full.RetryAfter())

	// An hour later; a minute before it is over everything still counts.
	_, err = b.pool.Exec(t.Context(), `update policy_usage set bucket = bucket - 60`)
	require.NoError(t, err)
	_, err = q.Enqueue(t.Context(), b.request(0, "x"))
	require.ErrorAs(t, err, &full)
	_, err = b.pool.Exec(t.Context(), `update policy_usage set bucket = bucket - 1, ends_at = now() - interval '1 second'`)
	require.NoError(t, err)
	_, err = q.Enqueue(t.Context(), b.request(0, "x"))
	require.NoError(t, err)
	var rows int
	require.NoError(t, b.pool.QueryRow(t.Context(), `select count(*) from policy_usage`).Scan(&rows))
	require.Equal(t, 1, rows, "what counts no more is forgotten")
}

func TestAdmission_WhatNeverFitsIsDenied(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q, a := b.guarded(t, limited(policy.Limit{Period: time.Hour, Value: policy.Wei(big.NewInt(5))}))
	r := b.request(0, "x")
	r.Value = big.NewInt(6)

	_, err := q.Enqueue(t.Context(), r)
	var denied *policy.DeniedError
	require.ErrorAs(t, err, &denied)
	_, err = q.EnqueueAll(t.Context(), []Request{b.request(0, "y"), r})
	require.ErrorAs(t, err, &denied)
	list, err := q.List(t.Context(), Filter{Limit: 9})
	require.NoError(t, err)
	require.Empty(t, list)

	a.set(t, true, limited(policy.Limit{Period: time.Hour, Value: policy.Wei(big.NewInt(5))}))
	accepted, err := q.Enqueue(t.Context(), r)
	require.NoError(t, err, "a dry run lets it through")
	decision, err := q.Decision(t.Context(), "", accepted.ID)
	require.NoError(t, err)
	require.Contains(t, string(decision), `"deny"`)
	require.Contains(t, string(decision), `"dryRun": true`)
}

// One entry that the database refuses must not make another one, which was
// refused for itself, look accepted.
func TestIntake_EveryEntryKeepsItsOwnRefusal(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q := b.queue(t)
	taken := b.request(0, "first")
	taken.IdempotencyKey = "k"
	_, err := q.Enqueue(t.Context(), taken)
	require.NoError(t, err)
	taken.Data = []byte("second")
	reused, err := q.entry(t.Context(), uuid.New(), taken)
	require.NoError(t, err)
	bad := b.request(0, "bad")
	bad.Value = big.NewInt(-1)
	poison, err := q.entry(t.Context(), uuid.New(), bad)
	require.NoError(t, err)

	q.store.insertBatch(t.Context(), []*entry{reused, poison})

	require.ErrorIs(t, reused.err, ErrKeyReused)
	require.Error(t, poison.err)
}

func asks(n int, approvers ...string) policy.Rule {
	r := policy.Rule{ID: "two eyes", Effect: policy.EffectApproval, Approvals: n}
	if len(approvers) > 0 {
		r.Approvers = approvers
	}
	return r
}

func TestApproval_NAgree(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q, _ := b.guarded(t, asks(2))
	defer b.run(t, q)()
	accepted, err := q.Enqueue(t.Context(), b.request(0, "x"))
	require.NoError(t, err)
	require.Equal(t, StatusSuspended, accepted.Status)
	require.Equal(t, NeedsApproval, accepted.Substatus)

	yes := func(who string) Vote {
		return Vote{Approver: who, Approves: true, Audit: audit.Entry{Actor: who, Action: "approval.approve"}}
	}
	_, err = q.Resume(t.Context(), "", accepted.ID)
	require.ErrorIs(t, err, ErrWrongStatus, "nobody resumes what needs approval")
	_, err = q.Vote(t.Context(), "", accepted.ID, yes("key:portal"))
	require.ErrorIs(t, err, ErrOwnApproval)
	_, err = q.Vote(t.Context(), "other", accepted.ID, yes("key:a"))
	require.ErrorIs(t, err, ErrNotFound)
	for range 2 {
		got, err := q.Vote(t.Context(), "", accepted.ID, yes("key:a"))
		require.NoError(t, err)
		require.Equal(t, StatusSuspended, got.Status, "one who says it twice is one")
	}
	pending, err := q.Pending(t.Context(), "", 0, 10)
	require.NoError(t, err)
	require.Len(t, pending, 1)
	require.Equal(t, "key:portal", pending[0].Submitter)
	require.Len(t, pending[0].Votes, 1)
	require.Equal(t, 2, pending[0].Needs[0].Count)
	others, err := q.Pending(t.Context(), "other", 0, 10)
	require.NoError(t, err)
	require.Empty(t, others)

	_, err = q.Vote(t.Context(), "", accepted.ID, yes("key:b"))
	require.NoError(t, err)
	done := until(t, q, accepted.ID, hasStatus(StatusConfirmed))
	require.Empty(t, done.Substatus)
	require.Equal(t, []string{"queued", "suspended", "approved", "approved", "approved", "queued", "signed", "submitted", "confirmed"}, b.events(t, accepted.ID))
	_, err = q.Vote(t.Context(), "", accepted.ID, yes("key:c"))
	require.ErrorIs(t, err, ErrWrongStatus)
	report, err := audit.New(b.pool).Verify(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 4, report.Rows, "the acceptance and three votes; votes that did not count left nothing")
}

func TestApproval_OneRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q, _ := b.guarded(t, asks(1, "key:a", "key:b"))
	defer b.run(t, q)()
	accepted, watch, err := q.EnqueueWatched(t.Context(), b.request(0, "x"))
	require.NoError(t, err)
	no := Vote{Approver: "key:c", Reason: "who is that?"}
	_, err = q.Vote(t.Context(), "", accepted.ID, no)
	require.ErrorIs(t, err, ErrNotApprover)
	no.Approver = "key:b"

	got, err := q.Vote(t.Context(), "", accepted.ID, no)

	require.NoError(t, err)
	require.Equal(t, StatusCancelled, got.Status)
	require.Equal(t, ApprovalRejected, got.Substatus)
	seen, err := watch(t.Context())
	require.NoError(t, err)
	require.Equal(t, StatusCancelled, seen.Status, "who waits for the hash is told")
}

// Approvers vote at the same time as the submitter cancels: the transaction is
// either executed or cancelled, and moves once.
func TestApproval_AgainstCancel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q, _ := b.guarded(t, asks(2))
	for i := range 10 {
		accepted, err := q.Enqueue(t.Context(), b.request(i%3, fmt.Sprint(i)))
		require.NoError(t, err)
		var all sync.WaitGroup
		for _, who := range []string{"key:a", "key:b", "key:c"} {
			all.Go(func() {
				if _, err := q.Vote(t.Context(), "", accepted.ID, Vote{Approver: who, Approves: true}); err != nil && !errors.Is(err, ErrWrongStatus) {
					t.Error(err)
				}
			})
		}
		all.Go(func() { _, _ = q.Cancel(t.Context(), "", accepted.ID) })
		all.Wait()
		got, err := q.Get(t.Context(), "", accepted.ID)
		require.NoError(t, err)
		require.Contains(t, []Status{StatusQueued, StatusCancelled}, got.Status)
	}
}

func TestCharge_WhatIsSignedElsewhere(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q, a := b.guarded(t, limited(hourly(3)))
	d := a.policy.Load().Decide(policy.Request{Kind: policy.KindMessage})
	require.NoError(t, q.Charge(t.Context(), d))
	require.NoError(t, q.Charge(t.Context(), d))
	_, err := q.Enqueue(t.Context(), b.request(0, "x"))
	require.NoError(t, err, "messages and transactions share the window")

	err = q.Charge(t.Context(), d)

	var full *policy.LimitError
	require.ErrorAs(t, err, &full)
	require.NoError(t, q.Charge(t.Context(), policy.Decision{}), "nothing to count")
}

// What waits for people is bounded as well: nobody may fill the database with it.
func TestApproval_WhatWaitsIsBounded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.cfg.MaxQueuedPerTenant = 3
	first, _ := b.guarded(t, asks(1))
	for i := range 3 {
		_, err := first.Enqueue(t.Context(), b.request(0, fmt.Sprint(i)))
		require.NoError(t, err)
	}
	second, _ := b.guarded(t, asks(1)) // it has counted nothing itself

	_, err := second.Enqueue(t.Context(), b.request(0, "more"))

	var full *FullError
	require.ErrorAs(t, err, &full)
}
