package nodeclient

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/slipwayhq/slipway/internal/failpoint"
	"github.com/slipwayhq/slipway/internal/jsonrpc"
)

// Head is the newest block of a chain, as far as the queue needs it.
type Head struct {
	Number   uint64
	Hash     common.Hash
	GasLimit uint64
	BaseFee  *big.Int // nil before London
}

// Receipt is what a block says of a transaction.
type Receipt struct {
	TxHash            common.Hash
	BlockNumber       uint64
	BlockHash         common.Hash
	Success           bool
	GasUsed           uint64
	EffectiveGasPrice *big.Int // nil where the node does not say
	Contract          *common.Address
}

// Nonces are the transaction counts of an account.
type Nonces struct {
	Latest  uint64 // mined
	Pending uint64 // mined or in the asked node's pool
	Err     error
}

// CallMsg is a transaction to be estimated.
type CallMsg struct {
	From       common.Address
	To         *common.Address
	Value      *big.Int
	Data       []byte
	AccessList types.AccessList
	// Authorizations are those of a set-code transaction (EIP-7702).
	Authorizations []types.SetCodeAuthorization
}

// Estimate is the answer to one CallMsg. Err is a *jsonrpc.Error where the node
// refused the transaction; it wraps ErrUnreachable where the node did not
// answer, or said something of itself only.
type Estimate struct {
	Gas uint64
	Err error
}

// ChainID asks for the chain's id.
func (c *Client) ChainID(ctx context.Context) (uint64, error) {
	return c.quantity(ctx, "eth_chainId", "[]")
}

// GasPrice asks what the node thinks a transaction should pay, in wei.
func (c *Client) GasPrice(ctx context.Context) (*big.Int, error) {
	return c.bigQuantity(ctx, "eth_gasPrice")
}

// PriorityFee asks what tip the node suggests, in wei.
func (c *Client) PriorityFee(ctx context.Context) (*big.Int, error) {
	return c.bigQuantity(ctx, "eth_maxPriorityFeePerGas")
}

// tipBlocks is how many blocks MedianTip looks back.
const tipBlocks = 20

// MedianTip is what half of the transactions of the last blocks paid as a tip
// at most, in wei (eth_feeHistory). Blocks without transactions do not count;
// with none at all it is 0.
func (c *Client) MedianTip(ctx context.Context) (*big.Int, error) {
	const method = "eth_feeHistory"
	result, err := c.one(ctx, method, fmt.Sprintf(`["0x%x","latest",[50]]`, tipBlocks))
	if err != nil {
		return nil, err
	}
	var history struct {
		Reward       [][]hexutil.Big
		GasUsedRatio []float64
	}
	if err := json.Unmarshal(result, &history); err != nil {
		return nil, fmt.Errorf("%s: %w: unreadable history", method, ErrUnreachable)
	}
	var tips []*big.Int
	for i, reward := range history.Reward {
		if len(reward) == 1 && i < len(history.GasUsedRatio) && history.GasUsedRatio[i] > 0 {
			tips = append(tips, reward[0].ToInt())
		}
	}
	if len(tips) == 0 {
		return new(big.Int), nil
	}
	slices.SortFunc(tips, (*big.Int).Cmp)
	return tips[len(tips)/2], nil
}

func (c *Client) bigQuantity(ctx context.Context, method string) (*big.Int, error) {
	result, err := c.one(ctx, method, "[]")
	if err != nil {
		return nil, err
	}
	var v hexutil.Big
	if err := json.Unmarshal(result, &v); err != nil {
		return nil, fmt.Errorf("%s: %w: unreadable quantity", method, ErrUnreachable)
	}
	return v.ToInt(), nil
}

func (c *Client) quantity(ctx context.Context, method, params string) (uint64, error) {
	result, err := c.one(ctx, method, params)
	if err != nil {
		return 0, err
	}
	return readQuantity(method, result)
}

func readQuantity(method string, result []byte) (uint64, error) {
	var v hexutil.Uint64
	if err := json.Unmarshal(result, &v); err != nil {
		return 0, fmt.Errorf("%s: %w: unreadable quantity", method, ErrUnreachable)
	}
	return uint64(v), nil
}

// BlockNumber asks for the number of the newest block.
func (c *Client) BlockNumber(ctx context.Context) (uint64, error) {
	return c.quantity(ctx, "eth_blockNumber", "[]")
}

// Head asks for the newest block.
func (c *Client) Head(ctx context.Context) (Head, error) {
	return c.block(ctx, `["latest",false]`)
}

// GenesisHash asks for the hash of block 0, which tells chains with one id
// apart. A gateway in between may have kept the block of a chain that is gone,
// so it is told to ask a node.
func (c *Client) GenesisHash(ctx context.Context) (common.Hash, error) {
	genesis, err := c.block(ctx, `["0x0",false]`, "X-Erpc-Skip-Cache-Read", "true")
	return genesis.Hash, err
}

func (c *Client) block(ctx context.Context, params string, header ...string) (Head, error) {
	result, err := c.one(ctx, "eth_getBlockByNumber", params, header...)
	if err != nil {
		return Head{}, err
	}
	var b struct {
		Number   *hexutil.Uint64 `json:"number"`
		Hash     *common.Hash    `json:"hash"`
		GasLimit hexutil.Uint64  `json:"gasLimit"`
		BaseFee  *hexutil.Big    `json:"baseFeePerGas"`
	}
	if err := json.Unmarshal(result, &b); err != nil || b.Number == nil || b.Hash == nil {
		return Head{}, fmt.Errorf("eth_getBlockByNumber: %w: unreadable block", ErrUnreachable)
	}
	return Head{Number: uint64(*b.Number), Hash: *b.Hash, GasLimit: uint64(b.GasLimit), BaseFee: b.BaseFee.ToInt()}, nil
}

// Nonces asks for the transaction counts of many accounts.
func (c *Client) Nonces(ctx context.Context, accounts []common.Address) []Nonces {
	calls := make([]call, 0, 2*len(accounts))
	for _, a := range accounts {
		for _, tag := range []string{"latest", "pending"} {
			calls = append(calls, call{"eth_getTransactionCount", fmt.Appendf(nil, `["%s","%s"]`, a.Hex(), tag)})
		}
	}
	replies := c.batch(ctx, calls)
	out := make([]Nonces, len(accounts))
	for i := range accounts {
		latest, err1 := nonceOf(replies[2*i])
		pending, err2 := nonceOf(replies[2*i+1])
		out[i] = Nonces{Latest: latest, Pending: max(latest, pending), Err: cmp.Or(err1, err2)}
	}
	return out
}

func nonceOf(r reply) (uint64, error) {
	if err := r.failure(); err != nil {
		return 0, fmt.Errorf("eth_getTransactionCount: %w", err)
	}
	return readQuantity("eth_getTransactionCount", r.result)
}

// LatestNonces asks for the mined transaction counts of many accounts.
func (c *Client) LatestNonces(ctx context.Context, accounts []common.Address) []Nonces {
	calls := make([]call, 0, len(accounts))
	for _, a := range accounts {
		calls = append(calls, call{"eth_getTransactionCount", fmt.Appendf(nil, `["%s","latest"]`, a.Hex())})
	}
	out := make([]Nonces, len(accounts))
	for i, r := range c.batch(ctx, calls) {
		latest, err := nonceOf(r)
		out[i] = Nonces{Latest: latest, Err: err}
	}
	return out
}

// EstimateGas asks what many transactions would burn at the newest block.
func (c *Client) EstimateGas(ctx context.Context, msgs []CallMsg) []Estimate {
	calls := make([]call, 0, len(msgs))
	for _, m := range msgs {
		calls = append(calls, call{"eth_estimateGas", m.params()})
	}
	out := make([]Estimate, len(msgs))
	for i, r := range c.batch(ctx, calls) {
		if err := r.failure(); err != nil {
			out[i].Err = err
			continue
		}
		out[i].Gas, out[i].Err = readQuantity("eth_estimateGas", r.result)
	}
	return out
}

func (m CallMsg) params() []byte {
	msg := map[string]any{"from": m.From, "input": hexutil.Bytes(m.Data)}
	if m.To != nil {
		msg["to"] = m.To
	}
	if m.Value != nil && m.Value.Sign() > 0 {
		msg["value"] = (*hexutil.Big)(m.Value)
	}
	if len(m.AccessList) > 0 {
		msg["accessList"] = m.AccessList
	}
	if len(m.Authorizations) > 0 {
		msg["authorizationList"] = m.Authorizations
	}
	params, err := json.Marshal([]any{msg})
	if err != nil { // only text and numbers above
		return []byte("[]")
	}
	return params
}

// Receipts asks for the receipts of many transactions. Those the node does not
// have are nil; an error speaks of the first call that failed.
func (c *Client) Receipts(ctx context.Context, hashes []common.Hash) ([]*Receipt, error) {
	calls := make([]call, 0, len(hashes))
	for _, h := range hashes {
		calls = append(calls, call{"eth_getTransactionReceipt", fmt.Appendf(nil, `["%s"]`, h.Hex())})
	}
	out := make([]*Receipt, len(hashes))
	for i, r := range c.batch(ctx, calls) {
		if err := r.failure(); err != nil {
			return nil, fmt.Errorf("eth_getTransactionReceipt: %w", err)
		}
		if string(r.result) == "null" {
			continue
		}
		receipt, err := readReceipt(r.result)
		if err != nil {
			return nil, fmt.Errorf("eth_getTransactionReceipt: %w", err)
		}
		if receipt.TxHash != hashes[i] {
			return nil, fmt.Errorf("eth_getTransactionReceipt: %w: receipt of another transaction", ErrUnreachable)
		}
		out[i] = receipt
	}
	return out, nil
}

// ErrNoBlock says that the node does not have the block.
var ErrNoBlock = errors.New("the node does not have this block")

// BlockReceipts asks for all receipts of a block.
func (c *Client) BlockReceipts(ctx context.Context, number uint64) ([]Receipt, error) {
	result, err := c.one(ctx, "eth_getBlockReceipts", fmt.Sprintf(`["0x%x"]`, number))
	if err != nil {
		return nil, err
	}
	if string(result) == "null" {
		return nil, ErrNoBlock
	}
	elements := jsonrpc.Elements(result)
	if elements == nil {
		return nil, fmt.Errorf("eth_getBlockReceipts: %w: unreadable answer", ErrUnreachable)
	}
	out := make([]Receipt, 0, len(elements))
	for _, e := range elements {
		r, err := readReceipt(e)
		if err != nil {
			return nil, fmt.Errorf("eth_getBlockReceipts: %w", err)
		}
		if r.BlockNumber != number {
			return nil, fmt.Errorf("eth_getBlockReceipts: %w: receipt of another block", ErrUnreachable)
		}
		out = append(out, *r)
	}
	return out, nil
}

func readReceipt(text []byte) (*Receipt, error) {
	var r struct {
		TxHash      *common.Hash    `json:"transactionHash"`
		BlockNumber *hexutil.Uint64 `json:"blockNumber"`
		BlockHash   *common.Hash    `json:"blockHash"`
		Status      *hexutil.Uint64 `json:"status"`
		GasUsed     hexutil.Uint64  `json:"gasUsed"`
		GasPrice    *hexutil.Big    `json:"effectiveGasPrice"`
		Contract    *common.Address `json:"contractAddress"`
	}
	if err := json.Unmarshal(text, &r); err != nil || r.TxHash == nil || r.BlockNumber == nil || r.BlockHash == nil || r.Status == nil {
		return nil, fmt.Errorf("%w: unreadable receipt", ErrUnreachable)
	}
	return &Receipt{
		TxHash: *r.TxHash, BlockNumber: uint64(*r.BlockNumber), BlockHash: *r.BlockHash, Success: *r.Status == 1,
		GasUsed: uint64(r.GasUsed), EffectiveGasPrice: r.GasPrice.ToInt(), Contract: r.Contract,
	}, nil
}

// Knows asks whether the node has a transaction, in a block or in its pool.
func (c *Client) Knows(ctx context.Context, hash common.Hash) (bool, error) {
	result, err := c.one(ctx, "eth_getTransactionByHash", fmt.Sprintf(`["%s"]`, hash.Hex()))
	if err != nil {
		return false, err
	}
	return string(result) != "null", nil
}

// SendResult is what became of one raw transaction.
type SendResult struct {
	Outcome SendOutcome
	Code    int    // the node's error code, 0 where it gave none
	Message string // what the node said, cut to a sane length; "" on success
}

// SendRaw offers signed transactions to the node, in order. hashes are ours:
// an answer with another hash is not believed.
func (c *Client) SendRaw(ctx context.Context, raws [][]byte, hashes []common.Hash) []SendResult {
	calls := make([]call, 0, len(raws))
	for _, raw := range raws {
		calls = append(calls, call{"eth_sendRawTransaction", fmt.Appendf(nil, `["0x%x"]`, raw)})
	}
	out := make([]SendResult, len(raws))
	ctx = failpoint.OnWritten(ctx, "after_send_before_reply")
	for i, r := range c.batch(ctx, calls) {
		out[i] = sendResult(r, hashes[i])
	}
	return out
}

func sendResult(r reply, ours common.Hash) SendResult {
	switch {
	case r.rpcErr != nil:
		code := int(r.rpcErr.Code)
		return SendResult{Outcome: ClassifySend(code, r.rpcErr.Message), Code: code, Message: cut(r.rpcErr.Message)}
	case r.err != nil:
		return SendResult{Outcome: SendAmbiguous, Message: cut(r.err.Error())}
	}
	var theirs common.Hash
	if err := json.Unmarshal(r.result, &theirs); err != nil || theirs != ours {
		return SendResult{Outcome: SendAmbiguous, Message: "the node answered with another hash"}
	}
	return SendResult{Outcome: SendAccepted}
}

// maxMessage bounds what is kept of a node's words.
const maxMessage = 300

func cut(s string) string {
	if len(s) > maxMessage {
		return s[:maxMessage]
	}
	return s
}
