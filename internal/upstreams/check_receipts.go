package upstreams

import (
	"strings"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
)

// isOneBlock says whether receipts are all of the same block.
func isOneBlock(receipts []byte) bool {
	list := jsonrpc.Elements(receipts)
	for _, r := range list {
		if !isSame(r, "blockHash", list[0], "blockHash") || !isSame(r, "blockNumber", list[0], "blockNumber") {
			return false
		}
	}
	return true
}

// isOneReceiptEach says whether no transaction has two receipts.
func isOneReceiptEach(receipts []byte) bool {
	seen := map[string]bool{}
	return all(receipts, func(r []byte) bool { return isFirst(seen, jsonrpc.Member(r, "transactionHash")) })
}

// isInOrder says whether each receipt stands where its transaction does.
func isInOrder(receipts []byte) bool {
	for i, r := range jsonrpc.Elements(receipts) {
		if !isNumber(r, "transactionIndex", uint64(i)) {
			return false
		}
	}
	return true
}

// isContractNamed says whether a receipt has the address of a contract exactly
// when the transaction had no recipient, and so made one.
func isContractNamed(receipt []byte) bool {
	to, contract := jsonrpc.Member(receipt, "to"), jsonrpc.Member(receipt, "contractAddress")
	if to == nil {
		return true
	}
	isCreation := string(to) == "null"
	return isCreation != isNothing(contract) && isBytes(contract, addressBytes)
}

// isBloomFilled says whether a receipt's filter is empty exactly when it has no logs.
func isBloomFilled(receipt []byte) bool {
	bloom, logs := jsonrpc.Member(receipt, "logsBloom"), jsonrpc.Member(receipt, "logs")
	if isNothing(bloom) || !jsonrpc.IsBatch(logs) {
		return true
	}
	isEmpty := strings.Trim(string(bloom), `"0x`) == ""
	return isEmpty == (jsonrpc.Element(logs, 0) == nil)
}
