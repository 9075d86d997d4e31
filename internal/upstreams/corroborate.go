package upstreams

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/trie"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/methods"
)

// lookupBlockTimeout bounds the call for a block that an answer is compared with.
const lookupBlockTimeout = 2 * time.Second

// rememberedBlocks is how many blocks are remembered: whoever follows a chain
// reads a block and then its receipts.
const rememberedBlocks = 128

// blockSummary is what receipts are compared with. The hash of a header commits
// to the root of its receipts, so that it does not matter who has told it.
type blockSummary struct {
	receiptsRoot common.Hash
	transactions []common.Hash // nil when they are not known
}

// readSummary reads a block. It needs the members, and a hash that the header has.
func readSummary(block []byte) (hash string, s blockSummary, ok bool) {
	var text struct {
		Hash         *common.Hash      `json:"hash"`
		ReceiptsRoot *common.Hash      `json:"receiptsRoot"`
		Transactions []json.RawMessage `json:"transactions"`
	}
	if json.Unmarshal(block, &text) != nil || text.Hash == nil || text.ReceiptsRoot == nil || !isHeaderHash(block) {
		return "", blockSummary{}, false
	}
	s.receiptsRoot = *text.ReceiptsRoot
	if text.Transactions != nil {
		s.transactions = make([]common.Hash, len(text.Transactions))
	}
	for i, tx := range text.Transactions {
		name := []byte(tx)
		if len(tx) > 0 && tx[0] == '{' {
			name = jsonrpc.Member(tx, "hash")
		}
		if json.Unmarshal(name, &s.transactions[i]) != nil {
			return "", blockSummary{}, false
		}
	}
	return text.Hash.Hex(), s, true
}

// summaries are the blocks that were seen last, by hash. The oldest one makes
// way for a new one.
type summaries struct {
	mu     sync.Mutex
	byHash map[string]blockSummary
	ring   [rememberedBlocks]string
	next   int
}

func (s *summaries) add(hash string, summary blockSummary) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byHash == nil {
		s.byHash = make(map[string]blockSummary, rememberedBlocks)
	}
	if _, isKnown := s.byHash[hash]; isKnown {
		return
	}
	delete(s.byHash, s.ring[s.next])
	s.ring[s.next], s.byHash[hash] = hash, summary
	s.next = (s.next + 1) % rememberedBlocks
}

func (s *summaries) of(hash string) (blockSummary, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	summary, ok := s.byHash[hash]
	return summary, ok
}

// corroboration is what is needed to compare an answer with its block: the
// request for the block, and the hash by which it may be remembered.
type corroboration struct {
	hash    string // empty when the block is asked for by number
	request Request
	// refutes says which checks of a set the answer fails beside the block.
	refutes func(set Checks, block blockSummary) Checks
}

// corroborationOf says with what an answer to a request is to be compared; ok is
// false where there is nothing to compare. It is pure.
func corroborationOf(req Request, result []byte) (c corroboration, ok bool) {
	var hash []byte
	switch req.Facts.Method.Name {
	case "eth_getTransactionReceipt":
		hash = jsonrpc.Member(result, "blockHash")
		c.refutes = func(set Checks, block blockSummary) Checks {
			return set & CheckSet(CheckReceiptTransactions) & unless(CheckReceiptTransactions, isReceiptOf(result, block))
		}
	case "eth_getBlockReceipts":
		hash = jsonrpc.Member(jsonrpc.Element(result, 0), "blockHash")
		if hash == nil {
			hash = askedHash(req.Params)
		}
		c.refutes = func(set Checks, block blockSummary) Checks {
			return set & (unless(CheckReceiptsRoot, isReceiptsRoot(result, block)) | unless(CheckReceiptTransactions, areReceiptsOf(result, block)))
		}
	default:
		return c, false
	}
	switch {
	case len(hash) == hashText:
		c.hash = strings.ToLower(string(hash[1 : len(hash)-1]))
		c.request = Request{Method: "eth_getBlockByHash", Params: []byte(`["` + c.hash + `",false]`)}
	case req.Facts.Ref == methods.RefNumber: // of a block without receipts, as it is said
		c.request = Request{Method: "eth_getBlockByNumber", Params: []byte(`["0x` + strconv.FormatUint(req.Facts.Number, 16) + `",false]`)}
	default:
		return c, false
	}
	return c, true
}

func unless(c Check, holds bool) Checks {
	if holds {
		return 0
	}
	return CheckSet(c)
}

// corroborate compares an answer with its block, where a check of its node asks
// for it. When the block is not to be had nothing is proven.
func (p *Pool) corroborate(ctx context.Context, req Request, u *Upstream, v *verdict) {
	set := p.checksOf(req, u) & CorroboratedChecks()
	if set == 0 || v.outcome != OutcomeOK {
		return
	}
	if name := req.Facts.Method.Name; name == "eth_getBlockByHash" || name == "eth_getBlockByNumber" {
		if hash, summary, ok := readSummary(v.result); ok {
			p.blocks.add(hash, summary)
		}
		return
	}
	c, ok := corroborationOf(req, v.result)
	if !ok {
		return
	}
	if block, ok := p.block(ctx, c); ok {
		p.condemn(u, c.refutes(set, block), v)
	}
}

// block is the block of a corroboration: one that was seen, or else asked for.
func (p *Pool) block(ctx context.Context, c corroboration) (blockSummary, bool) {
	if summary, ok := p.blocks.of(c.hash); ok {
		p.metrics.lookedUp(p.cfg, "known")
		return summary, true
	}
	select {
	case p.lookups <- struct{}{}:
		defer func() { <-p.lookups }()
	default:
		p.metrics.lookedUp(p.cfg, "skipped")
		return blockSummary{}, false
	}
	ctx, cancel := context.WithTimeout(ctx, lookupBlockTimeout)
	defer cancel()
	c.request.Facts = p.catalogue.Describe(c.request.Method, c.request.Params)
	c.request.SkipConsensus = true // a header proves itself
	reply, err := p.Do(ctx, c.request)
	if err == nil {
		if _, summary, ok := readSummary(reply.Result); ok {
			p.metrics.lookedUp(p.cfg, "asked")
			return summary, true
		}
	}
	p.metrics.lookedUp(p.cfg, "failed")
	return blockSummary{}, false
}

// isReceiptsRoot recomputes the root of a block's receipts. Types that are not
// known are not judged.
func isReceiptsRoot(receipts []byte, block blockSummary) bool {
	texts := jsonrpc.Elements(receipts)
	if texts == nil {
		return true
	}
	list := make(types.Receipts, len(texts))
	for i, text := range texts {
		list[i] = new(types.Receipt)
		if list[i].UnmarshalJSON(text) != nil || list[i].Type > types.SetCodeTxType {
			return true
		}
	}
	return types.DeriveSha(list, trie.NewStackTrie(nil)) == block.receiptsRoot
}

// areReceiptsOf says whether a block's transactions have a receipt each, in order.
func areReceiptsOf(receipts []byte, block blockSummary) bool {
	texts := jsonrpc.Elements(receipts)
	if texts == nil || block.transactions == nil {
		return true
	}
	if len(texts) != len(block.transactions) {
		return false
	}
	for i, text := range texts {
		if hash := jsonrpc.Member(text, "transactionHash"); !isNothing(hash) && !isHashText(hash, block.transactions[i]) {
			return false
		}
	}
	return true
}

// isReceiptOf says whether the transaction of a receipt stands in a block where
// the receipt says.
func isReceiptOf(receipt []byte, block blockSummary) bool {
	index, hasIndex := methods.ParseQuantity(jsonrpc.Member(receipt, "transactionIndex"))
	hash := jsonrpc.Member(receipt, "transactionHash")
	if !hasIndex || isNothing(hash) || block.transactions == nil {
		return true
	}
	return index < uint64(len(block.transactions)) && isHashText(hash, block.transactions[index])
}

func isHashText(text []byte, hash common.Hash) bool {
	return strings.EqualFold(string(text), `"`+hash.Hex()+`"`)
}
