package upstreams

import (
	"bytes"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/methods"
)

// verify turns an answer that cannot be one into OutcomeWrong, so that another
// node is asked. A member that is left out proves nothing.
func (p *Pool) verify(req Request, u *Upstream, v *verdict) {
	if v.outcome != OutcomeOK {
		return
	}
	if !isAbout(req, v.result) {
		v.outcome = OutcomeWrong
		return
	}
	p.condemn(u, p.checker.failures(p.checksOf(req, u), req, v.result), v)
}

// checksOf is what the answers of a node to a request are looked at for.
func (p *Pool) checksOf(req Request, u *Upstream) Checks {
	if u.endpoint.ReceiptChecks != 0 && req.Facts.Method.Name == "eth_getBlockReceipts" {
		return p.cfg.Integrity.Checks | u.endpoint.ReceiptChecks
	}
	return p.cfg.Integrity.Checks
}

// condemn counts the checks that an answer failed, and makes it a wrong one
// unless they are only observed.
func (p *Pool) condemn(u *Upstream, failed Checks, v *verdict) {
	if failed == 0 {
		return
	}
	for _, c := range failed.List() {
		u.metrics.violation(c)
	}
	if failed.Without(p.cfg.Integrity.Observed) != 0 {
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
		return isHash(result, "blockHash", req.Params) && isAtIndex(result, req.Params)
	case "eth_getTransactionByBlockNumberAndIndex":
		return (req.Facts.Ref != methods.RefNumber || isNumber(result, "blockNumber", req.Facts.Number)) && isAtIndex(result, req.Params)
	case "eth_getBlockReceipts":
		return isOfBlock(jsonrpc.Element(result, 0), req)
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

// isAtIndex compares a transaction's place in its block with the second parameter.
func isAtIndex(transaction, params []byte) bool {
	want, ok := methods.ParseQuantity(jsonrpc.Element(params, 1))
	return !ok || isNumber(transaction, "transactionIndex", want)
}

// isOfBlock says whether a receipt is of the block that was asked for.
func isOfBlock(receipt []byte, req Request) bool {
	if req.Facts.Ref == methods.RefNumber {
		return isNumber(receipt, "blockNumber", req.Facts.Number)
	}
	got, want := jsonrpc.Member(receipt, "blockHash"), askedHash(req.Params)
	return len(got) != hashText || len(want) != hashText || bytes.EqualFold(got, want)
}

// askedHash is the hash by which a block is asked for, alone or in an object
// (EIP-1898); nil where it is asked for otherwise.
func askedHash(params []byte) []byte {
	ref := jsonrpc.Element(params, 0)
	if len(ref) > 0 && ref[0] == '{' {
		ref = jsonrpc.Member(ref, "blockHash")
	}
	if len(ref) != hashText {
		return nil
	}
	return ref
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
