package queue

import (
	"context"
	"math/big"

	"github.com/ethereum/go-ethereum/common"

	"github.com/slipwayhq/slipway/internal/nodeclient"
)

// Node is what the queue needs of the chain; *nodeclient.Client is one.
//
//nolint:interfacebloat // it is exactly the calls the queue makes, and has one fake
type Node interface {
	ChainID(ctx context.Context) (uint64, error)
	GenesisHash(ctx context.Context) (common.Hash, error)
	Head(ctx context.Context) (nodeclient.Head, error)
	BlockNumber(ctx context.Context) (uint64, error)
	GasPrice(ctx context.Context) (*big.Int, error)
	PriorityFee(ctx context.Context) (*big.Int, error)
	MedianTip(ctx context.Context) (*big.Int, error)
	Nonces(ctx context.Context, accounts []common.Address) []nodeclient.Nonces
	LatestNonces(ctx context.Context, accounts []common.Address) []nodeclient.Nonces
	EstimateGas(ctx context.Context, msgs []nodeclient.CallMsg) []nodeclient.Estimate
	SendRaw(ctx context.Context, raws [][]byte, hashes []common.Hash) []nodeclient.SendResult
	Receipts(ctx context.Context, hashes []common.Hash) ([]*nodeclient.Receipt, error)
	BlockReceipts(ctx context.Context, number uint64) ([]nodeclient.Receipt, error)
	Knows(ctx context.Context, hash common.Hash) (bool, error)
}
