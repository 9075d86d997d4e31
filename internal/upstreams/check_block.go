package upstreams

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
)

// The sizes of what chains are made of, in bytes.
const (
	hashBytes    = common.HashLength
	addressBytes = common.AddressLength
	bloomBytes   = types.BloomByteLength
)

// isNothing says whether a value was left out.
func isNothing(value []byte) bool { return value == nil || string(value) == "null" }

// isBytes says whether a value is so many bytes in hexadecimal. One that was left
// out may be.
func isBytes(value []byte, size int) bool {
	if isNothing(value) {
		return true
	}
	if len(value) != len(`"0x"`)+2*size || !bytes.HasPrefix(value, []byte(`"0x`)) {
		return false
	}
	_, err := hex.DecodeString(string(value[3 : len(value)-1]))
	return err == nil
}

// isSame says whether a member has the same value in two objects, as far as both
// have it.
func isSame(a []byte, memberOfA string, b []byte, memberOfB string) bool {
	x, y := jsonrpc.Member(a, memberOfA), jsonrpc.Member(b, memberOfB)
	return isNothing(x) || isNothing(y) || bytes.EqualFold(x, y)
}

// isHeaderSized says whether the hashes and the filter of a header have their sizes.
func isHeaderSized(block []byte) bool {
	for _, name := range []string{"hash", "parentHash", "stateRoot", "transactionsRoot", "receiptsRoot"} {
		if !isBytes(jsonrpc.Member(block, name), hashBytes) {
			return false
		}
	}
	return isBytes(jsonrpc.Member(block, "logsBloom"), bloomBytes)
}

// hasTransactions says whether a block has some where its header says so. Some
// chains write zeros as the root of none.
func hasTransactions(block []byte) bool {
	list := jsonrpc.Member(block, "transactions")
	if !jsonrpc.IsBatch(list) || jsonrpc.Element(list, 0) != nil {
		return true
	}
	root := jsonrpc.Member(block, "transactionsRoot")
	if isNothing(root) || !isBytes(root, hashBytes) {
		return true
	}
	return strings.EqualFold(string(root), `"`+types.EmptyTxsHash.Hex()+`"`) || strings.Trim(string(root), `"0x`) == ""
}

// hasUniqueTransactions looks at the transactions of a block, whole or as hashes.
func hasUniqueTransactions(block []byte) bool {
	seen := map[string]bool{}
	return all(jsonrpc.Member(block, "transactions"), func(tx []byte) bool {
		hash := tx
		if tx[0] == '{' {
			hash = jsonrpc.Member(tx, "hash")
		}
		return isBytes(hash, hashBytes) && isFirst(seen, hash)
	})
}

// isFirst says whether a hash was not seen before.
func isFirst(seen map[string]bool, hash []byte) bool {
	if isNothing(hash) {
		return true
	}
	text := strings.ToLower(string(hash))
	isKnown := seen[text]
	seen[text] = true
	return !isKnown
}

// hasOwnTransactions says whether whole transactions name the block they are in.
func hasOwnTransactions(block []byte) bool {
	for i, tx := range jsonrpc.Elements(jsonrpc.Member(block, "transactions")) {
		if tx[0] == '{' && (!isSame(tx, "blockHash", block, "hash") || !isSame(tx, "blockNumber", block, "number") ||
			!isNumber(tx, "transactionIndex", uint64(i))) {
			return false
		}
	}
	return true
}

// hasSenders recovers the senders of whole transactions.
func hasSenders(block []byte) bool { return all(jsonrpc.Member(block, "transactions"), isSender) }

// isSender recovers the sender of a transaction. It is judged only when its hash
// shows that every member of it was understood.
func isSender(tx []byte) bool {
	var claimed struct {
		Hash common.Hash     `json:"hash"`
		From *common.Address `json:"from"`
	}
	var decoded types.Transaction
	if len(tx) == 0 || tx[0] != '{' || json.Unmarshal(tx, &claimed) != nil || claimed.From == nil ||
		decoded.UnmarshalJSON(tx) != nil || decoded.Hash() != claimed.Hash {
		return true
	}
	var signer types.Signer = types.HomesteadSigner{}
	if decoded.Protected() {
		if decoded.ChainId().Sign() <= 0 {
			return true // no chain has this id
		}
		signer = types.LatestSignerForChainID(decoded.ChainId())
	}
	sender, err := types.Sender(signer, &decoded)
	return err == nil && sender == *claimed.From
}
