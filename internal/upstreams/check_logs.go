package upstreams

import (
	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/methods"
)

// hasOwnLogs looks at the logs of a receipt.
func hasOwnLogs(receipt []byte) bool {
	return all(jsonrpc.Member(receipt, "logs"), func(log []byte) bool {
		for _, name := range []string{"blockHash", "blockNumber", "transactionHash", "transactionIndex"} {
			if !isSame(log, name, receipt, name) {
				return false
			}
		}
		return isLogSized(log)
	})
}

// maxTopics is the number of topics of LOG4.
const maxTopics = 4

func isLogSized(log []byte) bool {
	topics := jsonrpc.Elements(jsonrpc.Member(log, "topics"))
	for _, topic := range topics {
		if isNothing(topic) || !isBytes(topic, hashBytes) {
			return false
		}
	}
	return len(topics) <= maxTopics && isBytes(jsonrpc.Member(log, "address"), addressBytes)
}

// isNumberedFromZero says whether the logs of a block's receipts are numbered
// through the block.
func isNumberedFromZero(receipts []byte) bool {
	var next uint64
	return all(receipts, func(r []byte) bool {
		return all(jsonrpc.Member(r, "logs"), func(log []byte) bool {
			next++
			return isNumber(log, "logIndex", next-1)
		})
	})
}

// isNumbered says whether the logs of one receipt are numbered without a gap.
func isNumbered(receipt []byte) bool {
	logs := jsonrpc.Elements(jsonrpc.Member(receipt, "logs"))
	if len(logs) == 0 {
		return true
	}
	first, ok := methods.ParseQuantity(jsonrpc.Member(logs[0], "logIndex"))
	for i, log := range logs {
		if ok && !isNumber(log, "logIndex", first+uint64(i)) {
			return false
		}
	}
	return true
}

// isAscending says whether the logs of a search stand in the order of the chain,
// each once.
func isAscending(logs []byte) bool {
	var lastBlock, lastIndex uint64
	for i, log := range jsonrpc.Elements(logs) {
		block, hasBlock := methods.ParseQuantity(jsonrpc.Member(log, "blockNumber"))
		index, hasIndex := methods.ParseQuantity(jsonrpc.Member(log, "logIndex"))
		switch {
		case !hasBlock || !hasIndex:
			return true
		case i > 0 && (block < lastBlock || block == lastBlock && index <= lastIndex):
			return false
		}
		lastBlock, lastIndex = block, index
	}
	return true
}
