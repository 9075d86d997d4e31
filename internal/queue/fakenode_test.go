package queue

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/big"
	"sync"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/nodeclient"
)

// fakeChain is a node with a pool and blocks in memory. It makes a block at
// every look (BlockNumber) unless it is paused. Faults are switched on by its
// fields, under lock.
type fakeChain struct {
	mu       sync.Mutex
	chainID  uint64
	genesis  common.Hash
	gasLimit uint64
	head     uint64
	nonces   map[common.Address]uint64
	pool     map[common.Address]map[uint64]*types.Transaction
	receipts map[common.Hash]nodeclient.Receipt
	executed map[string]int // times each calldata was executed

	paused    bool // makes no blocks
	away      bool // answers nothing
	loseReply bool // takes raw transactions, but the answer gets lost
	dropAll   bool // takes raw transactions and forgets them
	maxAhead  uint64
	price     int64 // what it suggests, in wei per gas
	minTip    int64 // what a block takes at least
	reverts   func(nodeclient.CallMsg) bool
	noBlocks  bool // eth_getBlockReceipts is not there
	sends     int
	onSend    func([]common.Hash)
}

func newFakeChain(chainID uint64) *fakeChain {
	return &fakeChain{
		chainID: chainID, genesis: common.HexToHash("0x01"), gasLimit: 30_000_000, head: 1, maxAhead: 200,
		nonces: map[common.Address]uint64{}, pool: map[common.Address]map[uint64]*types.Transaction{},
		receipts: map[common.Hash]nodeclient.Receipt{}, executed: map[string]int{},
	}
}

func (c *fakeChain) set(change func(*fakeChain)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(c)
}

func (c *fakeChain) reachable() error {
	if c.away {
		return fmt.Errorf("fake: %w", nodeclient.ErrUnreachable)
	}
	return nil
}

func blockHash(n uint64) common.Hash {
	return common.Hash(sha256.Sum256(binary.BigEndian.AppendUint64(nil, n)))
}

// mine puts everything executable into a block.
func (c *fakeChain) mine() {
	c.head++
	for sender, pool := range c.pool {
		for tx := pool[c.nonces[sender]]; tx != nil && tx.GasTipCap().Int64() >= c.minTip; tx = pool[c.nonces[sender]] {
			delete(pool, c.nonces[sender])
			c.nonces[sender]++
			c.executed[string(tx.Data())]++
			c.receipts[tx.Hash()] = nodeclient.Receipt{
				TxHash: tx.Hash(), BlockNumber: c.head, BlockHash: blockHash(c.head), Success: string(tx.Data()) != "fails on chain", GasUsed: 21000,
			}
		}
	}
}

// reorganise throws a mined transaction out, and out of the pool as well.
func (c *fakeChain) reorganise(hash common.Hash, tx *types.Transaction, sender common.Address) {
	delete(c.receipts, hash)
	c.nonces[sender]--
	c.executed[string(tx.Data())]--
}

func (c *fakeChain) ChainID(context.Context) (uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.chainID, c.reachable()
}

func (c *fakeChain) GenesisHash(context.Context) (common.Hash, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.genesis, c.reachable()
}

func (c *fakeChain) Head(context.Context) (nodeclient.Head, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return nodeclient.Head{Number: c.head, Hash: blockHash(c.head), GasLimit: c.gasLimit, BaseFee: new(big.Int)}, c.reachable()
}

func (c *fakeChain) BlockNumber(context.Context) (uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.reachable(); err != nil {
		return 0, err
	}
	if !c.paused {
		c.mine()
	}
	return c.head, nil
}

func (c *fakeChain) GasPrice(context.Context) (*big.Int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return big.NewInt(c.price), c.reachable()
}

func (c *fakeChain) MedianTip(ctx context.Context) (*big.Int, error) { return c.GasPrice(ctx) }

func (c *fakeChain) PriorityFee(ctx context.Context) (*big.Int, error) { return c.GasPrice(ctx) }

func (c *fakeChain) Nonces(_ context.Context, accounts []common.Address) []nodeclient.Nonces {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]nodeclient.Nonces, len(accounts))
	for i, a := range accounts {
		pending := c.nonces[a]
		for c.pool[a][pending] != nil {
			pending++
		}
		out[i] = nodeclient.Nonces{Latest: c.nonces[a], Pending: pending, Err: c.reachable()}
	}
	return out
}

func (c *fakeChain) LatestNonces(ctx context.Context, accounts []common.Address) []nodeclient.Nonces {
	return c.Nonces(ctx, accounts)
}

func (c *fakeChain) EstimateGas(_ context.Context, msgs []nodeclient.CallMsg) []nodeclient.Estimate {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]nodeclient.Estimate, len(msgs))
	for i, m := range msgs {
		out[i] = nodeclient.Estimate{Gas: 50_000, Err: c.reachable()}
		if c.reverts != nil && c.reverts(m) {
			out[i] = nodeclient.Estimate{Err: &jsonrpc.Error{Code: jsonrpc.CodeReverted, Message: "execution reverted: no", Data: []byte(`"0x08c379a0"`)}}
		}
	}
	return out
}

func (c *fakeChain) SendRaw(_ context.Context, raws [][]byte, hashes []common.Hash) []nodeclient.SendResult {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.onSend != nil {
		c.onSend(hashes)
	}
	out := make([]nodeclient.SendResult, len(raws))
	for i := range raws {
		c.sends++
		out[i] = c.take(raws[i], hashes[i])
		if c.loseReply {
			out[i] = nodeclient.SendResult{Outcome: nodeclient.SendAmbiguous, Message: "lost"}
		}
	}
	return out
}

func (c *fakeChain) take(raw []byte, hash common.Hash) nodeclient.SendResult {
	if c.away {
		return nodeclient.SendResult{Outcome: nodeclient.SendAmbiguous, Message: "away"}
	}
	var tx types.Transaction
	if err := tx.UnmarshalBinary(raw); err != nil || tx.Hash() != hash {
		return nodeclient.SendResult{Outcome: nodeclient.SendRefused, Message: "undecodable"}
	}
	sender, err := types.Sender(types.LatestSignerForChainID(new(big.Int).SetUint64(c.chainID)), &tx)
	switch {
	case err != nil:
		return nodeclient.SendResult{Outcome: nodeclient.SendRefused, Message: err.Error()}
	case tx.Nonce() < c.nonces[sender]:
		return nodeclient.SendResult{Outcome: nodeclient.SendNonceUsed, Code: -32001, Message: "Nonce too low"}
	case tx.Nonce() >= c.nonces[sender]+c.maxAhead:
		return nodeclient.SendResult{Outcome: nodeclient.SendTooFarAhead, Code: -32000, Message: "Transaction nonce is too distant from current sender nonce"}
	case c.dropAll:
		return nodeclient.SendResult{Outcome: nodeclient.SendAccepted}
	}
	if c.pool[sender] == nil {
		c.pool[sender] = map[uint64]*types.Transaction{}
	}
	if old := c.pool[sender][tx.Nonce()]; old != nil && old.Hash() != tx.Hash() && tx.GasFeeCap().Int64()*100 < old.GasFeeCap().Int64()*110 {
		return nodeclient.SendResult{Outcome: nodeclient.SendUnderpriced, Code: -32000, Message: "Replacement transaction underpriced"}
	}
	c.pool[sender][tx.Nonce()] = &tx // a zero-price replacement always wins, as on Besu
	return nodeclient.SendResult{Outcome: nodeclient.SendAccepted}
}

func (c *fakeChain) Receipts(_ context.Context, hashes []common.Hash) ([]*nodeclient.Receipt, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]*nodeclient.Receipt, len(hashes))
	for i, h := range hashes {
		if r, ok := c.receipts[h]; ok {
			out[i] = &r
		}
	}
	return out, c.reachable()
}

func (c *fakeChain) BlockReceipts(_ context.Context, number uint64) ([]nodeclient.Receipt, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.noBlocks {
		return nil, jsonrpc.NewError(jsonrpc.CodeMethodNotFound, "the method does not exist")
	}
	var out []nodeclient.Receipt
	for _, r := range c.receipts {
		if r.BlockNumber == number {
			out = append(out, r)
		}
	}
	return out, c.reachable()
}

func (c *fakeChain) Knows(_ context.Context, hash common.Hash) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, mined := c.receipts[hash]
	return mined, c.reachable()
}
