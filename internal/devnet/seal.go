package devnet

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/miner"
)

// seal makes the next block and shows it. What go-ethereum's own simulated
// beacon does in one step happens here in two, because the database buffers
// its writes and loses the last ones when the process is killed: first the
// block and its state are on disk, then the block becomes the head and clients
// can see it. So a receipt that a client has seen survives any kill, as it does
// on a network of validators; adoptSealed does the rest at the next start.
//
// The finalized and safe tags stay unset, as they are on a QBFT network.
func (n *runningNode) seal(ctx context.Context, now time.Time) (common.Hash, error) {
	block, err := n.build(now, Mark{})
	if err != nil {
		return common.Hash{}, err
	}
	return block.Hash(), n.show(ctx, block)
}

// show makes a block that follows the head the new head.
func (n *runningNode) show(ctx context.Context, block *types.Block) error {
	chain := n.eth.BlockChain()
	if _, err := chain.InsertBlockWithoutSetHead(ctx, block, false); err != nil {
		return fmt.Errorf("insert: %w", err)
	}
	if err := n.eth.ChainDb().SyncKeyValue(); err != nil {
		return fmt.Errorf("write to disk: %w", err)
	}
	if _, err := chain.SetCanonical(block); err != nil {
		return fmt.Errorf("make it the head: %w", err)
	}
	return nil
}

// build assembles a block of the transactions that wait in the pool.
func (n *runningNode) build(now time.Time, mark Mark) (*types.Block, error) {
	// The pool drops mined transactions in the background; without waiting for
	// that the next block would be built from what the last one contained.
	if err := n.eth.TxPool().Sync(); err != nil {
		return nil, fmt.Errorf("wait for the transaction pool: %w", err)
	}
	parent := n.eth.BlockChain().CurrentBlock()
	var random common.Hash
	_, _ = rand.Read(random[:]) // never fails
	block, _, err := n.eth.Miner().BuildTestingPayload(&miner.BuildPayloadArgs{
		Parent:       parent.Hash(),
		Timestamp:    max(uint64(now.Unix()), parent.Time+1),
		FeeRecipient: mark.Proposer,
		Random:       random,
		Withdrawals:  types.Withdrawals{},
		BeaconRoot:   &common.Hash{},
	}, nil, false, mark.Extra)
	if err != nil {
		return nil, fmt.Errorf("build: %w", err)
	}
	return block, nil
}
