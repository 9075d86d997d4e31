package upstreams

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/slipwayhq/slipway/internal/methods"
)

// lookupTimeout bounds the search for a transaction whose fate is in doubt. It
// has its own time, because the caller's may be up just then.
const lookupTimeout = 3 * time.Second

// send takes a signed transaction through the attempt loop and, where the pool
// broadcasts, to further nodes at the same time. It executes once however often
// it is sent, so that it is a success as soon as any node is known to have it:
// a failure is told only after it was looked for.
func (p *Pool) send(ctx context.Context, req Request, fs Failsafe, left []*Upstream) (Reply, error) {
	attempts, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	further := left[1:min(len(left), p.cfg.Broadcast)]
	results, count := p.spread(ctx, req, further, p.cfg.SendTimeout, func() { cancel(errTaken) })

	reply, err := p.loop(attempts, req, fs, left)
	if err == nil && reply.Error == nil {
		return reply, nil
	}
	if errors.Is(context.Cause(attempts), errTaken) {
		// What was cut short may not have reached it. It had its time, so this is short.
		p.spread(ctx, req, left[:1], min(p.cfg.SendTimeout, lookupTimeout), func() {})
	}
	for range count { // bounded by the send timeout
		select {
		case v := <-results:
			if v.outcome == OutcomeOK {
				return v.reply(), nil
			}
		case <-ctx.Done():
		}
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return Reply{}, context.Cause(ctx) // nobody waits for the answer
	}
	if err != nil || reply.isInDoubt {
		if found, ok := p.findSent(ctx, req); ok {
			return found, nil
		}
	}
	if err != nil && ctx.Err() != nil {
		return Reply{}, context.Cause(ctx)
	}
	return reply, err
}

// findSent looks for a transaction over all nodes.
func (p *Pool) findSent(ctx context.Context, req Request) (Reply, bool) {
	hash, ok := transactionHash(req.Params)
	if !ok {
		return Reply{}, false
	}
	u := p.whoHas(ctx, hash, p.candidates(req.Facts))
	if u == nil {
		return Reply{}, false
	}
	return sentReply(hash, u), true
}

// whoHas asks nodes at the same time for a transaction and returns the first
// that has it, or nil.
func (p *Pool) whoHas(ctx context.Context, hash string, nodes []*Upstream) *Upstream {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookupTimeout)
	defer cancel()
	var found atomic.Pointer[Upstream]
	var all sync.WaitGroup
	for _, u := range nodes {
		all.Go(func() {
			if p.hasTransaction(ctx, u, hash) {
				found.CompareAndSwap(nil, u)
				cancel()
			}
		})
	}
	all.Wait()
	return found.Load()
}

func sentReply(hash string, u *Upstream) Reply {
	return verdict{outcome: OutcomeOK, result: []byte(`"` + hash + `"`), upstream: u}.reply()
}

// settleSend turns two refusals of a signed transaction into what they mean. A
// node that has the transaction already has taken it: the answer is its hash.
// A nonce that is too low is success when the account's transaction with that
// nonce is this one, for which the same node is asked and then the others.
func (p *Pool) settleSend(ctx context.Context, req Request, v verdict) verdict {
	if v.outcome != OutcomeKnown && v.outcome != OutcomeNonceLow {
		return v
	}
	hash, ok := transactionHash(req.Params)
	if ok && (v.outcome == OutcomeKnown || p.isKnown(ctx, req, hash, v.upstream)) {
		return verdict{outcome: OutcomeOK, result: []byte(`"` + hash + `"`), upstream: v.upstream}
	}
	v.outcome = OutcomeClientFault
	return v
}

// isKnown says whether the network knows a transaction that a node refused.
func (p *Pool) isKnown(ctx context.Context, req Request, hash string, refuser *Upstream) bool {
	if p.hasTransaction(ctx, refuser, hash) {
		return true
	}
	var others []*Upstream
	for _, u := range p.candidates(req.Facts) {
		if u != refuser {
			others = append(others, u)
		}
	}
	return p.whoHas(ctx, hash, others) != nil
}

// blobTransaction is the first byte of a type 3 transaction (EIP-4844). It is
// sent together with its blobs, which are not part of its hash.
const blobTransaction = 3

// transactionHash computes the hash of the raw transaction in the parameters.
func transactionHash(params []byte) (string, bool) {
	text, ok := methods.FirstString(params)
	if !ok || !strings.HasPrefix(text, "0x") {
		return "", false
	}
	raw, err := hex.DecodeString(text[2:])
	if err != nil || len(raw) == 0 || raw[0] == blobTransaction {
		return "", false
	}
	return "0x" + hex.EncodeToString(crypto.Keccak256(raw)), true
}

// hasTransaction asks one node whether it knows a transaction.
func (p *Pool) hasTransaction(ctx context.Context, u *Upstream, hash string) bool {
	const method = "eth_getTransactionByHash"
	params := []byte(`["` + hash + `"]`)
	v := p.attempt(ctx, u, once(p.cfg.SendTimeout), p.single(Request{
		Method: method, Params: params, Facts: p.catalogue.Describe(method, params),
	}))
	return v.outcome == OutcomeOK
}
