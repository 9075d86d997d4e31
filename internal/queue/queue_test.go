package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/google/uuid"
	"github.com/holiman/uint256"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/nodeclient"
	"github.com/slipwayhq/slipway/internal/pgtest"
	"github.com/slipwayhq/slipway/internal/schema"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/signing"
	"github.com/slipwayhq/slipway/internal/signing/local"
	"github.com/slipwayhq/slipway/internal/telemetry"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m, pgtest.Template(schema.Migrate))) }

const (
	testChain = 4242
	patience  = 20 * time.Second // for what must happen soon, on a busy machine
)

// bundle is a queue's surroundings: a database, a chain and keys.
type bundle struct {
	pool  *pgxpool.Pool
	chain *fakeChain
	keys  *signing.Keyring
	cfg   Config
}

func setup(t *testing.T) *bundle {
	t.Helper()
	return setupAt(t, pgtest.DSN(t))
}

func setupAt(tb testing.TB, dsn string) *bundle {
	tb.Helper()
	pool, err := Connect(tb.Context(), ConnectConfig{DSN: dsn})
	require.NoError(tb, err)
	tb.Cleanup(pool.Close)
	signers, err := local.Accounts(local.Config{Mnemonic: secret.New("test test test test test test test test test test test junk"), Accounts: 3})
	require.NoError(tb, err)
	cfg := Default()
	cfg.ChainID, cfg.HeadPoll, cfg.LeaseTTL, cfg.ResendAfter, cfg.StolenAfter = testChain, 10*time.Millisecond, time.Second, time.Second, time.Second
	return &bundle{pool: pool, chain: newFakeChain(testChain), keys: signing.NewKeyring(signers...), cfg: cfg}
}

// queue makes a replica that accepts but does not drive.
func (b *bundle) queue(t *testing.T) *Queue {
	t.Helper()
	q, err := New(b.cfg, Deps{
		Store: NewStore(b.pool, testChain), Node: b.chain, Keys: b.keys, Metrics: telemetry.NewFactory(), Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	require.NoError(t, q.Register(t.Context()))
	return q
}

// start makes a replica that runs until the test or the returned stop ends it.
func (b *bundle) start(t *testing.T) (*Queue, func()) {
	t.Helper()
	q := b.queue(t)
	return q, b.run(t, q)
}

func (b *bundle) run(t *testing.T, q *Queue) func() {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- q.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-done)
	})
	t.Cleanup(stop)
	return stop
}

func (b *bundle) sender(i int) common.Address { return b.keys.Signers()[i].Address() }

func (b *bundle) request(i int, data string) Request {
	to := common.HexToAddress("0x1000000000000000000000000000000000000001")
	return Request{Sender: b.sender(i), To: &to, Data: []byte(data)}
}

// until waits for a transaction to get somewhere.
func until(t *testing.T, q *Queue, id uuid.UUID, want func(Transaction) bool) Transaction {
	t.Helper()
	var last Transaction
	require.Eventually(t, func() bool {
		var err error
		last, err = q.Get(t.Context(), "", id)
		return err == nil && want(last)
	}, patience, 5*time.Millisecond, "transaction %s stands at %q (%s)", id, &last.Status, &last.Substatus)
	return last
}

func hasStatus(s Status) func(Transaction) bool {
	return func(t Transaction) bool { return t.Status == s }
}

func (b *bundle) events(t *testing.T, id uuid.UUID) []string {
	t.Helper()
	rows, err := query(t.Context(), NewStore(b.pool, testChain), `select type from tx_events where tx_id = @id order by id`, map[string]any{"id": id}, scanText)
	require.NoError(t, err)
	return rows
}

func TestQueue_SeesATransactionThrough(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q, _ := b.start(t)

	accepted, watch, err := q.EnqueueWatched(t.Context(), b.request(0, "hello"))
	require.NoError(t, err)
	require.False(t, accepted.Replayed)
	signed, err := watch(t.Context())
	require.NoError(t, err)
	done := until(t, q, accepted.ID, hasStatus(StatusConfirmed))

	require.NotNil(t, signed.Hash)
	require.Equal(t, signed.Hash, done.Hash, "the hash is stable")
	require.Equal(t, *done.Hash, done.Receipt.Hash)
	require.True(t, done.Receipt.Final)
	require.EqualValues(t, 0, *done.Nonce)
	require.Equal(t, 1, b.chain.executed["hello"])
	require.Equal(t, []string{"queued", "signed", "submitted", "confirmed"}, b.events(t, accepted.ID))
}

// Whatever the node is offered was committed before: at every send the slot and
// the very bytes are in the database already.
func TestQueue_NothingLeavesBeforeItIsCommitted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var sent, committed int
	b.chain.set(func(c *fakeChain) {
		c.onSend = func(hashes []common.Hash) {
			for _, h := range hashes {
				var n int
				err := b.pool.QueryRow(context.Background(), `
					select count(*) from attempts a join nonce_slots using (chain_id, sender, nonce) join senders s on s.address = a.sender
					where a.hash = $1 and s.next_nonce > a.nonce`, h[:]).Scan(&n)
				if err != nil {
					t.Error(err)
				}
				sent, committed = sent+1, committed+n
			}
		}
	})
	q, stop := b.start(t)
	var ids []uuid.UUID
	for i := range 30 {
		accepted, err := q.Enqueue(t.Context(), b.request(i%3, fmt.Sprint(i)))
		require.NoError(t, err)
		ids = append(ids, accepted.ID)
	}
	for _, id := range ids {
		until(t, q, id, hasStatus(StatusConfirmed))
	}
	stop()
	require.GreaterOrEqual(t, sent, len(ids))
	require.Equal(t, sent, committed)
}

func TestQueue_ARevertOnChainIsAnEndWithEvidence(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q, _ := b.start(t)

	accepted, err := q.Enqueue(t.Context(), b.request(0, "fails on chain"))
	require.NoError(t, err)

	done := until(t, q, accepted.ID, hasStatus(StatusReverted))
	require.False(t, done.Receipt.Success)
	require.Nil(t, done.Error)
}

func TestQueue_KeepsTheOrderOfAcceptance(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.cfg.BatchSize = 7
	q := b.queue(t)
	var ids []uuid.UUID
	for i := range 50 {
		accepted, err := q.Enqueue(t.Context(), b.request(0, fmt.Sprint(i)))
		require.NoError(t, err)
		ids = append(ids, accepted.ID)
	}

	b.run(t, q)

	for i, id := range ids {
		require.EqualValues(t, i, *until(t, q, id, hasStatus(StatusConfirmed)).Nonce)
	}
}

func TestQueue_IdempotencyKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q, _ := b.start(t)
	r := b.request(0, "once")
	r.IdempotencyKey = "order-1"

	const callers = 100
	var wg sync.WaitGroup
	ids, replays := make([]uuid.UUID, callers), make([]bool, callers)
	errs := make([]error, callers)
	for i := range callers {
		wg.Go(func() {
			var a Accepted
			a, errs[i] = q.Enqueue(t.Context(), r)
			ids[i], replays[i] = a.ID, a.Replayed
		})
	}
	wg.Wait()

	fresh := 0
	for i := range callers {
		require.NoError(t, errs[i])
		require.Equal(t, ids[0], ids[i])
		if !replays[i] {
			fresh++
		}
	}
	require.Equal(t, 1, fresh)
	until(t, q, ids[0], hasStatus(StatusConfirmed))
	require.Equal(t, 1, b.chain.executed["once"])

	other := b.request(0, "something else")
	other.IdempotencyKey = "order-1"
	_, err := q.Enqueue(t.Context(), other)
	require.ErrorIs(t, err, ErrKeyReused)

	other.Tenant = "another tenant has its own keys"
	_, err = q.Enqueue(t.Context(), other)
	require.NoError(t, err)
}

func TestQueue_RefusesAnUnknownSender(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q := b.queue(t)
	r := b.request(0, "x")
	r.Sender = common.HexToAddress("0x2")

	_, err := q.Enqueue(t.Context(), r)

	require.ErrorIs(t, err, ErrUnknownSender)
}

func TestQueue_ANodeThatIsAwayLosesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.chain.set(func(c *fakeChain) { c.away = true })
	q, _ := b.start(t)
	first, err := q.Enqueue(t.Context(), b.request(0, "accepted while the chain is away"))
	require.NoError(t, err)
	until(t, q, first.ID, func(t Transaction) bool { return t.Substatus == WaitingForNode })

	b.chain.set(func(c *fakeChain) { c.away = false })
	until(t, q, first.ID, hasStatus(StatusConfirmed))

	b.chain.set(func(c *fakeChain) { c.away = true })
	second, err := q.Enqueue(t.Context(), b.request(0, "and again"))
	require.NoError(t, err)
	until(t, q, second.ID, func(t Transaction) bool { return t.Status == StatusQueued && t.Substatus == WaitingForNode })
	b.chain.set(func(c *fakeChain) { c.away = false })
	done := until(t, q, second.ID, hasStatus(StatusConfirmed))
	require.Empty(t, done.Substatus)
}

func TestQueue_ALostReplyIsNoSecondTransaction(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.chain.set(func(c *fakeChain) { c.loseReply = true })
	q, _ := b.start(t)

	accepted, err := q.Enqueue(t.Context(), b.request(0, "lost"))
	require.NoError(t, err)

	until(t, q, accepted.ID, hasStatus(StatusConfirmed))
	require.Equal(t, 1, b.chain.executed["lost"])
	require.EqualValues(t, 1, b.chain.nonces[b.sender(0)])
}

func TestQueue_AWipedPoolIsFilledAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.chain.set(func(c *fakeChain) { c.dropAll = true })
	q, _ := b.start(t)
	var ids []uuid.UUID
	for i := range 5 {
		accepted, err := q.Enqueue(t.Context(), b.request(0, fmt.Sprint(i)))
		require.NoError(t, err)
		ids = append(ids, accepted.ID)
	}
	for _, id := range ids {
		until(t, q, id, hasStatus(StatusSubmitted))
	}

	b.chain.set(func(c *fakeChain) { c.dropAll = false })

	for _, id := range ids {
		until(t, q, id, hasStatus(StatusConfirmed))
	}
}

func TestQueue_LearnsHowManyOpenNoncesTheNodeTakes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.chain.set(func(c *fakeChain) { c.maxAhead = 5 })
	q, _ := b.start(t)
	var ids []uuid.UUID
	for i := range 40 {
		accepted, err := q.Enqueue(t.Context(), b.request(0, fmt.Sprint(i)))
		require.NoError(t, err)
		ids = append(ids, accepted.ID)
	}
	for _, id := range ids {
		until(t, q, id, hasStatus(StatusConfirmed))
	}
}

func TestQueue_WorksWithoutBlockReceipts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.chain.set(func(c *fakeChain) { c.noBlocks = true })
	q, _ := b.start(t)

	accepted, err := q.Enqueue(t.Context(), b.request(0, "x"))
	require.NoError(t, err)

	until(t, q, accepted.ID, hasStatus(StatusConfirmed))
}

func TestQueue_ASimulatedRevertIsBelievedOnlyWithNothingBefore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	// The second transaction works only after the first was executed.
	b.chain.set(func(c *fakeChain) {
		c.reverts = func(m nodeclient.CallMsg) bool {
			return string(m.Data) == "never" || string(m.Data) == "after" && c.executed["before"] == 0
		}
	})
	q := b.queue(t)
	before, err := q.Enqueue(t.Context(), b.request(0, "before"))
	require.NoError(t, err)
	after, err := q.Enqueue(t.Context(), b.request(0, "after"))
	require.NoError(t, err)
	never, err := q.Enqueue(t.Context(), b.request(0, "never"))
	require.NoError(t, err)
	last, err := q.Enqueue(t.Context(), b.request(0, "last"))
	require.NoError(t, err)

	b.run(t, q)

	until(t, q, before.ID, hasStatus(StatusConfirmed))
	until(t, q, after.ID, hasStatus(StatusConfirmed))
	rejected := until(t, q, never.ID, hasStatus(StatusRejected))
	require.Equal(t, Reason{Code: ReasonReverted, Message: "execution reverted: no", Data: "0x08c379a0"}, *rejected.Error)
	require.Nil(t, rejected.Nonce, "a rejected transaction has used no nonce")
	require.EqualValues(t, 2, *until(t, q, last.ID, hasStatus(StatusConfirmed)).Nonce)
}

func TestQueue_StartsFromTheChainsNonce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.chain.set(func(c *fakeChain) { c.nonces[b.sender(1)] = 17 })
	q, _ := b.start(t)

	accepted, err := q.Enqueue(t.Context(), b.request(1, "x"))
	require.NoError(t, err)

	require.EqualValues(t, 17, *until(t, q, accepted.ID, hasStatus(StatusConfirmed)).Nonce)
}

func TestQueue_AWantedNonceIsTheNextOrNone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.chain.set(func(c *fakeChain) { c.nonces[b.sender(1)] = 17 })
	q := b.queue(t)
	wanting := func(nonce uint64, data string) uuid.UUID {
		r := b.request(1, data)
		r.Nonce = &nonce
		accepted, err := q.Enqueue(t.Context(), r)
		require.NoError(t, err)
		return accepted.ID
	}
	next, low, after, high, last := wanting(17, "a"), wanting(17, "b"), wanting(18, "c"), wanting(20, "d"), wanting(19, "e")

	b.run(t, q)

	for nonce, id := range map[uint64]uuid.UUID{17: next, 18: after, 19: last} {
		done := until(t, q, id, hasStatus(StatusConfirmed))
		require.Equal(t, nonce, *done.Nonce)
		require.Equal(t, nonce, *done.Request.Nonce)
	}
	for text, id := range map[string]uuid.UUID{"nonce too low: next nonce 18, tx nonce 17": low, "nonce too high: next nonce 19, tx nonce 20": high} {
		rejected := until(t, q, id, hasStatus(StatusRejected))
		require.Equal(t, Reason{Code: ReasonNonce, Message: text}, *rejected.Error)
		require.Nil(t, rejected.Nonce)
	}
	again, err := q.Redrive(t.Context(), "", low)
	require.NoError(t, err)
	require.EqualValues(t, 20, *until(t, q, again.ID, hasStatus(StatusConfirmed)).Nonce, "a nonce is wanted once")
}

func TestQueue_ASetCodeTransaction(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q, _ := b.start(t)
	key, err := crypto.GenerateKey()
	require.NoError(t, err)
	authorization, err := types.SignSetCode(key, types.SetCodeAuthorization{ChainID: *uint256.NewInt(testChain), Address: common.Address{7}, Nonce: 3})
	require.NoError(t, err)
	r := b.request(0, "delegate")
	r.Authorizations = []types.SetCodeAuthorization{authorization}

	accepted, err := q.Enqueue(t.Context(), r)
	require.NoError(t, err)

	done := until(t, q, accepted.ID, hasStatus(StatusConfirmed))
	require.Equal(t, r.Authorizations, done.Request.Authorizations)
	var raw []byte
	require.NoError(t, b.pool.QueryRow(t.Context(), `select raw from attempts where hash = $1`, done.Hash[:]).Scan(&raw))
	var tx types.Transaction
	require.NoError(t, tx.UnmarshalBinary(raw))
	require.EqualValues(t, types.SetCodeTxType, tx.Type())
	require.Equal(t, r.Authorizations, tx.SetCodeAuthorizations())

	data, err := (&driver{cfg: b.cfg}).replacementData(t.Context(), attempt{raw: raw}, purposeBump, Fees{MaxFee: wei(9), MaxTip: wei(1)})
	require.NoError(t, err)
	dearer := types.NewTx(data)
	require.Equal(t, r.Authorizations, dearer.SetCodeAuthorizations())
	require.Equal(t, wei(9), dearer.GasFeeCap())
}

// awayKeys are keys that cannot be asked for.
type awayKeys struct{ signing.Keys }

func (awayKeys) Signer(common.Address) (signing.Signer, error) { return nil, errors.New("away") }

func TestQueue_KeysThatAreAwayAreNoUnknownSender(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q, err := New(b.cfg, Deps{Store: NewStore(b.pool, testChain), Node: b.chain, Keys: awayKeys{b.keys}, Metrics: telemetry.NewFactory(), Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	require.NoError(t, q.Register(t.Context()))

	_, err = q.Enqueue(t.Context(), b.request(0, "x"))
	require.ErrorContains(t, err, "away")
	require.NotErrorIs(t, err, ErrUnknownSender)
}

func TestQueue_ANonceUsedElsewhereFailsThatTransactionOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.chain.set(func(c *fakeChain) { c.dropAll = true })
	q, _ := b.start(t)
	robbed, err := q.Enqueue(t.Context(), b.request(0, "robbed"))
	require.NoError(t, err)
	until(t, q, robbed.ID, hasStatus(StatusSubmitted))

	// Somebody else's transaction takes nonce 0.
	b.chain.set(func(c *fakeChain) { c.nonces[b.sender(0)] = 1; c.dropAll = false })

	require.Eventually(t, func() bool {
		got, err := q.Get(t.Context(), "", robbed.ID)
		return err == nil && got.Status == StatusFailed && got.Error.Code == ReasonNonceTaken
	}, patience, 50*time.Millisecond)
	next, err := q.Enqueue(t.Context(), b.request(0, "next"))
	require.NoError(t, err)
	require.EqualValues(t, 1, *until(t, q, next.ID, hasStatus(StatusConfirmed)).Nonce)
	require.Zero(t, b.chain.executed["robbed"])
}

func TestQueue_AReorganisationTakesAMinedTransactionBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.cfg.Confirmations = 3
	q, _ := b.start(t)
	accepted, watch, err := q.EnqueueWatched(t.Context(), b.request(0, "twice mined"))
	require.NoError(t, err)
	signed, err := watch(t.Context())
	require.NoError(t, err)

	// The chain stands still right after the block, then takes it back.
	require.Eventually(t, func() bool {
		b.chain.mu.Lock()
		defer b.chain.mu.Unlock()
		_, isMined := b.chain.receipts[*signed.Hash]
		b.chain.paused = isMined
		return isMined
	}, patience, time.Microsecond)
	b.chain.set(func(c *fakeChain) {
		c.reorganise(*signed.Hash, types.NewTx(&types.LegacyTx{Data: []byte("twice mined")}), b.sender(0))
		c.paused = false
	})

	done := until(t, q, accepted.ID, hasStatus(StatusConfirmed))
	require.Equal(t, signed.Hash, done.Hash)
	require.Equal(t, 1, b.chain.executed["twice mined"])
}

func TestQueue_AStoppedReplicaHandsOver(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.chain.set(func(c *fakeChain) { c.paused = true })
	q1, stop := b.start(t)
	accepted, err := q1.Enqueue(t.Context(), b.request(0, "handed over"))
	require.NoError(t, err)
	until(t, q1, accepted.ID, hasStatus(StatusSubmitted))
	stop()
	b.chain.set(func(c *fakeChain) { c.paused, c.pool = false, map[common.Address]map[uint64]*types.Transaction{} })

	q2, _ := b.start(t)

	until(t, q2, accepted.ID, hasStatus(StatusConfirmed))
	require.Equal(t, 1, b.chain.executed["handed over"])
}

// A replica that was frozen past its lease wakes up and commits what it had
// signed: nothing of it may count.
func TestQueue_AZombieIsFenced(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q := b.queue(t)
	store := NewStore(b.pool, testChain)
	accepted, err := q.Enqueue(t.Context(), b.request(0, "fenced"))
	require.NoError(t, err)
	old, err := store.AcquireLeases(t.Context(), uuid.New(), time.Nanosecond, 10)
	require.NoError(t, err)
	require.Len(t, old, 1)
	queued, err := store.Claimable(t.Context(), b.sender(0), 10)
	require.NoError(t, err)
	late := []signedTx{{id: queued[0].id, version: queued[0].version, raw: []byte{1}, hash: common.HexToHash("0xdead")}}

	current, err := store.AcquireLeases(t.Context(), uuid.New(), time.Minute, 10)
	require.NoError(t, err)
	require.Equal(t, old[0].Epoch+1, current[0].Epoch)

	require.ErrorIs(t, store.Commit(t.Context(), old[0], late), errFenced)
	require.ErrorIs(t, store.SetNextNonce(t.Context(), old[0], 0, 5), errFenced)
	require.NoError(t, store.Refuse(t.Context(), old[0], queued[0], Reason{Code: "x", Message: "x"}))
	still, err := q.Get(t.Context(), "", accepted.ID)
	require.NoError(t, err)
	require.Equal(t, StatusQueued, still.Status)

	require.NoError(t, store.Commit(t.Context(), current[0], late))
	require.ErrorIs(t, store.Commit(t.Context(), current[0], late), errFenced, "next_nonce has moved")
}

// A replica whose lease ran out unnoticed, and which takes it again, has one
// driver for the sender and not two.
func TestKeeper_OneDriverForASender(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.chain.set(func(c *fakeChain) { c.paused = true })
	q, _ := b.start(t)
	first, err := q.Enqueue(t.Context(), b.request(0, "first"))
	require.NoError(t, err)
	until(t, q, first.ID, hasStatus(StatusSubmitted))
	before := q.keeper.current()
	require.Len(t, before, 1)

	require.Eventually(t, func() bool {
		_, err := b.pool.Exec(t.Context(), `update senders set lease_until = now() - interval '1 second' where lease_epoch = $1`, before[0].lease.Epoch)
		now := q.keeper.current()
		return err == nil && len(now) == 1 && now[0].lease.Epoch > before[0].lease.Epoch
	}, patience, 5*time.Millisecond)
	b.chain.set(func(c *fakeChain) { c.paused = false })
	until(t, q, first.ID, hasStatus(StatusConfirmed))
	second, err := q.Enqueue(t.Context(), b.request(0, "second"))
	require.NoError(t, err)
	until(t, q, second.ID, hasStatus(StatusConfirmed))
	require.Equal(t, map[string]int{"first": 1, "second": 1}, b.chain.executed)
}

func TestStore_CommitIsAllOrNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q := b.queue(t)
	store := NewStore(b.pool, testChain)
	for i := range 2 {
		_, err := q.Enqueue(t.Context(), b.request(0, fmt.Sprint(i)))
		require.NoError(t, err)
	}
	leases, err := store.AcquireLeases(t.Context(), uuid.New(), time.Minute, 10)
	require.NoError(t, err)
	queued, err := store.Claimable(t.Context(), b.sender(0), 10)
	require.NoError(t, err)
	var txs []signedTx
	for i, c := range queued {
		txs = append(txs, signedTx{id: c.id, version: c.version, nonce: uint64(i), raw: []byte{byte(i)}, hash: common.BigToHash(big.NewInt(int64(i + 1)))})
	}
	txs[1].version++ // somebody changed it meanwhile

	require.ErrorIs(t, store.Commit(t.Context(), leases[0], txs), errClaimChanged)

	slots, err := store.UnfinishedSlots(t.Context(), b.sender(0))
	require.NoError(t, err)
	require.Empty(t, slots)
	row, err := store.LoadSender(t.Context(), b.sender(0))
	require.NoError(t, err)
	require.Zero(t, row.NextNonce)
}

// One business transaction never gets two live slots, whatever the program does.
func TestSchema_OneLiveSlotForATransaction(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q := b.queue(t)
	accepted, err := q.Enqueue(t.Context(), b.request(0, "x"))
	require.NoError(t, err)
	insert := func(nonce int) error {
		_, err := b.pool.Exec(t.Context(), `insert into nonce_slots (chain_id, sender, nonce, tx_id) values ($1, $2, $3, $4)`,
			testChain, b.sender(0).Bytes(), nonce, accepted.ID)
		return err
	}
	require.NoError(t, insert(0))
	require.ErrorContains(t, insert(1), "nonce_slots_live")
}

// The database allows exactly the moves of transition.go.
func TestMoves_DatabaseAgrees(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q := b.queue(t)
	accepted, err := q.Enqueue(t.Context(), b.request(0, "x"))
	require.NoError(t, err)
	for _, from := range Statuses() {
		for _, to := range Statuses() {
			if from == to {
				continue
			}
			tx, err := b.pool.Begin(t.Context())
			require.NoError(t, err)
			force := func(s Status) string {
				reason := "null"
				if s == StatusRejected || s == StatusFailed {
					reason = `'{}'`
				}
				return fmt.Sprintf(`update transactions set status = '%s', error = %s where id = '%s'`, s, reason, accepted.ID)
			}
			_, err = tx.Exec(t.Context(), `alter table transactions disable trigger transactions_move`)
			require.NoError(t, err)
			_, err = tx.Exec(t.Context(), force(from))
			require.NoError(t, err)
			_, err = tx.Exec(t.Context(), `alter table transactions enable trigger transactions_move`)
			require.NoError(t, err)
			_, err = tx.Exec(t.Context(), force(to))
			require.Equal(t, CanMove(from, to), err == nil, "%s -> %s: %v", from, to, err)
			require.NoError(t, tx.Rollback(t.Context()))
		}
	}
	_, err = b.pool.Exec(t.Context(), `update tx_events set type = 'x'`)
	require.ErrorContains(t, err, "append-only")
}

func TestQueue_RefusesAnotherChain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, stop := b.start(t)
	require.Eventually(t, func() bool {
		pinned, err := NewStore(b.pool, testChain).EnsureChain(t.Context())
		return err == nil && pinned == b.chain.genesis
	}, patience, 5*time.Millisecond)
	stop()

	b.chain.set(func(c *fakeChain) { c.genesis = common.HexToHash("0x02") })
	err := b.queue(t).Run(t.Context())
	require.ErrorIs(t, err, ErrOtherChain)
	require.ErrorContains(t, err, "genesis")

	b.chain.set(func(c *fakeChain) { c.chainID = 1 })
	err = b.queue(t).Run(t.Context())
	require.ErrorIs(t, err, ErrOtherChain)
	require.ErrorContains(t, err, "chain id is 1")
}

func TestQueue_ADatabaseThatIsAwayIsSaidSo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q := b.queue(t)
	b.pool.Close()

	_, err := q.Enqueue(t.Context(), b.request(0, "x"))

	require.ErrorIs(t, err, ErrUnavailable)
}

func TestQueue_ListsAndFilters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q := b.queue(t)
	for i := range 5 {
		r := b.request(i%2, fmt.Sprint(i))
		r.Reference = fmt.Sprintf("ref-%d", i)
		r.IdempotencyKey = fmt.Sprintf("key-%d", i)
		_, err := q.Enqueue(t.Context(), r)
		require.NoError(t, err)
	}
	list := func(f Filter) []string {
		if f.Limit == 0 {
			f.Limit = 10
		}
		txs, err := q.List(t.Context(), f)
		require.NoError(t, err)
		var out []string
		for _, tx := range txs {
			out = append(out, string(tx.Request.Data))
		}
		return out
	}
	one := b.sender(1)
	require.Equal(t, []string{"4", "3", "2", "1", "0"}, list(Filter{}))
	require.Equal(t, []string{"3", "1"}, list(Filter{Sender: &one}))
	require.Equal(t, []string{"2"}, list(Filter{Reference: "ref-2"}))
	require.Equal(t, []string{"1"}, list(Filter{IdempotencyKey: "key-1"}))
	require.Empty(t, list(Filter{Status: StatusConfirmed}))
	require.Empty(t, list(Filter{Tenant: "other"}))
	page, err := q.List(t.Context(), Filter{Limit: 2})
	require.NoError(t, err)
	require.Equal(t, []string{"2", "1"}, list(Filter{Before: page[1].Seq, Limit: 2}))
	_, err = q.Get(t.Context(), "other", page[0].ID)
	require.ErrorIs(t, err, ErrNotFound)
}

func TestQueue_AWatchEndsWithItsContext(t *testing.T) {
	t.Parallel()
	b := setup(t)
	q := b.queue(t) // nobody drives
	_, watch, err := q.EnqueueWatched(t.Context(), b.request(0, "x"))
	require.NoError(t, err)
	why := errors.New("enough")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, why)
	defer cancel()

	got, err := watch(ctx)

	require.ErrorIs(t, err, why)
	require.Equal(t, StatusQueued, got.Status)
	require.Empty(t, q.waiters.waiting)
}

// The replica that was asked is not the one that drives.
func TestQueue_AWatchSeesWhatAnotherReplicaSigned(t *testing.T) {
	t.Parallel()
	b := setup(t)
	asked := b.queue(t)
	b.start(t)
	r := b.request(0, "x")
	r.IdempotencyKey = "k"

	_, watch, err := asked.EnqueueWatched(t.Context(), r)
	require.NoError(t, err)
	signed, err := watch(t.Context())
	require.NoError(t, err)
	replayed, again, err := asked.EnqueueWatched(t.Context(), r)
	require.NoError(t, err)
	same, err := again(t.Context())
	require.NoError(t, err)

	require.True(t, replayed.Replayed)
	require.NotNil(t, signed.Hash)
	require.Equal(t, signed.Hash, same.Hash)
	require.Empty(t, asked.waiters.waiting)
}

func TestQueue_AWatchSeesARejection(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.chain.set(func(c *fakeChain) { c.reverts = func(nodeclient.CallMsg) bool { return true } })
	q, _ := b.start(t)

	_, watch, err := q.EnqueueWatched(t.Context(), b.request(0, "x"))
	require.NoError(t, err)
	got, err := watch(t.Context())

	require.NoError(t, err)
	require.Equal(t, StatusRejected, got.Status)
	require.Nil(t, got.Hash)
}

// Several replicas share the senders and nothing happens twice.
func TestQueue_ReplicasTogether(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var replicas []*Queue
	for range 3 {
		q, _ := b.start(t)
		replicas = append(replicas, q)
	}
	var ids []uuid.UUID
	for i := range 150 {
		accepted, err := replicas[i%3].Enqueue(t.Context(), b.request(i/3%3, fmt.Sprint(i)))
		require.NoError(t, err)
		ids = append(ids, accepted.ID)
	}
	for _, id := range ids {
		until(t, replicas[0], id, hasStatus(StatusConfirmed))
	}
	b.chain.mu.Lock()
	defer b.chain.mu.Unlock()
	for data, times := range b.chain.executed {
		require.Equal(t, 1, times, data)
	}
	require.Len(t, b.chain.executed, 150)
}

// However many transactions wait, those that come next are read from the front
// of an index: no row is sorted, and none is read that is not wanted.
func TestStore_ALongQueueDoesNotSlowTheClaim(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.queue(t)
	const waiting = 1_000_000
	require.NoError(t, pgx.BeginFunc(t.Context(), b.pool, func(tx pgx.Tx) error {
		// Neither triggers nor references, which take longer than the rows themselves.
		if _, err := tx.Exec(t.Context(), `set local session_replication_role = replica`); err != nil {
			return err
		}
		_, err := tx.Exec(t.Context(), `
			insert into transactions (id, chain_id, sender, value, data, req_hash, priority)
			select gen_random_uuid(), $1, $2, 0, '', sha256(i::text::bytea), i % 3 from generate_series(1, $3) i`, testChain, b.sender(0).Bytes(), waiting)
		return err
	}))
	_, err := b.pool.Exec(t.Context(), `analyze transactions`)
	require.NoError(t, err)

	args := pgx.NamedArgs{"chain": testChain, "sender": b.sender(0).Bytes(), "limit": 100}
	several := claimArgs(testChain, []*claim{{sender: b.sender(0), most: 100}, {sender: b.sender(1), most: 100}})
	for statement, args := range map[string]pgx.NamedArgs{selectClaimable: args, selectClaims(): several} {
		lines, err := query(t.Context(), NewStore(b.pool, testChain), "explain (analyze, timing off, costs off) "+statement, args, scanText)
		require.NoError(t, err)
		plan := strings.Join(lines, "\n")
		require.Contains(t, plan, "Index Scan using transactions_queued", plan)
		require.NotContains(t, plan, "Sort", plan)
		require.NotContains(t, plan, "Seq Scan on transactions", plan)
		require.NotContains(t, plan, "actual rows=101", plan)
		require.Regexp(t, `Index Scan using transactions_queued .*\(actual rows=(100 loops=1|50 loops=2)\)`, plan)
	}
}
