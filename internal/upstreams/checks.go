package upstreams

import (
	"slices"
	"strings"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
)

// Check is one way of looking closely at an answer. Whether an answer is about
// what was asked for is looked at in any case and is none of them.
type Check uint8

// The checks. What an answer leaves out proves nothing, and what cannot be read,
// such as a transaction of a type to come, is not judged.
const (
	// CheckHeaderHash recomputes the hash of a block from its header.
	CheckHeaderHash Check = iota
	// CheckHeaderFields wants hashes of 32 bytes and a filter of 256 in a header.
	CheckHeaderFields
	// CheckTransactionsPresent wants transactions where the header's root is not
	// that of none.
	CheckTransactionsPresent
	// CheckTransactionsRoot recomputes the root from the transactions of a whole block.
	CheckTransactionsRoot
	// CheckTransactionFields wants hashes of 32 bytes, each once in a block.
	CheckTransactionFields
	// CheckTransactionBlock wants a block's transactions to name that block, and
	// their place in it.
	CheckTransactionBlock
	// CheckSender recovers a transaction's sender from its signature.
	CheckSender
	// CheckSameBlock wants all receipts of an answer to be of one block.
	CheckSameBlock
	// CheckTransactionUnique wants one receipt for each transaction.
	CheckTransactionUnique
	// CheckTransactionIndex wants the receipts of a block in order and complete.
	CheckTransactionIndex
	// CheckContractCreation wants the address of a contract where one was made,
	// and nowhere else.
	CheckContractCreation
	// CheckLogFields wants addresses of 20 bytes, up to four topics of 32, and logs
	// that name the transaction and the block of their receipt.
	CheckLogFields
	// CheckLogOrder wants the logs of a block to be numbered without a gap, and
	// those of a search upwards.
	CheckLogOrder
	// CheckBloomEmptiness wants an empty filter where there are no logs, and no
	// other one where there are.
	CheckBloomEmptiness
	// CheckLogsBloom recomputes the filter of a receipt from its logs.
	CheckLogsBloom
	// CheckLogFilter holds every log of a search against what was searched for,
	// not only the first and the last.
	CheckLogFilter
	// CheckReceiptsRoot recomputes the root from the receipts of a block and holds
	// it against the block's header, which is asked for.
	CheckReceiptsRoot
	// CheckReceiptTransactions holds receipts against the list of transactions in
	// their block, which is asked for.
	CheckReceiptTransactions

	checkCount
)

// String is the check's name in eRPC, where it has the check, in the
// configuration and as metric label.
func (c Check) String() string {
	names := [checkCount]string{
		"blockHashRecompute", "headerFieldShapes", "transactionsRootConsistency", "transactionsRootRecompute",
		"txFieldUniqueness", "txBlockInfo", "senderRecovery",
		"sameBlockHash", "txHashUniqueness", "transactionIndexConsistency", "contractCreation",
		"logFieldShapes", "logIndexContiguity", "bloomEmptiness", "bloomMatch", "getLogsFilterSanity",
		"receiptsRootRecompute", "receiptTransactionMatch",
	}
	if c >= checkCount {
		return "unknown"
	}
	return names[c]
}

// CheckNamed finds a check by its name.
func CheckNamed(name string) (Check, bool) {
	for c := range checkCount {
		if strings.EqualFold(c.String(), name) {
			return c, true
		}
	}
	return 0, false
}

// Checks is a set of checks.
type Checks uint32

// CheckSet is the set of some checks.
func CheckSet(list ...Check) Checks {
	var s Checks
	for _, c := range list {
		s |= 1 << c
	}
	return s
}

// Has says whether a check is in the set.
func (s Checks) Has(c Check) bool { return s&(1<<c) != 0 }

// Without is the set less another one.
func (s Checks) Without(other Checks) Checks { return s &^ other }

// List is the checks in the set.
func (s Checks) List() []Check {
	var out []Check
	for c := range checkCount {
		if s.Has(c) {
			out = append(out, c)
		}
	}
	return out
}

// IntrinsicChecks need nothing but the answer.
func IntrinsicChecks() Checks {
	return (Checks(1)<<checkCount - 1).Without(CorroboratedChecks())
}

// CorroboratedChecks compare an answer with a block, which may cost a call.
func CorroboratedChecks() Checks { return CheckSet(CheckReceiptsRoot, CheckReceiptTransactions) }

// Integrity says how closely answers are looked at. The zero value looks only
// whether they are about what was asked for.
type Integrity struct {
	// Checks are made of every answer they apply to. What fails one counts against
	// the node as a wrong answer, and the next node is asked.
	Checks Checks
	// Observed are those of the Checks whose failures are only counted.
	Observed Checks
	// MaxLookups bounds how many blocks are asked for at a time to compare answers
	// with; an answer beyond is not compared.
	MaxLookups int
}

// DefaultIntegrity is what eRPC checks without being told: that blocks do not
// come without their transactions.
func DefaultIntegrity() Integrity {
	return Integrity{Checks: CheckSet(CheckTransactionsPresent), MaxLookups: 16}
}

// checkRule says how a check is made of the answers to some methods.
type checkRule struct {
	check   Check
	methods []string
	holds   func(req Request, result []byte) bool
}

// checkRules lists the checks that need nothing but the answer.
func checkRules() []checkRule {
	blocks := []string{"eth_getBlockByNumber", "eth_getBlockByHash"}
	transactions := []string{"eth_getTransactionByHash", "eth_getTransactionByBlockHashAndIndex", "eth_getTransactionByBlockNumberAndIndex"}
	list, one, logs := []string{"eth_getBlockReceipts"}, []string{"eth_getTransactionReceipt"}, []string{"eth_getLogs"}
	receipts := slices.Concat(list, one)
	return []checkRule{
		{CheckTransactionsPresent, blocks, ofAnswer(hasTransactions)},
		{CheckHeaderFields, blocks, ofAnswer(isHeaderSized)},
		{CheckHeaderHash, blocks, ofAnswer(isHeaderHash)},
		{CheckTransactionFields, blocks, ofAnswer(hasUniqueTransactions)},
		{CheckTransactionBlock, blocks, ofAnswer(hasOwnTransactions)},
		{CheckTransactionsRoot, blocks, ofAnswer(isTransactionsRoot)},
		{CheckSender, blocks, ofAnswer(hasSenders)},
		{CheckSender, transactions, ofAnswer(isSender)},
		{CheckSameBlock, list, ofAnswer(isOneBlock)},
		{CheckTransactionUnique, list, ofAnswer(isOneReceiptEach)},
		{CheckTransactionIndex, list, ofAnswer(isInOrder)},
		{CheckContractCreation, receipts, ofReceipts(isContractNamed)},
		{CheckLogFields, receipts, ofReceipts(hasOwnLogs)},
		{CheckLogFields, logs, func(_ Request, result []byte) bool { return all(result, isLogSized) }},
		{CheckLogOrder, list, ofAnswer(isNumberedFromZero)},
		{CheckLogOrder, one, ofAnswer(isNumbered)},
		{CheckLogOrder, logs, ofAnswer(isAscending)},
		{CheckBloomEmptiness, receipts, ofReceipts(isBloomFilled)},
		{CheckLogsBloom, receipts, ofReceipts(isReceiptBloom)},
		{CheckLogFilter, logs, func(req Request, result []byte) bool { return all(result, readLogFilter(req.Params).holds) }},
	}
}

func ofAnswer(holds func([]byte) bool) func(Request, []byte) bool {
	return func(_ Request, result []byte) bool { return holds(result) }
}

// ofReceipts looks at each receipt of a block, or at the one that there is.
func ofReceipts(holds func([]byte) bool) func(Request, []byte) bool {
	return func(_ Request, result []byte) bool {
		if jsonrpc.IsBatch(result) {
			return all(result, holds)
		}
		return holds(result)
	}
}

// checker makes the checks of a set. It never changes.
type checker struct {
	byMethod map[string][]checkRule
}

func newChecker() *checker {
	c := &checker{byMethod: map[string][]checkRule{}}
	for _, r := range checkRules() {
		for _, m := range r.methods {
			c.byMethod[m] = append(c.byMethod[m], r)
		}
	}
	return c
}

// failures are the checks of a set that an answer fails. It is pure.
func (c *checker) failures(set Checks, req Request, result []byte) Checks {
	if set == 0 {
		return 0
	}
	var failed Checks
	for _, r := range c.byMethod[req.Facts.Method.Name] {
		if set.Has(r.check) && !r.holds(req, result) {
			failed |= CheckSet(r.check)
		}
	}
	return failed
}

func all(list []byte, is func([]byte) bool) bool {
	for _, element := range jsonrpc.Elements(list) {
		if !is(element) {
			return false
		}
	}
	return true
}
