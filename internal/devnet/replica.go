package devnet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rlp"
)

// What follows is for chains that several processes keep together. Who makes
// the next block is for them to agree upon: each proposes, and each appends what
// was agreed. Such a chain is started with Manual, and Commit is not called.

// errNotRunning says that Run has not called ready yet, or has ended.
var errNotRunning = errors.New("embedded chain: not running")

// Head is the newest block.
func (c *Chain) Head() (number uint64, hash common.Hash, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.node == nil {
		return 0, common.Hash{}, errNotRunning
	}
	head := c.node.eth.BlockChain().CurrentBlock()
	return head.Number.Uint64(), head.Hash(), nil
}

// Mark is what a proposer puts into the header of its block.
type Mark struct {
	Proposer common.Address // the header's beneficiary
	Extra    []byte         // the header's extra data, 32 bytes at most
}

// Propose makes a block of the transactions that wait, as RLP, and shows it to
// nobody.
func (c *Chain) Propose(mark Mark) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.node == nil {
		return nil, errNotRunning
	}
	block, err := c.node.build(time.Now(), mark)
	if err != nil {
		return nil, fmt.Errorf("embedded chain: propose a block: %w", err)
	}
	text, err := rlp.EncodeToBytes(block)
	if err != nil {
		return nil, fmt.Errorf("embedded chain: propose a block: %w", err)
	}
	return text, nil
}

// Append executes a block, in RLP, that follows the head, and shows it when it is
// on disk. A block that is there already, or follows another one, is refused.
func (c *Chain) Append(ctx context.Context, text []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.node == nil {
		return errNotRunning
	}
	block := new(types.Block)
	if err := rlp.DecodeBytes(text, block); err != nil {
		return fmt.Errorf("embedded chain: read a block: %w", err)
	}
	if head := c.node.eth.BlockChain().CurrentBlock(); block.ParentHash() != head.Hash() {
		return fmt.Errorf("embedded chain: block %d does not follow the head, %d", block.NumberU64(), head.Number)
	}
	if err := c.node.show(ctx, block); err != nil {
		return fmt.Errorf("embedded chain: append block %d: %w", block.NumberU64(), err)
	}
	return nil
}

// Block is a block of the chain as RLP, and nil where it has none of that number.
func (c *Chain) Block(number uint64) ([]byte, error) {
	node := c.running()
	if node == nil {
		return nil, errNotRunning
	}
	block := node.eth.BlockChain().GetBlockByNumber(number)
	if block == nil {
		return nil, nil
	}
	text, err := rlp.EncodeToBytes(block)
	if err != nil {
		return nil, fmt.Errorf("embedded chain: write block %d: %w", number, err)
	}
	return text, nil
}

// Waiting are the transactions that could be in the next block, by hash.
func (c *Chain) Waiting() (map[common.Hash][]byte, error) {
	node := c.running()
	if node == nil {
		return nil, errNotRunning
	}
	pending, _ := node.eth.TxPool().Content()
	out := make(map[common.Hash][]byte)
	for _, of := range pending {
		for _, transaction := range of {
			text, err := transaction.MarshalBinary()
			if err != nil {
				return nil, fmt.Errorf("embedded chain: write a transaction: %w", err)
			}
			out[transaction.Hash()] = text
		}
	}
	return out, nil
}

// Hear takes transactions that another process has. Those that it cannot use are
// left: their senders were answered there.
func (c *Chain) Hear(list [][]byte) error {
	node := c.running()
	if node == nil {
		return errNotRunning
	}
	heard := make([]*types.Transaction, 0, len(list))
	for _, text := range list {
		transaction := new(types.Transaction)
		if err := transaction.UnmarshalBinary(text); err != nil {
			return fmt.Errorf("embedded chain: read a transaction: %w", err)
		}
		heard = append(heard, transaction)
	}
	node.eth.TxPool().Add(heard, false)
	return nil
}
