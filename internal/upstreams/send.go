package upstreams

import (
	"context"
	"encoding/hex"
	"strings"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/slipwayhq/slipway/internal/methods"
)

// settleSend turns two refusals of a signed transaction into what they mean. A
// node that has the transaction already has taken it: the answer is its hash.
// A nonce that is too low is success when the account's transaction with that
// nonce is this one, which the same node is asked.
func (p *Pool) settleSend(ctx context.Context, req Request, fs Failsafe, v verdict) verdict {
	if v.outcome != OutcomeKnown && v.outcome != OutcomeNonceLow {
		return v
	}
	hash, ok := transactionHash(req.Params)
	known := v.outcome == OutcomeKnown
	if ok && !known {
		known = p.hasTransaction(ctx, v.upstream, fs, hash)
	}
	if ok && known {
		return verdict{outcome: OutcomeOK, result: []byte(`"` + hash + `"`), upstream: v.upstream}
	}
	v.outcome = OutcomeClientFault
	return v
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
func (p *Pool) hasTransaction(ctx context.Context, u *Upstream, fs Failsafe, hash string) bool {
	const method = "eth_getTransactionByHash"
	params := []byte(`["` + hash + `"]`)
	v := p.attempt(ctx, u, fs, p.single(Request{
		Method: method, Params: params, Facts: p.catalogue.Describe(method, params),
	}))
	return v.outcome == OutcomeOK
}
