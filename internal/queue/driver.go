package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"

	"github.com/slipwayhq/slipway/internal/failpoint"
	"github.com/slipwayhq/slipway/internal/nodeclient"
	"github.com/slipwayhq/slipway/internal/signing"
)

// driver moves the transactions of one sender while its replica holds the
// lease. run is its only goroutine; wake and see may be called from others.
type driver struct {
	cfg   Config
	lease lease
	store *Store
	shared
	node     Node
	identity *identity
	keys     signing.Keys
	market   *marketSource
	waiters  *waiters
	metrics  *metrics
	log      *slog.Logger

	wakeUp chan struct{} // coalescing, size one
	open   atomic.Int64  // open slots, for the watcher and the keeper
	active atomic.Int64  // unix nanoseconds of the last round that had work

	mu        sync.Mutex // guards sightings
	sightings []sighting

	// The rest belongs to run.
	slots     *openSlots
	nextNonce uint64
	lowWater  uint64 // everything below is final
	window    int    // most open slots, as learnt from the node
	sendPause backoff
	signPause backoff
	signAfter time.Time     // the key is not asked before
	patience  time.Duration // before the next resend of everything
	head      uint64        // the newest block seen
	wishedAt  time.Time     // when wishes were last looked for
}

// pollEvery is how often a driver looks for work that nobody woke it for:
// accepted by another replica, or due again.
const pollEvery = 500 * time.Millisecond

// maxSightings bounds what a busy driver has not read yet; older ones are
// dropped and their transactions found one by one.
const maxSightings = 16

// wake tells the driver that there may be work.
func (d *driver) wake() {
	select {
	case d.wakeUp <- struct{}{}:
	default:
	}
}

// see hands the driver a look at the chain.
func (d *driver) see(s sighting) {
	d.mu.Lock()
	d.sightings = append(d.sightings, s)
	if len(d.sightings) > maxSightings {
		d.sightings = d.sightings[1:]
	}
	d.mu.Unlock()
	d.wake()
}

func (d *driver) takeSightings() []sighting {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := d.sightings
	d.sightings = nil
	return out
}

func (d *driver) hasOpenSlots() bool { return d.open.Load() > 0 }

// idleSince says since when there was nothing to do.
func (d *driver) idleSince() time.Time { return time.Unix(0, d.active.Load()) }

// run drives the sender until ctx ends (the lease was lost, or the program
// stops). After an error everything in memory is forgotten and read again:
// what the database says is true.
func (d *driver) run(ctx context.Context) {
	pause := backoff{first: 100 * time.Millisecond, most: 5 * time.Second}
	for ctx.Err() == nil {
		err := d.session(ctx, &pause)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errFenced) {
			if errors.Is(err, ErrOtherChain) {
				d.log.ErrorContext(ctx, "the chain was replaced, all senders are halted", slog.Any("err", err))
			}
			return
		}
		d.failed(ctx, err, pause.last > 0)
		wait(ctx, pause.next(), nil)
	}
}

// failed counts, logs and tells readers of the queue why nothing moves. Only
// the first failure in a row is worth a warning.
func (d *driver) failed(ctx context.Context, err error, again bool) {
	d.active.Store(failpoint.Now().UnixNano()) // it has work, only it cannot do it
	where := failureOf(err)
	d.metrics.failures.WithLabelValues(where).Inc()
	level := slog.LevelWarn
	if again {
		level = slog.LevelDebug
	}
	d.log.Log(ctx, level, "round failed, starting over", slog.Any("err", err))
	if where != failedAtNode {
		return
	}
	queued, err := d.store.Claimable(ctx, d.lease.Sender, d.cfg.BatchSize)
	if err == nil {
		err = d.noteClaimed(ctx, queued, WaitingForNode)
	}
	if err != nil {
		d.log.DebugContext(ctx, "note why transactions wait", slog.Any("err", err))
	}
}

// failedAtNode is the metric label of failures that are the node's.
const failedAtNode = "node"

func failureOf(err error) string {
	switch {
	case errors.Is(err, ErrUnavailable):
		return "database"
	case errors.Is(err, nodeclient.ErrUnreachable):
		return failedAtNode
	default:
		return "other"
	}
}

// session reads the state of the sender and works until something fails.
func (d *driver) session(ctx context.Context, pause *backoff) error {
	if err := d.recover(ctx); err != nil {
		return err
	}
	for ctx.Err() == nil {
		did, err := d.round(ctx)
		if err != nil {
			return err
		}
		pause.reset()
		if did > nothing {
			d.active.Store(failpoint.Now().UnixNano())
		}
		if did < something {
			wait(ctx, pollEvery, d.wakeUp)
		}
	}
	return ctx.Err()
}

// recover reads what is unfinished and compares it with the chain.
func (d *driver) recover(ctx context.Context) error {
	if err := d.identify(ctx, identifyAge); err != nil {
		return err
	}
	slots, err := d.store.UnfinishedSlots(ctx, d.lease.Sender)
	if err != nil {
		return err
	}
	row, err := d.store.LoadSender(ctx, d.lease.Sender)
	if err != nil {
		return err
	}
	d.slots = newOpenSlots(slots)
	d.open.Store(int64(d.slots.len()))
	d.nextNonce, d.lowWater = row.NextNonce, row.LowWater
	d.window = min(row.Window, d.cfg.Window)
	d.patience = d.cfg.ResendAfter
	d.signPause = backoff{first: pollEvery, most: 10 * time.Second}
	d.sendPause = backoff{first: 200 * time.Millisecond, most: 10 * time.Second}
	// Whatever was sent before may be gone: the node may have been restarted.
	for _, s := range d.slots.list {
		s.sent = false
	}

	counts := d.node.Nonces(ctx, []common.Address{d.lease.Sender})[0]
	if counts.Err != nil {
		return fmt.Errorf("ask for the sender's nonce: %w", counts.Err)
	}
	if counts.Latest < d.lowWater {
		// Nothing may be signed or sent for a chain that lost final history.
		return fmt.Errorf("%w: it counts %d transactions of the sender, %d are final here: the node is far behind, or its chain was reset",
			nodeclient.ErrUnreachable, counts.Latest, d.lowWater)
	}
	if len(slots) > 0 {
		return d.lookUp(ctx, d.slots.list)
	}
	return d.raiseNonce(ctx, counts.Pending)
}

// identify compares the chain, unless that was done within maxAge. Where it was
// replaced all senders are halted, and the lease with them.
func (d *driver) identify(ctx context.Context, maxAge time.Duration) error {
	err := d.identity.check(ctx, maxAge)
	if errors.Is(err, ErrOtherChain) {
		return errors.Join(errFenced, err, d.store.HaltAll(ctx, err.Error()))
	}
	if err != nil {
		return fmt.Errorf("identify the chain: %w", err)
	}
	return nil
}

// raiseNonce takes over a higher nonce from the chain: at the first contact, or
// when somebody used the key by hand. It is only called with no open slot; with
// one the database alone counts, since a node's pool says nothing reliable.
func (d *driver) raiseNonce(ctx context.Context, pending uint64) error {
	next := max(d.nextNonce, pending)
	if next != d.nextNonce {
		d.log.InfoContext(ctx, "nonce taken from the chain", slog.Uint64("from", d.nextNonce), slog.Uint64("to", next))
	}
	if err := d.store.SetNextNonce(ctx, d.lease, d.nextNonce, next); err != nil {
		return err
	}
	d.nextNonce, d.lowWater = next, next
	return nil
}

// progress is how much a round has done.
type progress int

const (
	nothing    progress = iota
	everything          // whatever there was: who brings more wakes the driver
	something           // there may be more
)

// round does what can be done now and says how much that was.
func (d *driver) round(ctx context.Context) (progress, error) {
	sightings := d.takeSightings()
	if err := d.settle(ctx, sightings); err != nil {
		return nothing, err
	}
	improved, err := d.improve(ctx)
	if err != nil {
		return nothing, err
	}
	sent, err := d.sendUnsent(ctx)
	if err != nil {
		return nothing, err
	}
	did, err := d.signNext(ctx)
	if err != nil {
		return nothing, err
	}
	d.open.Store(int64(d.slots.len()))
	if len(sightings) > 0 || improved || sent {
		did = something
	}
	return did, nil
}

// moved tells those who wait for transactions to look.
func (d *driver) moved(ids ...uuid.UUID) {
	for _, id := range ids {
		d.waiters.tell(id, notice{})
	}
}
