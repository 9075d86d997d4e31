package queue

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"

	"github.com/slipwayhq/slipway/internal/failpoint"
	"github.com/slipwayhq/slipway/internal/signing"
)

// keeper holds this replica's leases: it takes those of senders with work,
// renews them, and runs a driver for each.
type keeper struct {
	cfg   Config
	owner uuid.UUID
	store *Store
	shared
	node     Node
	identity *identity
	keys     signing.Keys
	waiters  *waiters
	metrics  *metrics
	log      *slog.Logger
	wakeUp   chan struct{} // coalescing, size one
	failing  bool          // the last look at the leases failed; belongs to run

	mu      sync.Mutex // guards drivers
	drivers map[common.Address]*running
}

// running is a driver with the means to end it.
type running struct {
	*driver
	stop context.CancelFunc
	done chan struct{}
}

const (
	// leasesAtOnce bounds how many senders one look takes.
	leasesAtOnce = 64
	// idleAfter is how long a sender without work stays with a replica.
	idleAfter = 30 * time.Second
)

// wake looks after a sender at once: its driver if it has one here, otherwise
// its lease.
func (k *keeper) wake(sender common.Address) {
	k.mu.Lock()
	r := k.drivers[sender]
	k.mu.Unlock()
	if r != nil {
		r.wake()
		return
	}
	select {
	case k.wakeUp <- struct{}{}:
	default:
	}
}

// current lists the drivers.
func (k *keeper) current() []*driver {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := make([]*driver, 0, len(k.drivers))
	for _, r := range k.drivers {
		out = append(out, r.driver)
	}
	return out
}

// run keeps leases until ctx ends, then stops the drivers and gives the leases
// back, so that another replica can go on at once.
func (k *keeper) run(ctx context.Context) {
	renew := time.NewTicker(k.cfg.renewEvery())
	defer renew.Stop()
	look := time.NewTicker(pollEvery)
	defer look.Stop()

	market := &marketSource{node: k.node, history: k.cfg.FeeMode == FeeHistory}
	k.appear(ctx)
	for {
		k.reap(ctx)
		k.acquire(ctx, market)
		k.measure()
		select {
		case <-ctx.Done():
			k.stopAll(ctx)
			return
		case <-renew.C:
			k.renew(ctx)
			k.appear(ctx)
		case <-look.C:
		case <-k.wakeUp:
		}
	}
}

func (k *keeper) measure() {
	var open int64
	drivers := k.current()
	for _, d := range drivers {
		open += d.open.Load()
	}
	k.metrics.leases.WithLabelValues().Set(float64(len(drivers)))
	k.metrics.openSlots.WithLabelValues().Set(float64(open))
}

func (k *keeper) acquire(ctx context.Context, market *marketSource) {
	for more := true; more; {
		leases, err := k.store.AcquireLeases(ctx, k.owner, k.cfg.LeaseTTL, leasesAtOnce)
		if err != nil {
			k.failed(ctx, err)
			return
		}
		k.failing = false
		for _, l := range leases {
			k.end(l.Sender) // ours ran out unnoticed: its driver holds an old epoch
			k.start(ctx, l, market)
		}
		more = len(leases) == leasesAtOnce
	}
}

// failed counts and logs; while the database stays away only the first failure
// is worth a warning.
func (k *keeper) failed(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	k.metrics.failures.WithLabelValues(failureOf(err)).Inc()
	level := slog.LevelWarn
	if k.failing {
		level = slog.LevelDebug
	}
	k.failing = true
	k.log.Log(ctx, level, "leases are not looked after", slog.Any("err", err))
}

func (k *keeper) start(ctx context.Context, l lease, market *marketSource) {
	driverCtx, stop := context.WithCancel(ctx)
	r := &running{stop: stop, done: make(chan struct{}), driver: &driver{
		cfg: k.cfg, lease: l, store: k.store, shared: k.shared, node: k.node, identity: k.identity, keys: k.keys, market: market, waiters: k.waiters, metrics: k.metrics,
		log:    k.log.With(slog.String("sender", l.Sender.Hex()), slog.Int64("epoch", l.Epoch)),
		wakeUp: make(chan struct{}, 1),
	}}
	r.active.Store(failpoint.Now().UnixNano())

	k.mu.Lock()
	k.drivers[l.Sender] = r
	k.mu.Unlock()
	go func() {
		defer close(r.done)
		r.run(driverCtx)
	}()
}

// renew prolongs all leases and stops the drivers of those that were lost.
func (k *keeper) renew(ctx context.Context) {
	k.mu.Lock()
	leases := make([]lease, 0, len(k.drivers))
	for _, r := range k.drivers {
		leases = append(leases, r.lease)
	}
	k.mu.Unlock()
	if len(leases) == 0 {
		return
	}
	held, err := k.store.RenewLeases(ctx, k.owner, k.cfg.LeaseTTL, leases)
	if err != nil {
		// The drivers go on: if a lease runs out meanwhile, the fence stops them.
		k.failed(ctx, err)
		return
	}
	failpoint.Hit("during_lease_renew")
	isHeld := map[common.Address]bool{}
	for _, a := range held {
		isHeld[a] = true
	}
	for _, l := range leases {
		if !isHeld[l.Sender] {
			k.log.WarnContext(ctx, "lease lost", slog.String("sender", l.Sender.Hex()))
			k.end(l.Sender)
		}
	}
}

// reap forgets drivers that ended by themselves and gives back the leases of
// senders without work.
func (k *keeper) reap(ctx context.Context) {
	k.mu.Lock()
	var ended, idle []*running
	for _, r := range k.drivers {
		select {
		case <-r.done:
			ended = append(ended, r)
		default:
			if !r.hasOpenSlots() && failpoint.Now().Sub(r.idleSince()) > idleAfter {
				idle = append(idle, r)
			}
		}
	}
	k.mu.Unlock()
	for _, r := range append(idle, ended...) {
		k.release(ctx, r.lease)
	}
}

func (k *keeper) release(ctx context.Context, l lease) {
	k.end(l.Sender)
	if err := k.store.ReleaseLease(ctx, k.owner, l); err != nil {
		k.failed(ctx, err)
	}
}

// end stops a driver and waits for it.
func (k *keeper) end(sender common.Address) {
	k.mu.Lock()
	r := k.drivers[sender]
	delete(k.drivers, sender)
	k.mu.Unlock()
	if r != nil {
		r.stop()
		<-r.done
	}
}

func (k *keeper) stopAll(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	for _, d := range k.current() {
		k.release(ctx, d.lease)
	}
	if err := k.store.Disappear(ctx, k.owner); err != nil {
		k.log.DebugContext(ctx, "the other replicas will notice by themselves", slog.Any("err", err))
	}
}

// haltAll stops all senders of the chain, whoever drives them.
func (k *keeper) haltAll(ctx context.Context, reason string) error {
	if err := k.store.HaltAll(ctx, reason); err != nil {
		return err
	}
	for _, d := range k.current() {
		k.end(d.lease.Sender)
	}
	return nil
}

// appear tells the other replicas that this one lives, and gives senders away
// when it holds clearly more than its share: a new replica has none.
func (k *keeper) appear(ctx context.Context) {
	share, err := k.store.Appear(ctx, k.owner, k.cfg.LeaseTTL)
	if err != nil {
		k.failed(ctx, err)
		return
	}
	if len(k.current()) > share+1 {
		k.giveAway(ctx, share)
	}
}

// shed gives away what is beyond this replica's share.
func (k *keeper) shed(ctx context.Context) (int, error) {
	share, err := k.store.Appear(ctx, k.owner, k.cfg.LeaseTTL)
	if err != nil {
		return 0, err
	}
	return k.giveAway(ctx, share), nil
}

// giveAway releases the senders beyond the first ones, those with the fewest
// open nonces first.
func (k *keeper) giveAway(ctx context.Context, keep int) int {
	drivers := k.current()
	slices.SortFunc(drivers, func(a, b *driver) int { return cmp.Compare(a.open.Load(), b.open.Load()) })
	beyond := drivers[:max(0, len(drivers)-max(keep, 1))]
	for _, d := range beyond {
		k.log.InfoContext(ctx, "sender given to another replica", slog.String("sender", d.lease.Sender.Hex()))
		k.release(ctx, d.lease)
	}
	return len(beyond)
}
