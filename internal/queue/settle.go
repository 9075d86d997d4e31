package queue

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"

	"github.com/slipwayhq/slipway/internal/failpoint"
	"github.com/slipwayhq/slipway/internal/nodeclient"
)

// settle works through what the watcher saw: receipts of ours end their
// transactions once they have enough confirmations.
func (d *driver) settle(ctx context.Context, sightings []sighting) error {
	if len(sightings) == 0 || d.slots.len() == 0 {
		return nil
	}
	newest := sightings[len(sightings)-1]
	d.head = max(d.head, newest.head)
	var mined []*slot
	for _, seen := range sightings {
		for i := range seen.receipts {
			if s := d.slots.byHash[seen.receipts[i].TxHash]; s != nil && s.mined == nil {
				s.mined = &seen.receipts[i]
				mined = append(mined, s)
			}
		}
	}
	if err := d.record(ctx, mined, newest.head); err != nil {
		return err
	}
	if err := d.confirm(ctx, newest.head); err != nil {
		return err
	}
	return d.explainUsed(ctx, newest)
}

// record stores the receipts of slots that were just found in a block, and lets
// go of those that are final already.
func (d *driver) record(ctx context.Context, mined []*slot, head uint64) error {
	if len(mined) == 0 {
		return nil
	}
	list := make([]settled, len(mined))
	done := map[*slot]bool{}
	for i, s := range mined {
		final := head+1 >= s.mined.BlockNumber+d.cfg.Confirmations
		list[i] = settled{txID: s.txID, nonce: s.nonce, cancels: s.isCancelled(), receipt: receiptOf(*s.mined, final)}
		done[s] = final
	}
	d.slots.remove(done)
	d.lowWater = d.slots.lowWater(d.nextNonce)
	d.patience = d.cfg.ResendAfter
	d.sendPause.reset()
	d.window = min(d.cfg.Window, d.window+len(mined)) // room was made: try more again
	d.sends.flush(ctx)                                // so that the history says what came first
	failpoint.Hit("after_receipt")
	s := &settlement{sender: d.lease.Sender, list: list, lowWater: d.lowWater, window: d.window}
	if err := d.settlements.add(ctx, s); err != nil {
		return err
	}
	if s.err != nil {
		return s.err
	}
	failpoint.Hit("after_settle")
	ids := make([]uuid.UUID, len(list))
	for i, e := range list {
		ids[i] = e.txID
		if e.receipt.Final {
			d.metrics.ended.WithLabelValues(string(endOf(e))).Inc()
		}
	}
	d.moved(ids...)
	return nil
}

func endOf(e settled) Status {
	switch {
	case e.cancels:
		return StatusCancelled
	case e.receipt.Success:
		return StatusConfirmed
	default:
		return StatusReverted
	}
}

func receiptOf(r nodeclient.Receipt, final bool) Receipt {
	return Receipt{
		Hash: r.TxHash, BlockNumber: r.BlockNumber, BlockHash: r.BlockHash, Success: r.Success,
		GasUsed: r.GasUsed, EffectiveGasPrice: r.EffectiveGasPrice, Contract: r.Contract, Final: final,
	}
}

// confirm looks once more at mined transactions that have enough
// confirmations: a reorganisation may have moved them or thrown them out.
func (d *driver) confirm(ctx context.Context, head uint64) error {
	ripe := d.slots.ripe(head, d.cfg.Confirmations)
	if len(ripe) == 0 {
		return nil
	}
	hashes := make([]common.Hash, len(ripe))
	for i, s := range ripe {
		hashes[i] = s.mined.TxHash
	}
	receipts, err := d.node.Receipts(ctx, hashes)
	if err != nil {
		return err
	}
	var still []*slot
	for i, s := range ripe {
		if receipts[i] != nil {
			s.mined = receipts[i]
			still = append(still, s)
			continue
		}
		d.log.WarnContext(ctx, "a reorganisation took a transaction out of its block", slog.Any("tx_id", s.txID))
		s.mined, s.sent = nil, false
		if err := d.store.Unmine(ctx, d.lease.Sender, s.nonce, s.txID); err != nil {
			return err
		}
	}
	return d.record(ctx, still, head)
}

// explainUsed looks after slots whose nonce the chain has used though no block
// that was read held a transaction of ours.
func (d *driver) explainUsed(ctx context.Context, seen sighting) error {
	used := d.slots.used(seen.latest)
	if len(used) == 0 {
		return nil
	}
	if err := d.lookUpAt(ctx, used, seen.head); err != nil {
		return err
	}
	for _, s := range d.slots.used(seen.latest) {
		s.missing++
		if s.missing == 1 {
			s.missingSince = failpoint.Now()
		}
		if isStolen(*s, failpoint.Now(), d.cfg.StolenAfter) {
			if err := d.giveUp(ctx, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// stolenAfterHeads is at how many heads a used nonce must have been without a
// receipt of ours, beside Config.StolenAfter.
const stolenAfterHeads = 5

// isStolen decides from what was seen of a slot. It is pure.
func isStolen(s slot, now time.Time, after time.Duration) bool {
	return s.missing >= stolenAfterHeads && now.Sub(s.missingSince) >= after
}

// giveUp ends a transaction whose nonce another transaction used for good:
// every signed byte string of ours for it is void for ever.
func (d *driver) giveUp(ctx context.Context, s *slot) error {
	for _, a := range s.attempts {
		known, err := d.node.Knows(ctx, a.hash)
		if err != nil {
			return err
		}
		if known {
			s.missing = 0
			return nil
		}
	}
	d.log.ErrorContext(ctx, "a nonce was used by a transaction that is not ours: is the key used elsewhere?",
		slog.Any("tx_id", s.txID), slog.Uint64("nonce", s.nonce))
	reason := Reason{Code: ReasonNonceTaken, Message: "the nonce of this transaction was used by another transaction of the same account"}
	if err := d.store.MarkStolen(ctx, d.lease, s.nonce, s.txID, reason); err != nil {
		return err
	}
	d.metrics.stolen.WithLabelValues().Inc()
	d.metrics.ended.WithLabelValues(string(StatusFailed)).Inc()
	d.slots.remove(map[*slot]bool{s: true})
	d.moved(s.txID)
	return nil
}

// lookUp asks for the receipts of slots one by one, as after a start.
func (d *driver) lookUp(ctx context.Context, slots []*slot) error {
	head, err := d.node.BlockNumber(ctx)
	if err != nil {
		return err
	}
	d.head = max(d.head, head)
	return d.lookUpAt(ctx, slots, head)
}

func (d *driver) lookUpAt(ctx context.Context, slots []*slot, head uint64) error {
	var hashes []common.Hash
	var owners []*slot
	for _, s := range slots {
		for _, a := range s.attempts {
			hashes, owners = append(hashes, a.hash), append(owners, s)
		}
	}
	receipts, err := d.node.Receipts(ctx, hashes)
	if err != nil {
		if errors.Is(err, nodeclient.ErrUnreachable) {
			return err
		}
		return errors.Join(nodeclient.ErrUnreachable, err)
	}
	var found []*slot
	for i, r := range receipts {
		if s := owners[i]; r != nil && s.mined == nil {
			s.mined = r
			found = append(found, s)
		}
	}
	return d.record(ctx, found, head)
}
