package queue

import (
	"context"
	"log/slog"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"

	"github.com/slipwayhq/slipway/internal/failpoint"
	"github.com/slipwayhq/slipway/internal/nodeclient"
)

// sendUnsent offers committed bytes to the node, ascending by nonce: those it
// has not taken yet, and everything again when the lowest is overdue. It says
// whether it sent anything.
func (d *driver) sendUnsent(ctx context.Context) (bool, error) {
	now := failpoint.Now()
	if d.slots.overdue(now, d.patience) {
		d.log.InfoContext(ctx, "no block took the lowest open transaction, sending all again", slog.Int("open", d.slots.len()))
		d.metrics.resentRuns.WithLabelValues().Inc()
		for _, s := range d.slots.list {
			s.sent = false
		}
		d.patience = min(2*d.patience, 6*d.cfg.ResendAfter)
		d.sendPause.reset()
	}
	due := d.slots.unsent()
	if len(due) == 0 || !d.mayOffer(due[0], now) {
		return false, nil
	}
	for len(due) > 0 {
		chunk := due[:min(len(due), d.cfg.BatchSize)]
		due = due[len(chunk):]
		goOn, err := d.offer(ctx, chunk)
		if err != nil || !goOn {
			return true, err
		}
	}
	d.sendPause.reset()
	return true, nil
}

// mayOffer paces repeated offers of what the node did not take.
func (d *driver) mayOffer(s *slot, now time.Time) bool {
	return s.lastSent.IsZero() || d.sendPause.last == 0 || now.Sub(s.lastSent) >= d.sendPause.last
}

// offer sends a chunk and notes the answers. It says whether higher nonces
// should follow now: not when one was refused, since they would only queue up
// behind it.
func (d *driver) offer(ctx context.Context, chunk []*slot) (bool, error) {
	raws, hashes := make([][]byte, len(chunk)), make([]common.Hash, len(chunk))
	for i, s := range chunk {
		raws[i], hashes[i] = s.newest().raw, s.newest().hash
	}
	failpoint.Hit("before_send")
	results := d.node.SendRaw(ctx, raws, hashes)
	failpoint.Hit("after_reply_before_update")

	now := failpoint.Now()
	records := make([]sendRecord, len(chunk))
	goOn := true
	for i, r := range results {
		s := chunk[i]
		d.metrics.sends.WithLabelValues(r.Outcome.String()).Inc()
		s.lastSent = now
		s.offered(now, d.head)
		s.sent = isTaken(r.Outcome)
		if s.sent {
			s.waiting = ""
		}
		goOn = goOn && s.sent
		if r.Outcome == nodeclient.SendTooFarAhead && d.window > minWindow {
			d.window = max(minWindow, d.window*3/4)
			d.log.InfoContext(ctx, "the node takes fewer open nonces, window shrunk", slog.Int("window", d.window))
		}
		records[i] = sendRecord{txID: s.txID, hash: hashes[i], taken: s.sent, code: r.Code, message: r.Message}
	}
	if !goOn {
		d.sendPause.next()
		d.logRefusals(ctx, results)
	}
	d.sends.add(records)
	return goOn, d.noteWaiting(ctx, chunk, results)
}

// minWindow keeps a sender moving however small the node's pool is.
const minWindow = 4

// isTaken says whether there is nothing to do but wait for the block. "Known"
// and "nonce used" are among them: the watcher will find which of our attempts
// was mined, and an overdue slot is sent again anyhow.
func isTaken(o nodeclient.SendOutcome) bool {
	switch o {
	case nodeclient.SendAccepted, nodeclient.SendKnown, nodeclient.SendNonceUsed:
		return true
	default:
		return false
	}
}

func (d *driver) logRefusals(ctx context.Context, results []nodeclient.SendResult) {
	for _, r := range results {
		if !isTaken(r.Outcome) {
			d.log.WarnContext(ctx, "the node did not take a transaction, it will be offered again",
				slog.String("outcome", r.Outcome.String()), slog.Int("code", r.Code), slog.String("message", r.Message))
			return // one line a chunk
		}
	}
}

// noteWaiting writes down why transactions wait, where that changed.
func (d *driver) noteWaiting(ctx context.Context, chunk []*slot, results []nodeclient.SendResult) error {
	changed := map[string][]uuid.UUID{}
	for i, r := range results {
		if why := waitingFor(r.Outcome); why != "" && why != chunk[i].waiting {
			changed[why] = append(changed[why], chunk[i].txID)
			chunk[i].waiting = why
		}
	}
	for why, ids := range changed {
		if err := d.store.SetSubstatus(ctx, ids, why); err != nil {
			return err
		}
	}
	return nil
}

// waitingFor names the reason of a refusal for the reader.
func waitingFor(o nodeclient.SendOutcome) string {
	switch o {
	case nodeclient.SendAccepted, nodeclient.SendKnown, nodeclient.SendNonceUsed:
		return ""
	case nodeclient.SendInsufficientFunds:
		return WaitingForFunds
	case nodeclient.SendUnderpriced:
		return WaitingPrice
	case nodeclient.SendRefused:
		return WaitingRefused
	case nodeclient.SendGap, nodeclient.SendTooFarAhead:
		return WaitingForEarlier
	default:
		return WaitingForNode
	}
}
