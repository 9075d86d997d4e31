package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"time"

	"github.com/ethereum/go-ethereum/core/types"
	"github.com/holiman/uint256"
	"golang.org/x/sync/errgroup"

	"github.com/slipwayhq/slipway/internal/failpoint"
	"github.com/slipwayhq/slipway/internal/signing"
)

// signNext takes the next queued transactions, prepares and signs them, commits
// the signed bytes and offers them to the node. It says how much it moved.
func (d *driver) signNext(ctx context.Context) (progress, error) {
	room := min(d.window-d.slots.len(), d.cfg.BatchSize)
	if room <= 0 || failpoint.Now().Before(d.signAfter) {
		return nothing, nil
	}
	c := &claim{sender: d.lease.Sender, most: room}
	if err := d.claims.add(ctx, c); err != nil {
		return nothing, err
	}
	if c.err != nil || len(c.list) == 0 {
		return nothing, c.err
	}
	failpoint.Hit("after_claim")
	ready, ended, err := d.prepare(ctx, c.list)
	if err != nil {
		return nothing, err
	}
	did := nothing
	if ended > 0 {
		did = something
	}
	if len(ready) == 0 {
		return did, nil
	}
	signed, err := d.sign(ctx, ready)
	if err != nil || len(signed) == 0 {
		return did, err
	}
	failpoint.Hit("after_sign")
	err = d.commit(ctx, signed)
	if errors.Is(err, errClaimChanged) {
		return something, nil // nothing was given out: claim anew
	}
	if err != nil {
		return nothing, err
	}
	did = something
	if len(signed) == len(c.list) && len(c.list) < room {
		did = everything
	}
	_, err = d.sendUnsent(ctx)
	return did, err
}

// prepared is a transaction with everything but its nonce.
type prepared struct {
	claimed
	gas  uint64
	fees Fees
}

// signAtOnce is how many signatures of a sender are asked for at the same time.
// A key service takes tens of milliseconds for each.
const signAtOnce = 8

// sign gives nonces from nextNonce on and signs. When a signature fails, those
// before it go on and the rest stays queued: no gap can arise.
func (d *driver) sign(ctx context.Context, ready []prepared) ([]signedTx, error) {
	key, err := d.keys.Signer(d.lease.Sender)
	if err != nil {
		return nil, d.cannotSign(ctx, ready[0].claimed, err)
	}
	chain := types.LatestSignerForChainID(new(big.Int).SetUint64(d.cfg.ChainID))
	signed, errs := make([]signedTx, len(ready)), make([]error, len(ready))
	var group errgroup.Group
	group.SetLimit(signAtOnce)
	for i, p := range ready {
		group.Go(func() error {
			tx := types.NewTx(txData(p, d.cfg.ChainID, d.nextNonce+uint64(i)))
			raw, hash, err := signTx(ctx, key, chain, tx)
			signed[i] = signedTx{id: p.id, version: p.version, nonce: tx.Nonce(), raw: raw, hash: hash, fees: p.fees, isPriced: p.request.Fees.IsZero()}
			errs[i] = err
			failpoint.Hit("mid_batch")
			return nil
		})
	}
	_ = group.Wait() // the errors are the transactions' own
	for i, err := range errs {
		if err != nil {
			if i > 0 {
				d.signPause.reset() // it does sign, only not everything at once
			}
			return signed[:i], d.cannotSign(ctx, ready[i].claimed, err)
		}
	}
	d.signPause.reset()
	return signed, nil
}

// cannotSign deals with a key that does not sign: one that will not until
// somebody does something pauses its sender, any other is tried again.
func (d *driver) cannotSign(ctx context.Context, c claimed, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	d.metrics.failures.WithLabelValues("signer").Inc()
	var permanent *signing.PermanentError
	if errors.As(err, &permanent) || errors.Is(err, signing.ErrDisabledSigner) {
		d.log.ErrorContext(ctx, "the key will not sign, the sender is paused", slog.Any("tx_id", c.id), slog.Any("err", err))
		return d.store.SetSenderState(ctx, d.lease.Sender, SenderPaused, err.Error())
	}
	level := slog.LevelWarn
	if d.signPause.last > 0 {
		level = slog.LevelDebug
	}
	d.log.Log(ctx, level, "signature failed, trying again", slog.Any("tx_id", c.id), slog.Any("err", err))
	d.signAfter = failpoint.Now().Add(d.signPause.next())
	return d.noteClaimed(ctx, []claimed{c}, WaitingForSigner)
}

func signTx(ctx context.Context, key signing.Signer, chain types.Signer, tx *types.Transaction) ([]byte, [32]byte, error) {
	signedTx, err := signing.SignTransaction(ctx, key, tx, chain)
	if err = errors.Join(err, failpoint.Error("signer")); err != nil {
		return nil, [32]byte{}, err
	}
	raw, err := signedTx.MarshalBinary()
	if err != nil {
		return nil, [32]byte{}, fmt.Errorf("encode transaction: %w", err)
	}
	return raw, signedTx.Hash(), nil
}

// txData chooses the transaction type by the kind of price: legacy (EIP-155),
// 0x1 when an access list comes with a gas price, even an empty one (EIP-2930), else 0x2 (EIP-1559);
// 0x4 with authorizations (EIP-7702).
func txData(p prepared, chainID, nonce uint64) types.TxData {
	r := p.request
	switch {
	case len(r.Authorizations) > 0:
		return &types.SetCodeTx{
			ChainID: uint256.NewInt(chainID), Nonce: nonce, GasTipCap: capped(p.fees.MaxTip), GasFeeCap: capped(p.fees.MaxFee),
			Gas: p.gas, To: *r.To, Value: capped(r.Value), Data: r.Data, AccessList: r.AccessList, AuthList: r.Authorizations,
		}
	case p.fees.GasPrice == nil:
		return &types.DynamicFeeTx{
			ChainID: new(big.Int).SetUint64(chainID), Nonce: nonce, GasTipCap: p.fees.MaxTip, GasFeeCap: p.fees.MaxFee,
			Gas: p.gas, To: r.To, Value: r.Value, Data: r.Data, AccessList: r.AccessList,
		}
	case r.AccessList != nil:
		return &types.AccessListTx{
			ChainID: new(big.Int).SetUint64(chainID), Nonce: nonce, GasPrice: p.fees.GasPrice,
			Gas: p.gas, To: r.To, Value: r.Value, Data: r.Data, AccessList: r.AccessList,
		}
	default:
		return &types.LegacyTx{Nonce: nonce, GasPrice: p.fees.GasPrice, Gas: p.gas, To: r.To, Value: r.Value, Data: r.Data}
	}
}

// capped turns a number of wei into 256 bits. Prices that were added up may be
// above what anybody can pay: they stay so.
func capped(v *big.Int) *uint256.Int {
	out, overflow := uint256.FromBig(v)
	if overflow {
		return new(uint256.Int).SetAllOne()
	}
	return out
}

// newCommits gathers what the drivers commit, and counts what came of it: here
// and not by the drivers, who may be told to stop before they hear of it.
func newCommits(store *Store, m *metrics) *gather[*commitment] {
	return &gather[*commitment]{most: maxCommitments, atOnce: 1, write: func(ctx context.Context, list []*commitment) {
		store.commitBatch(ctx, list)
		for _, c := range list {
			m.commits.WithLabelValues(commitOutcome(c.err)).Inc()
		}
	}}
}

func commitOutcome(err error) string {
	switch {
	case err == nil:
		return "committed"
	case errors.Is(err, errFenced):
		return "fenced"
	case errors.Is(err, errClaimChanged):
		return "changed"
	default:
		return "failed"
	}
}

// commit makes the signed bytes durable; only then may they leave.
func (d *driver) commit(ctx context.Context, signed []signedTx) error {
	start := time.Now()
	c := &commitment{lease: d.lease, txs: signed}
	err := d.commits.add(ctx, c)
	if err == nil {
		err = c.err
	}
	d.metrics.toCommit.WithLabelValues().Observe(time.Since(start).Seconds())
	if err != nil {
		// Unless the store says what is wrong it may have been committed all the
		// same: the session ends and reads anew.
		return err
	}

	added := make([]*slot, len(signed))
	for i, t := range signed {
		added[i] = &slot{nonce: t.nonce, txID: t.id, isPriced: t.isPriced, attempts: []attempt{{raw: t.raw, hash: t.hash, fees: t.fees}}}
		d.waiters.tell(t.id, notice{signed: &signature{nonce: t.nonce, hash: t.hash}})
	}
	d.slots.add(added)
	d.open.Store(int64(d.slots.len()))
	d.nextNonce += uint64(len(signed))
	return nil
}
