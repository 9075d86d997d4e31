package queue

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/slipwayhq/slipway/internal/nodeclient"
)

// sighting is what the watcher saw of the chain since the last one.
type sighting struct {
	head     uint64
	latest   uint64 // the sender's mined transaction count
	receipts []nodeclient.Receipt
}

// watcher follows the chain for all drivers: one look for everybody.
type watcher struct {
	cfg      Config
	node     Node
	log      *slog.Logger
	metrics  *metrics
	drivers  func() []*driver
	identity *identity
	halt     func(ctx context.Context, reason string) error // stops all senders

	seen uint64 // blocks up to here were handed on; 0: none
}

// maxCatchUp is the most blocks whose receipts are read after a pause. Behind a
// larger gap the drivers ask for their own transactions instead.
const maxCatchUp = 32

// run looks for new blocks until ctx ends.
func (w *watcher) run(ctx context.Context) {
	ticker := time.NewTicker(w.cfg.HeadPoll)
	defer ticker.Stop()
	for {
		if err := w.look(ctx); err != nil && ctx.Err() == nil {
			w.metrics.failures.WithLabelValues("node").Inc()
			w.log.DebugContext(ctx, "look at the chain", slog.Any("err", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// look reads what is new and hands it to the drivers with open slots.
func (w *watcher) look(ctx context.Context) error {
	head, err := w.node.BlockNumber(ctx)
	if err != nil {
		return err
	}
	if head == w.seen {
		return nil
	}
	age := identifyEvery
	if head < w.seen { // a reorganisation, a node behind, or another chain
		age = 0
	}
	if w.seen > 0 {
		if err := w.identity.check(ctx, age); errors.Is(err, ErrOtherChain) {
			w.log.ErrorContext(ctx, "the chain was replaced, all senders are halted", slog.Any("err", err))
			w.seen = head
			return w.halt(ctx, err.Error())
		} else if err != nil {
			return err
		}
	}
	w.metrics.head.WithLabelValues().Set(float64(head))

	var busy []*driver
	for _, d := range w.drivers() {
		if d.hasOpenSlots() {
			busy = append(busy, d)
		}
	}
	if len(busy) == 0 {
		w.seen = head
		return nil
	}
	receipts, err := w.receipts(ctx, head)
	if err != nil {
		return err
	}
	senders := make([]common.Address, len(busy))
	for i, d := range busy {
		senders[i] = d.lease.Sender
	}
	for i, nonces := range w.node.LatestNonces(ctx, senders) {
		if nonces.Err != nil {
			return nonces.Err
		}
		busy[i].see(sighting{head: head, latest: nonces.Latest, receipts: receipts})
	}
	w.seen = head
	return nil
}

// receipts reads all receipts of the blocks since the last look. None are
// returned where the gap is too large, or where the node cannot: the drivers
// then find their transactions one by one.
func (w *watcher) receipts(ctx context.Context, head uint64) ([]nodeclient.Receipt, error) {
	if w.seen == 0 || head < w.seen || head-w.seen > maxCatchUp {
		return nil, nil
	}
	var all []nodeclient.Receipt
	for n := w.seen + 1; n <= head; n++ {
		receipts, err := w.node.BlockReceipts(ctx, n)
		if errors.Is(err, nodeclient.ErrUnreachable) {
			return nil, err
		}
		if err != nil {
			return nil, nil //nolint:nilerr // no such block or method here: see above
		}
		all = append(all, receipts...)
	}
	return all, nil
}
