package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"time"

	"github.com/ethereum/go-ethereum/core/types"
	"github.com/google/uuid"

	"github.com/slipwayhq/slipway/internal/failpoint"
	"github.com/slipwayhq/slipway/internal/nodeclient"
)

// What an attempt is for.
const (
	purposeBump   = "bump"
	purposeCancel = "cancel"
)

// improve fulfils operators' wishes, and raises the price of the lowest open
// transaction when no block takes it. Higher ones cannot be what is in the way.
// It says whether it made another attempt.
func (d *driver) improve(ctx context.Context) (bool, error) {
	now := failpoint.Now()
	if d.slots.len() == 0 || now.Before(d.signAfter) {
		return false, nil
	}
	did := false
	if now.Sub(d.wishedAt) >= pollEvery {
		d.wishedAt = now
		wishes, err := d.store.Wishes(ctx, d.lease.Sender)
		if err != nil {
			return false, err
		}
		for _, w := range wishes {
			isNew, err := d.fulfil(ctx, w)
			if err != nil {
				return did, err
			}
			did = did || isNew
		}
	}
	lowest := d.slots.lowestOpen()
	if lowest == nil || !isBumpDue(*lowest, d.head, now, d.cfg) {
		return did, nil
	}
	isNew, err := d.replace(ctx, lowest, purposeBump, Fees{})
	return did || isNew, err
}

// fulfil does what an operator asked for, if it is still possible.
func (d *driver) fulfil(ctx context.Context, w wished) (bool, error) {
	s := d.slots.ofTransaction(w.TxID)
	if s == nil || s.mined != nil {
		return false, d.store.DropWish(ctx, w.TxID)
	}
	if w.Wish == wishCancel {
		return d.replace(ctx, s, purposeCancel, Fees{})
	}
	var fees Fees
	if w.Fees != nil {
		if err := json.Unmarshal(w.Fees, &fees); err != nil {
			return false, errors.Join(fmt.Errorf("read the prices asked for: %w", err), d.store.DropWish(ctx, w.TxID))
		}
	}
	return d.replace(ctx, s, purposeBump, fees)
}

// replace signs another attempt for a slot, stores it and lets it be sent.
func (d *driver) replace(ctx context.Context, s *slot, purpose string, asked Fees) (bool, error) {
	m, err := d.market.get(ctx)
	if err != nil {
		return false, fmt.Errorf("ask for prices: %w", err)
	}
	old := s.newest()
	if old.purpose == purposeCancel {
		purpose = purposeCancel // what is being cancelled stays so
	}
	fees := raisedFees(old.fees, asked, m)
	if isAbove(fees, d.cfg.MaxFeePerGas) {
		s.bumpedAt = failpoint.Now() // ask again after a while
		d.log.WarnContext(ctx, "the price cannot be raised further", slog.Any("tx_id", s.txID), slog.Uint64("max_fee_per_gas", d.cfg.MaxFeePerGas))
		return false, errors.Join(d.store.SetSubstatus(ctx, []uuid.UUID{s.txID}, WaitingAtCap), d.store.DropWish(ctx, s.txID))
	}
	if fees.equal(old.fees) && (purpose == purposeBump || old.purpose == purposeCancel) {
		s.sent = false // nothing to raise where gas is free: the same bytes once more
		return false, d.store.DropWish(ctx, s.txID)
	}
	data, err := d.replacementData(ctx, old, purpose, fees)
	if err != nil {
		return false, err
	}
	key, err := d.keys.Signer(d.lease.Sender)
	if err != nil {
		return false, d.cannotSign(ctx, claimed{id: s.txID}, err)
	}
	raw, hash, err := signTx(ctx, key, types.LatestSignerForChainID(new(big.Int).SetUint64(d.cfg.ChainID)), types.NewTx(data))
	if err != nil {
		return false, d.cannotSign(ctx, claimed{id: s.txID}, err)
	}
	next := attempt{seq: old.seq + 1, purpose: purpose, raw: raw, hash: hash, fees: fees}
	err = d.store.Replace(ctx, d.lease, replacement{
		txID: s.txID, nonce: s.nonce, seq: next.seq, purpose: purpose, raw: raw, hash: hash, fees: fees,
	})
	if errors.Is(err, errClaimChanged) {
		return false, d.store.DropWish(ctx, s.txID)
	}
	if err != nil {
		return false, err
	}
	d.log.InfoContext(ctx, "another attempt for a nonce", slog.Any("tx_id", s.txID), slog.Uint64("nonce", s.nonce), slog.String("purpose", purpose))
	d.metrics.replaced.WithLabelValues(purpose).Inc()
	d.slots.attempted(s, next, failpoint.Now())
	d.sendPause.reset()
	d.moved(s.txID)
	return true, nil
}

// replacementData is the transaction of a slot with other prices, or a transfer
// of nothing to the sender in its place.
func (d *driver) replacementData(ctx context.Context, old attempt, purpose string, fees Fees) (types.TxData, error) {
	var tx types.Transaction
	if err := tx.UnmarshalBinary(old.raw); err != nil {
		return nil, fmt.Errorf("read stored transaction: %w", err)
	}
	p := prepared{gas: tx.Gas(), fees: fees, claimed: claimed{request: Request{
		To: tx.To(), Value: tx.Value(), Data: tx.Data(), AccessList: tx.AccessList(), Authorizations: tx.SetCodeAuthorizations(),
	}}}
	if purpose == purposeCancel {
		self := d.lease.Sender
		p.request = Request{To: &self, Value: new(big.Int)}
		p.gas = plainTransferGas
		// An account with delegated code (EIP-7702) burns more.
		if e := d.node.EstimateGas(ctx, []nodeclient.CallMsg{{From: self, To: &self, Value: new(big.Int)}})[0]; e.Err == nil && e.Gas > p.gas {
			p.gas = e.Gas + e.Gas*d.cfg.GasMargin/100
		}
	}
	return txData(p, d.cfg.ChainID, tx.Nonce()), nil
}

// bumpBlocks is how many blocks must have passed a transaction by before its
// price is raised: a single block may have been full or empty by chance.
const bumpBlocks = 3

// isBumpDue decides whether the lowest open slot needs a higher price. It is pure.
func isBumpDue(s slot, head uint64, now time.Time, cfg Config) bool {
	newest := s.newest()
	bumps := len(s.attempts) - 1
	// The pauses double, so that a long jam does not end in a bidding of our own.
	pause := cfg.BumpAfter << min(bumps, 10)
	switch {
	case !s.isPriced || newest.fees.isFree() || newest.firstSent.IsZero() || bumps >= maxBumps || now.Sub(s.bumpedAt) < cfg.BumpAfter:
		return false
	case s.waiting == WaitingPrice: // the node itself says so
		return now.Sub(newest.firstSent) >= min(pause, cfg.ResendAfter<<min(bumps, 10))
	default:
		return s.sent && now.Sub(newest.firstSent) >= pause && head >= newest.sentAt+bumpBlocks
	}
}

// maxBumps ends the raising: beyond it an operator has to look.
const maxBumps = 10

// raisedFees are prices that replace others: what the market asks, or the
// caller, and at least an eighth more than before. Nodes want 10 % (Besu
// --tx-pool-price-bump, geth --txpool.pricebump).
func raisedFees(old, asked Fees, m market) Fees {
	if old.GasPrice != nil {
		return Fees{GasPrice: most(raised(old.GasPrice), asked.GasPrice, asked.MaxFee, m.gasPrice)}
	}
	tip := most(raised(old.MaxTip), asked.MaxTip, asked.GasPrice, m.tip)
	fee := most(raised(old.MaxFee), asked.MaxFee, asked.GasPrice, feeCap(m, new(big.Int)))
	if m.tip != nil && m.tip.Sign() > 0 {
		fee = most(fee, feeCap(m, tip))
	}
	return Fees{MaxFee: most(fee, tip), MaxTip: tip}
}

// raised is an eighth more, rounded up; nothing stays nothing.
func raised(v *big.Int) *big.Int {
	more := new(big.Int).Add(v, big.NewInt(7))
	more.Rsh(more, 3)
	return more.Add(more, v)
}

// most is the largest; nil counts as nothing.
func most(values ...*big.Int) *big.Int {
	out := new(big.Int)
	for _, v := range values {
		if v != nil && v.Cmp(out) > 0 {
			out = v
		}
	}
	return out
}

// isFree says whether nothing is paid.
func (f Fees) isFree() bool {
	return most(f.GasPrice, f.MaxFee, f.MaxTip).Sign() == 0
}

// isAbove says whether prices are above a limit in wei per gas; 0 is none.
func isAbove(f Fees, limit uint64) bool {
	return limit > 0 && most(f.GasPrice, f.MaxFee).Cmp(new(big.Int).SetUint64(limit)) > 0
}

func (f Fees) equal(g Fees) bool {
	same := func(a, b *big.Int) bool { return (a == nil) == (b == nil) && (a == nil || a.Cmp(b) == 0) }
	return same(f.GasPrice, g.GasPrice) && same(f.MaxFee, g.MaxFee) && same(f.MaxTip, g.MaxTip)
}
