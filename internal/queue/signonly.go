package queue

import (
	"context"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/core/types"

	"github.com/slipwayhq/slipway/internal/signing"
)

// SignOnly signs a request and returns its bytes. Nothing is sent, stored or
// counted: the nonce is the caller's own business, and so are gas and prices,
// all of which the request must have.
func SignOnly(ctx context.Context, key signing.Signer, chainID uint64, r Request) ([]byte, error) {
	if r.Value == nil {
		r.Value = new(big.Int)
	}
	tx := types.NewTx(txData(prepared{claimed: claimed{request: r}, gas: r.Gas, fees: r.Fees}, chainID, *r.Nonce))
	raw, _, err := signTx(ctx, key, types.LatestSignerForChainID(new(big.Int).SetUint64(chainID)), tx)
	if err != nil {
		return nil, fmt.Errorf("sign transaction: %w", err)
	}
	return raw, nil
}
