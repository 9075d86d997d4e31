package upstreams

import (
	"encoding/json"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/ethereum/go-ethereum/trie"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
)

// isHeaderHash recomputes a block's hash. What cannot be read, such as a header
// with members of a fork to come, is not judged.
func isHeaderHash(block []byte) bool {
	var claimed struct{ Hash *common.Hash }
	var header types.Header
	if json.Unmarshal(block, &claimed) != nil || claimed.Hash == nil || json.Unmarshal(block, &header) != nil {
		return true
	}
	if header.Hash() == *claimed.Hash {
		return true
	}
	for _, extra := range sealless(header.Extra) {
		header.Extra = extra
		if header.Hash() == *claimed.Hash {
			return true
		}
	}
	return false
}

// bftExtraItems is the number of items in the extra data of QBFT and IBFT2:
// vanity, validators, vote, round, committed seals.
const bftExtraItems = 5

// sealless gives the forms of BFT extra data that a block hash may be made of.
// The seals are signatures of the hash and so cannot be in it, and the round is
// left out with them: QBFT writes a round of zero and no seals in their place,
// IBFT2 nothing. Other extra data has no such forms.
func sealless(extra []byte) [][]byte {
	var items []rlp.RawValue
	if rlp.DecodeBytes(extra, &items) != nil || len(items) != bftExtraItems {
		return nil
	}
	emptyNumber, emptyList := rlp.RawValue{0x80}, rlp.RawValue{0xc0}
	var out [][]byte
	for _, form := range [][]rlp.RawValue{
		{items[0], items[1], items[2], emptyNumber, emptyList},
		{items[0], items[1], items[2]},
	} {
		if encoded, err := rlp.EncodeToBytes(form); err == nil {
			out = append(out, encoded)
		}
	}
	return out
}

// isTransactionsRoot recomputes the root of a block's transactions, where the
// block has them whole. Types that are not known are not judged.
func isTransactionsRoot(block []byte) bool {
	var claimed struct {
		Root         *common.Hash      `json:"transactionsRoot"`
		Transactions []json.RawMessage `json:"transactions"`
	}
	if json.Unmarshal(block, &claimed) != nil || claimed.Root == nil || claimed.Transactions == nil {
		return true
	}
	list := make(types.Transactions, len(claimed.Transactions))
	for i, text := range claimed.Transactions {
		list[i] = new(types.Transaction)
		if list[i].UnmarshalJSON(text) != nil {
			return true // hashes only, or of a type to come
		}
	}
	isNone := len(list) == 0 && *claimed.Root == common.Hash{} // as some chains write it
	return isNone || types.DeriveSha(list, trie.NewStackTrie(nil)) == *claimed.Root
}

// isReceiptBloom recomputes a receipt's filter from its logs.
func isReceiptBloom(receipt []byte) bool {
	var r struct {
		Bloom *types.Bloom `json:"logsBloom"`
		Logs  []struct {
			Address common.Address `json:"address"`
			Topics  []common.Hash  `json:"topics"`
		} `json:"logs"`
	}
	if jsonrpc.Member(receipt, "logs") == nil || json.Unmarshal(receipt, &r) != nil || r.Bloom == nil {
		return true
	}
	logs := make([]*types.Log, len(r.Logs))
	for i, l := range r.Logs {
		logs[i] = &types.Log{Address: l.Address, Topics: l.Topics}
	}
	return types.CreateBloom(&types.Receipt{Logs: logs}) == *r.Bloom
}
