package upstreams

import (
	"bytes"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/methods"
)

// Checks says what of an answer is recomputed. Whether an answer is about what
// was asked for is checked in any case.
type Checks struct {
	// HeaderHash recomputes the hash of a block from its header.
	HeaderHash bool
	// TransactionsRoot recomputes it from the transactions of a whole block.
	TransactionsRoot bool
	// LogsBloom recomputes the filter of a receipt from its logs.
	LogsBloom bool
	// Logs holds every log of a search against the filter, not only the first
	// and the last.
	Logs bool
}

// verify turns an answer that cannot be one into OutcomeWrong, so that another
// node is asked. A member that is left out proves nothing.
func (c Checks) verify(req Request, v *verdict) {
	if v.outcome != OutcomeOK {
		return
	}
	if !isAbout(req, v.result) || !c.isPlausible(req, v.result) {
		v.outcome = OutcomeWrong
	}
}

// isAbout says whether an answer is about the item that was asked for.
func isAbout(req Request, result []byte) bool {
	switch req.Facts.Method.Name {
	case "eth_getBlockByNumber":
		return req.Facts.Ref != methods.RefNumber || isNumber(result, "number", req.Facts.Number)
	case "eth_getBlockByHash":
		return isHash(result, "hash", req.Params)
	case "eth_getTransactionByHash":
		return isHash(result, "hash", req.Params)
	case "eth_getTransactionReceipt":
		return isHash(result, "transactionHash", req.Params)
	case "eth_getTransactionByBlockHashAndIndex":
		return isHash(result, "blockHash", req.Params)
	case "eth_getTransactionByBlockNumberAndIndex":
		return req.Facts.Ref != methods.RefNumber || isNumber(result, "blockNumber", req.Facts.Number)
	case "eth_getBlockReceipts":
		first := jsonrpc.Element(result, 0)
		return req.Facts.Ref != methods.RefNumber || isNumber(first, "blockNumber", req.Facts.Number)
	case "eth_getLogs":
		asked := readLogFilter(req.Params)
		return asked.holds(jsonrpc.Element(result, 0)) && asked.holds(lastObject(result))
	default:
		return true
	}
}

func isNumber(object []byte, member string, want uint64) bool {
	number, ok := methods.ParseQuantity(jsonrpc.Member(object, member))
	return !ok || number == want
}

// isHash compares a member with the first parameter.
func isHash(object []byte, member string, params []byte) bool {
	got, want := jsonrpc.Member(object, member), jsonrpc.Element(params, 0)
	return len(got) != hashText || len(want) != hashText || bytes.EqualFold(got, want)
}

// hashText is the length of a hash as JSON text.
const hashText = len(`"0x"`) + 64

// lastObject is the last element of a list of objects that have no objects in
// them, as logs are.
func lastObject(list []byte) []byte {
	begin, end := bytes.LastIndexByte(list, '{'), bytes.LastIndexByte(list, '}')
	if begin < 0 || end < begin {
		return nil
	}
	return list[begin : end+1]
}

// logFilter is what every log of an answer must have; nil and false ask nothing.
type logFilter struct {
	from, to       uint64
	hasFrom, hasTo bool
	blockHash      []byte
	addresses      [][]byte
	topic          [][]byte // the first one
}

func readLogFilter(params []byte) logFilter {
	var f logFilter
	filter := jsonrpc.Element(params, 0)
	f.from, f.hasFrom = methods.ParseQuantity(jsonrpc.Member(filter, "fromBlock"))
	f.to, f.hasTo = methods.ParseQuantity(jsonrpc.Member(filter, "toBlock"))
	f.blockHash = jsonrpc.Member(filter, "blockHash")
	f.addresses = oneOrMany(jsonrpc.Member(filter, "address"))
	f.topic = oneOrMany(jsonrpc.Element(jsonrpc.Member(filter, "topics"), 0))
	return f
}

func oneOrMany(value []byte) [][]byte {
	switch {
	case len(value) > 0 && value[0] == '"':
		return [][]byte{value}
	case len(value) > 0 && value[0] == '[':
		return jsonrpc.Elements(value)
	default:
		return nil
	}
}

// holds says whether a log is one that was searched for.
func (f logFilter) holds(log []byte) bool {
	if log == nil {
		return true
	}
	if number, ok := methods.ParseQuantity(jsonrpc.Member(log, "blockNumber")); ok && (f.hasFrom && number < f.from || f.hasTo && number > f.to) {
		return false
	}
	hash := jsonrpc.Member(log, "blockHash")
	if len(f.blockHash) == hashText && len(hash) == hashText && !bytes.EqualFold(hash, f.blockHash) {
		return false
	}
	return isAmong(jsonrpc.Member(log, "address"), f.addresses) && isAmong(jsonrpc.Element(jsonrpc.Member(log, "topics"), 0), f.topic)
}

func isAmong(value []byte, wanted [][]byte) bool {
	if value == nil || len(wanted) == 0 {
		return true
	}
	for _, w := range wanted {
		if bytes.EqualFold(value, w) {
			return true
		}
	}
	return false
}

// isPlausible recomputes what the checks ask for.
func (c Checks) isPlausible(req Request, result []byte) bool {
	switch req.Facts.Method.Name {
	case "eth_getBlockByNumber", "eth_getBlockByHash":
		return (!c.HeaderHash || isHeaderHash(result)) && (!c.TransactionsRoot || isTransactionsRoot(result))
	case "eth_getTransactionReceipt":
		return !c.LogsBloom || isReceiptBloom(result)
	case "eth_getBlockReceipts":
		return !c.LogsBloom || all(result, isReceiptBloom)
	case "eth_getLogs":
		return !c.Logs || all(result, readLogFilter(req.Params).holds)
	default:
		return true
	}
}

func all(list []byte, is func([]byte) bool) bool {
	for _, element := range jsonrpc.Elements(list) {
		if !is(element) {
			return false
		}
	}
	return true
}
