package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/nodeclient"
)

// prepare finds gas and fees for claimed transactions, in order. It returns the
// ones that can be signed: all up to the first that has to wait, because the
// order of acceptance is the order of nonces. ended counts those it ended.
func (d *driver) prepare(ctx context.Context, queued []claimed) (ready []prepared, ended int, err error) {
	m, err := d.market.get(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("ask for prices: %w", err)
	}
	if m.head.Number < d.head { // a node behind, or another chain
		if err := d.identify(ctx, 0); err != nil {
			return nil, 0, err
		}
	}
	estimates, err := d.estimate(ctx, queued)
	if err != nil {
		return nil, 0, err
	}
	for i, c := range queued {
		// Only with nothing before it in flight does the newest block show the
		// state the transaction will meet: only then is a refusal believed.
		alone := d.slots.len() == 0 && len(ready) == 0
		fees := chooseFees(c.request.Fees, d.cfg.FeeMode, d.cfg.FixedFeePerGas, m)
		gas, verdict := judge(c, estimates[i], d.cfg.GasMargin, m.head.GasLimit, alone)
		if reason := misfit(c.request, fees, d.nextNonce+uint64(len(ready))); reason != nil && !verdict.expired {
			verdict = refusal(reason)
		}
		switch {
		case verdict.wait != "":
			return ready, ended, d.noteClaimed(ctx, queued[i:i+1], verdict.wait)
		case verdict.expired:
			err = d.store.Expire(ctx, d.lease, c)
			ended++
		case verdict.refuse != nil:
			err = d.store.Refuse(ctx, d.lease, c, *verdict.refuse)
			ended++
		default:
			if c.request.Fees.IsZero() && isAbove(fees, d.cfg.MaxFeePerGas) {
				return ready, ended, d.noteClaimed(ctx, queued[i:i+1], WaitingAtCap)
			}
			ready = append(ready, prepared{claimed: c, gas: gas, fees: fees})
			continue
		}
		if err != nil {
			return nil, ended, err
		}
		d.countEnd(ctx, c.id, verdict)
	}
	return ready, ended, nil
}

func (d *driver) countEnd(ctx context.Context, id uuid.UUID, v verdict) {
	status := StatusExpired
	if v.refuse != nil {
		status = StatusRejected
		d.log.InfoContext(ctx, "transaction rejected", slog.Any("tx_id", id), slog.String("code", v.refuse.Code))
	}
	d.metrics.ended.WithLabelValues(string(status)).Inc()
	d.moved(id)
}

// estimate asks for the gas of those that gave none. A node that does not
// answer is an error; its refusals come back with their transaction.
func (d *driver) estimate(ctx context.Context, queued []claimed) ([]nodeclient.Estimate, error) {
	out := make([]nodeclient.Estimate, len(queued))
	var at []int
	var msgs []nodeclient.CallMsg
	for i, c := range queued {
		if c.request.Gas > 0 {
			out[i].Gas = c.request.Gas
			continue
		}
		at = append(at, i)
		msgs = append(msgs, nodeclient.CallMsg{
			From: d.lease.Sender, To: c.request.To, Value: c.request.Value, Data: c.request.Data, AccessList: c.request.AccessList,
			Authorizations: c.request.Authorizations,
		})
	}
	if len(msgs) == 0 {
		return out, nil
	}
	for i, e := range d.node.EstimateGas(ctx, msgs) {
		if errors.Is(e.Err, nodeclient.ErrUnreachable) {
			return nil, fmt.Errorf("estimate gas: %w", e.Err)
		}
		out[at[i]] = e
	}
	return out, nil
}

// verdict is what is to be done with a claimed transaction; the zero value
// means: sign it.
type verdict struct {
	wait    string // why it has to wait
	expired bool
	refuse  *Reason
}

// plainTransferGas is what a transfer to an account without code burns, always.
const plainTransferGas = 21_000

// judge decides about one claimed transaction. It is pure.
func judge(c claimed, e nodeclient.Estimate, margin, blockLimit uint64, alone bool) (gas uint64, v verdict) {
	if c.expired {
		return 0, verdict{expired: true}
	}
	if e.Err != nil {
		if !alone {
			return 0, verdict{wait: WaitingForEarlier}
		}
		return 0, verdict{refuse: refusalOf(e.Err)}
	}
	gas = e.Gas
	if c.request.Gas == 0 && gas > plainTransferGas {
		gas += gas * margin / 100
		gas = min(gas, max(e.Gas, blockLimit))
	}
	if blockLimit > 0 && gas > blockLimit {
		return 0, verdict{refuse: &Reason{Code: ReasonGasLimit, Message: fmt.Sprintf("exceeds block gas limit: gas %d, limit %d", gas, blockLimit)}}
	}
	return gas, verdict{}
}

func refusal(r *Reason) verdict { return verdict{refuse: r} }

// misfit says why a request cannot become the transaction that comes next: it
// wants another nonce, or a type that the network's prices rule out. It is pure.
// The words are those of geth, which clients look for.
func misfit(r Request, fees Fees, next uint64) *Reason {
	switch {
	case r.Nonce != nil && *r.Nonce < next:
		return &Reason{Code: ReasonNonce, Message: fmt.Sprintf("nonce too low: next nonce %d, tx nonce %d", next, *r.Nonce)}
	case r.Nonce != nil && *r.Nonce > next:
		return &Reason{Code: ReasonNonce, Message: fmt.Sprintf("nonce too high: next nonce %d, tx nonce %d", next, *r.Nonce)}
	case len(r.Authorizations) > 0 && (fees.GasPrice != nil || r.To == nil):
		return &Reason{Code: ReasonUnsupported, Message: "transaction type not supported: a set-code transaction needs a recipient and prices of EIP-1559"}
	default:
		return nil
	}
}

// refusalOf turns a node's answer to eth_estimateGas into the reason shown to
// the caller, with the node's own words.
func refusalOf(err error) *Reason {
	var rpc *jsonrpc.Error
	if !errors.As(err, &rpc) {
		return &Reason{Code: ReasonPreparation, Message: "the node's gas estimate could not be read"}
	}
	r := &Reason{Code: ReasonPreparation, Message: rpc.Message}
	text := strings.ToLower(rpc.Message)
	switch {
	case rpc.Code == jsonrpc.CodeReverted || strings.Contains(text, "revert"):
		r.Code = ReasonReverted
		r.Data = strings.Trim(string(rpc.Data), `"`)
	case strings.Contains(text, "insufficient funds") || strings.Contains(text, "upfront cost exceeds"):
		r.Code = ReasonInsufficientFunds
	}
	return r
}

// noteClaimed writes down why transactions wait, where that changed.
func (d *driver) noteClaimed(ctx context.Context, list []claimed, why string) error {
	var ids []uuid.UUID
	for _, c := range list {
		if c.substatus != why {
			ids = append(ids, c.id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return d.store.SetSubstatus(ctx, ids, why)
}

// backoff doubles a pause up to a limit.
type backoff struct {
	first, most, last time.Duration
}

func (b *backoff) next() time.Duration {
	b.last = min(max(b.first, 2*b.last), b.most)
	return b.last
}

func (b *backoff) reset() { b.last = 0 }

// wait pauses until the time is over, ctx ends or wakeUp fires; a nil wakeUp
// never does.
func wait(ctx context.Context, pause time.Duration, wakeUp <-chan struct{}) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-wakeUp:
	}
}
