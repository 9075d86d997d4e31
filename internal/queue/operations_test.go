package queue

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func (b *bundle) enqueue(t *testing.T, q *Queue, sender int, data string) uuid.UUID {
	t.Helper()
	accepted, err := q.Enqueue(t.Context(), b.request(sender, data))
	require.NoError(t, err)
	return accepted.ID
}

func TestQueue_CancelsWhatHasNoNonce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q := b.queue(t)
	first, second := b.enqueue(t, q, 0, "first"), b.enqueue(t, q, 0, "second")

	cancelled, err := q.Cancel(t.Context(), "", first)
	require.NoError(t, err)
	require.Equal(t, StatusCancelled, cancelled.Status)
	_, err = q.Cancel(t.Context(), "", first)
	require.ErrorIs(t, err, ErrWrongStatus)
	_, err = q.Cancel(t.Context(), "", uuid.New())
	require.ErrorIs(t, err, ErrNotFound)
	_, err = q.Cancel(t.Context(), "somebody else", second)
	require.ErrorIs(t, err, ErrNotFound)

	b.run(t, q)
	last := until(t, q, second, hasStatus(StatusConfirmed))
	require.Zero(t, *last.Nonce, "no nonce was spent for the cancelled one")
	require.Equal(t, []string{"queued", "cancelled"}, b.events(t, first))
	require.Zero(t, b.chain.executed["first"])
}

// Gas that costs nothing, and gas that does: the cancelling transaction takes the
// nonce, what is behind goes on, and the cancelled one never executes.
func TestQueue_CancelsWhatIsInThePool(t *testing.T) {
	t.Parallel()
	for name, price := range map[string]int64{"free": 0, "priced": 100} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.chain.set(func(c *fakeChain) { c.paused, c.price = true, price })
			q, _ := b.start(t)
			first, second := b.enqueue(t, q, 0, "first"), b.enqueue(t, q, 0, "second")
			was := until(t, q, first, hasStatus(StatusSubmitted))
			until(t, q, second, hasStatus(StatusSubmitted))

			_, err := q.Cancel(t.Context(), "", first)
			require.NoError(t, err)
			until(t, q, first, func(now Transaction) bool { return *now.Hash != *was.Hash })
			b.chain.set(func(c *fakeChain) { c.paused = false })

			ended := until(t, q, first, hasStatus(StatusCancelled))
			require.Equal(t, *ended.Hash, ended.Receipt.Hash)
			until(t, q, second, hasStatus(StatusConfirmed))
			b.chain.mu.Lock()
			defer b.chain.mu.Unlock()
			require.Equal(t, map[string]int{"": 1, "second": 1}, b.chain.executed)
		})
	}
}

// The chain decides: when the original is mined, that is what is said.
func TestQueue_ACancellationCanComeTooLate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.chain.set(func(c *fakeChain) { c.paused, c.price = true, 100 })
	q, stop := b.start(t)
	id := b.enqueue(t, q, 0, "x")
	until(t, q, id, hasStatus(StatusSubmitted))
	stop()
	b.chain.set(func(c *fakeChain) { c.paused = false; c.mine() })

	_, err := q.Cancel(t.Context(), "", id)
	require.NoError(t, err)
	q, _ = b.start(t)

	until(t, q, id, hasStatus(StatusConfirmed))
	_, err = q.Cancel(t.Context(), "", id)
	require.ErrorIs(t, err, ErrWrongStatus)
}

func TestQueue_RaisesThePriceOfWhatNoBlockTakes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.cfg.FeeMode, b.cfg.BumpAfter = FeeMarket, time.Second
	b.chain.set(func(c *fakeChain) { c.price, c.minTip = 100, 120 })
	q, _ := b.start(t)
	first, second := b.enqueue(t, q, 0, "first"), b.enqueue(t, q, 0, "second")

	confirmed := until(t, q, first, hasStatus(StatusConfirmed))
	require.Equal(t, *confirmed.Hash, confirmed.Receipt.Hash)
	require.Contains(t, b.events(t, first), "replaced")
	found, err := q.ByHash(t.Context(), "", confirmed.Receipt.Hash)
	require.NoError(t, err)
	require.Equal(t, first, found.ID)
	until(t, q, second, hasStatus(StatusConfirmed))
	require.Equal(t, 1, b.chain.executed["first"])
}

func TestQueue_RaisesNoPriceBeyondTheLimit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.cfg.FeeMode, b.cfg.BumpAfter, b.cfg.MaxFeePerGas = FeeMarket, time.Second, 105
	b.chain.set(func(c *fakeChain) { c.price, c.minTip = 100, 120 })
	q, _ := b.start(t)
	id := b.enqueue(t, q, 0, "x")

	capped := until(t, q, id, func(now Transaction) bool { return now.Substatus == WaitingAtCap })
	require.Equal(t, StatusSubmitted, capped.Status)
	b.chain.set(func(c *fakeChain) { c.minTip = 0 })
	until(t, q, id, hasStatus(StatusConfirmed))
}

func TestQueue_WaitsWhileGasIsTooDear(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.cfg.FeeMode, b.cfg.MaxFeePerGas = FeeMarket, 105
	b.chain.set(func(c *fakeChain) { c.price = 200 })
	q, _ := b.start(t)
	id := b.enqueue(t, q, 0, "x")
	until(t, q, id, func(now Transaction) bool { return now.Status == StatusQueued && now.Substatus == WaitingAtCap })
	b.chain.set(func(c *fakeChain) { c.price = 50 })
	until(t, q, id, hasStatus(StatusConfirmed))
}

func TestQueue_LeavesThePricesOfTheCallerAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.cfg.BumpAfter = time.Second
	b.chain.set(func(c *fakeChain) { c.price, c.minTip = 100, 120 })
	q, _ := b.start(t)
	r := b.request(0, "x")
	r.Fees = Fees{MaxFee: big.NewInt(110), MaxTip: big.NewInt(110)}
	accepted, err := q.Enqueue(t.Context(), r)
	require.NoError(t, err)
	until(t, q, accepted.ID, hasStatus(StatusSubmitted))
	until(t, q, accepted.ID, func(Transaction) bool { return b.resends() >= 2 })
	require.NotContains(t, b.events(t, accepted.ID), "replaced")

	_, err = q.SpeedUp(t.Context(), "", accepted.ID, Fees{MaxFee: big.NewInt(130), MaxTip: big.NewInt(130)})
	require.NoError(t, err)
	until(t, q, accepted.ID, hasStatus(StatusConfirmed))
	_, err = q.SpeedUp(t.Context(), "", accepted.ID, Fees{})
	require.ErrorIs(t, err, ErrWrongStatus)
}

func (b *bundle) resends() int {
	b.chain.mu.Lock()
	defer b.chain.mu.Unlock()
	return b.chain.sends
}

func TestQueue_SuspendsAndResumes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q := b.queue(t)
	first, second := b.enqueue(t, q, 0, "first"), b.enqueue(t, q, 0, "second")
	for range 2 { // asked twice, done once
		suspended, err := q.Suspend(t.Context(), "", first)
		require.NoError(t, err)
		require.Equal(t, StatusSuspended, suspended.Status)
	}
	b.run(t, q)
	until(t, q, second, hasStatus(StatusConfirmed))
	_, err := q.Resume(t.Context(), "", first)
	require.NoError(t, err)
	until(t, q, first, hasStatus(StatusConfirmed))
	_, err = q.Suspend(t.Context(), "", first)
	require.ErrorIs(t, err, ErrWrongStatus)
	require.Equal(t, []string{"queued", "suspended", "queued", "signed", "submitted", "confirmed"}, b.events(t, first))
}

func TestQueue_RedrivesOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q, _ := b.start(t)
	id := b.enqueue(t, q, 0, "fails on chain")
	until(t, q, id, hasStatus(StatusReverted))

	var group sync.WaitGroup
	again := make([]Accepted, 8)
	for i := range again {
		group.Go(func() {
			var err error
			if again[i], err = q.Redrive(context.WithoutCancel(t.Context()), "", id); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for _, a := range again {
		require.Equal(t, again[0].ID, a.ID)
	}
	until(t, q, again[0].ID, hasStatus(StatusReverted))
	require.Equal(t, 2, b.chain.executed["fails on chain"])

	fine := b.enqueue(t, q, 0, "x")
	until(t, q, fine, hasStatus(StatusConfirmed))
	_, err := q.Redrive(t.Context(), "", fine)
	require.ErrorIs(t, err, ErrWrongStatus)
}

func TestQueue_AcceptsAListWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q, _ := b.start(t)
	keyed := func(key, data string) Request {
		r := b.request(0, data)
		r.IdempotencyKey = key
		return r
	}
	all, err := q.EnqueueAll(t.Context(), []Request{keyed("a", "1"), keyed("b", "2"), b.request(1, "3")})
	require.NoError(t, err)
	again, err := q.EnqueueAll(t.Context(), []Request{keyed("b", "2"), keyed("c", "4"), keyed("c", "4")})
	require.NoError(t, err)
	require.Equal(t, all[1].ID, again[0].ID)
	require.True(t, again[0].Replayed)
	require.Equal(t, again[1].ID, again[2].ID)

	_, err = q.EnqueueAll(t.Context(), []Request{keyed("d", "5"), keyed("a", "other")})
	require.ErrorIs(t, err, ErrKeyReused)
	_, err = q.EnqueueAll(t.Context(), []Request{keyed("e", "6"), {Sender: common.HexToAddress("0x01")}})
	require.ErrorIs(t, err, ErrUnknownSender)
	for _, a := range append(all, again...) {
		until(t, q, a.ID, hasStatus(StatusConfirmed))
	}
	list, err := q.List(t.Context(), Filter{Limit: 100})
	require.NoError(t, err)
	require.Len(t, list, 4)
}

// However many ask at once with one key, there is one transaction; and nobody
// pays for a request beside his own that is refused.
func TestQueue_ManyAtOnceWithOneKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	replicas := []*Queue{b.queue(t), b.queue(t)}
	ids, errs := make([]uuid.UUID, 100), make([]error, 100)
	var group sync.WaitGroup
	for i := range ids {
		group.Go(func() {
			r := b.request(0, "x")
			r.IdempotencyKey = "key"
			if i%10 == 9 {
				r.Data = []byte("other")
			}
			accepted, err := replicas[i%2].Enqueue(context.WithoutCancel(t.Context()), r)
			ids[i], errs[i] = accepted.ID, err
		})
	}
	group.Wait()
	list, err := replicas[0].List(t.Context(), Filter{Limit: 100})
	require.NoError(t, err)
	require.Len(t, list, 1)
	for i := range ids {
		if errs[i] != nil {
			require.ErrorIs(t, errs[i], ErrKeyReused)
			continue
		}
		require.Equal(t, list[0].ID, ids[i])
	}
}

func TestQueue_AFullQueueRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.cfg.MaxQueuedPerSender, b.cfg.MaxQueuedPerTenant = 3, 5
	q := b.queue(t)
	for i := range 3 {
		b.enqueue(t, q, 0, fmt.Sprint(i))
	}
	var full *FullError
	_, err := q.Enqueue(t.Context(), b.request(0, "one too many"))
	require.ErrorAs(t, err, &full)
	require.Equal(t, "sender", full.Whose)
	b.enqueue(t, q, 1, "x")
	_, err = q.EnqueueAll(t.Context(), []Request{b.request(1, "y"), b.request(1, "z")})
	require.ErrorAs(t, err, &full)
	require.Equal(t, "tenant", full.Whose)

	b.run(t, q)
	require.Eventually(t, func() bool {
		_, err := q.Enqueue(t.Context(), b.request(0, "there is room again"))
		return err == nil
	}, patience, 50*time.Millisecond)
}

// An intake whose callers leave goes on for the others.
func TestIntake_CallersMayLeave(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q := b.queue(t)
	var group sync.WaitGroup
	for i := range 200 {
		group.Go(func() {
			ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
			defer cancel()
			if i%2 == 0 {
				cancel()
			}
			if _, err := q.Enqueue(ctx, b.request(0, fmt.Sprint(i))); err != nil && i%2 == 1 {
				t.Error(err)
			}
		})
	}
	group.Wait()
	list, err := q.List(t.Context(), Filter{Limit: 200})
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(list), 100)
	require.Zero(t, q.intake.writers)
	require.Empty(t, q.intake.waiting)
}

func TestQueue_SendersStates(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q, _ := b.start(t)
	require.NoError(t, q.SetSenderState(t.Context(), b.sender(0), SenderPaused, "look at it first"))
	paused := b.enqueue(t, q, 0, "waits")
	other := b.enqueue(t, q, 1, "goes on")
	until(t, q, other, hasStatus(StatusConfirmed))
	s, err := q.Sender(t.Context(), b.sender(0))
	require.NoError(t, err)
	require.Equal(t, SenderPaused, s.State)
	require.Equal(t, "look at it first", s.Reason)
	require.Equal(t, 1, s.Queued)

	require.NoError(t, q.SetSenderState(t.Context(), b.sender(0), SenderActive, ""))
	until(t, q, paused, hasStatus(StatusConfirmed))

	require.NoError(t, q.SetSenderState(t.Context(), b.sender(0), SenderDraining, ""))
	_, err = q.Enqueue(t.Context(), b.request(0, "refused"))
	require.ErrorIs(t, err, ErrDraining)
	_, err = q.EnqueueAll(t.Context(), []Request{b.request(1, "x"), b.request(0, "refused")})
	require.ErrorIs(t, err, ErrDraining)

	require.ErrorIs(t, q.SetSenderState(t.Context(), common.HexToAddress("0x01"), SenderPaused, ""), ErrUnknownSender)
	require.ErrorIs(t, q.SetSenderState(t.Context(), b.sender(0), SenderHalted, ""), ErrWrongStatus)
	report, err := q.Nonces(t.Context(), b.sender(0))
	require.NoError(t, err)
	require.EqualValues(t, 1, report.NextNonce)
	require.EqualValues(t, 1, report.Latest)
	require.Empty(t, report.Slots)
}

// A database that was put back from a copy may hold as waiting what was executed
// since: paused before a replica starts, it signs nothing until somebody has looked.
func TestPauseAll_BeforeAReplicaStarts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	accepts := b.queue(t)
	gone, wanted := b.enqueue(t, accepts, 0, "executed since"), b.enqueue(t, accepts, 0, "waits still")
	paused, err := PauseAll(t.Context(), b.pool, "put back from a copy")
	require.NoError(t, err)
	require.EqualValues(t, len(b.keys.Signers()), paused)
	again, err := PauseAll(t.Context(), b.pool, "put back from a copy")
	require.NoError(t, err)
	require.Zero(t, again)

	q, _ := b.start(t)
	_, err = q.Cancel(t.Context(), "", gone)
	require.NoError(t, err)
	s, err := q.Sender(t.Context(), b.sender(0))
	require.NoError(t, err)
	require.Equal(t, SenderPaused, s.State)
	require.Zero(t, s.NextNonce)
	require.NoError(t, q.SetSenderState(t.Context(), b.sender(0), SenderActive, ""))
	until(t, q, wanted, hasStatus(StatusConfirmed))
	until(t, q, gone, hasStatus(StatusCancelled))
	s, err = q.Sender(t.Context(), b.sender(0))
	require.NoError(t, err)
	require.EqualValues(t, 1, s.NextNonce, "one was sent")
}

// Another chain under the same id, while the signer runs: nothing more is signed
// or sent until somebody has looked.
func TestQueue_HaltsWhenTheChainIsReplaced(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q, _ := b.start(t)
	until(t, q, b.enqueue(t, q, 0, "before"), hasStatus(StatusConfirmed))
	b.chain.set(func(c *fakeChain) {
		c.genesis, c.head = common.HexToHash("0x02"), 0
		c.nonces, c.receipts = map[common.Address]uint64{}, nil
		c.paused = true
	})
	require.Eventually(t, func() bool {
		s, err := q.Sender(t.Context(), b.sender(0))
		return err == nil && s.State == SenderHalted && s.Reason != ""
	}, patience, 10*time.Millisecond)
	sends := b.resends()
	after := b.enqueue(t, q, 0, "after")
	until(t, q, after, func(now Transaction) bool { return now.Status == StatusQueued })
	require.Equal(t, sends, b.resends())
}

func TestQueue_ReplicasShareTheSenders(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.chain.set(func(c *fakeChain) { c.paused = true })
	first, _ := b.start(t)
	for i := range 3 {
		until(t, first, b.enqueue(t, first, i, "x"), hasStatus(StatusSubmitted))
	}
	require.Len(t, first.keeper.current(), 3)
	second, stop := b.start(t)
	require.Eventually(t, func() bool {
		given, err := first.Rebalance(t.Context())
		return err == nil && given > 0 || len(second.keeper.current()) > 0
	}, patience, 10*time.Millisecond)
	require.Eventually(t, func() bool {
		return len(first.keeper.current()) == 2 && len(second.keeper.current()) == 1
	}, patience, 10*time.Millisecond)

	stop() // the other takes over
	require.Eventually(t, func() bool { return len(first.keeper.current()) == 3 }, patience, 10*time.Millisecond)
}

func TestQueue_Waits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.chain.set(func(c *fakeChain) { c.paused = true })
	q, _ := b.start(t)
	id := b.enqueue(t, q, 0, "x")
	submitted, err := q.Wait(t.Context(), "", id, StatusSubmitted)
	require.NoError(t, err)
	require.Equal(t, StatusSubmitted, submitted.Status)

	over := errors.New("time is up")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Millisecond, over)
	defer cancel()
	still, err := q.Wait(ctx, "", id, StatusMined)
	require.ErrorIs(t, err, over)
	require.Equal(t, id, still.ID)

	b.chain.set(func(c *fakeChain) { c.paused = false })
	mined, err := q.Wait(t.Context(), "", id, StatusMined)
	require.NoError(t, err)
	require.Equal(t, StatusConfirmed, mined.Status)
	events, err := q.History(t.Context(), "", id)
	require.NoError(t, err)
	require.Equal(t, "confirmed", events[len(events)-1].Type)
	_, err = q.History(t.Context(), "", uuid.New())
	require.ErrorIs(t, err, ErrNotFound)
}
