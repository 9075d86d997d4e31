package upstreams

import (
	"strings"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/methods"
)

// errorRule is one way in which nodes say something. A rule matches when its
// code (0: any) and its phrase (empty: any; lower case) both do.
type errorRule struct {
	code    jsonrpc.Code
	phrase  string
	only    ruleScope
	outcome Outcome
	// example is an error as a node wrote it; the table's test sends it through.
	example jsonrpc.Error
}

type ruleScope uint8

const (
	anyMethod ruleScope = iota
	sendOnly            // eth_sendRawTransaction
	notSend             // everything else
)

func (r *errorRule) matches(kind methods.Kind, code jsonrpc.Code, text string) bool {
	if r.only == sendOnly && kind != methods.Send || r.only == notSend && kind == methods.Send {
		return false
	}
	return (r.code == 0 || r.code == code) && strings.Contains(text, r.phrase)
}

// errorRules is ordered: the first match wins, so narrow rules stand before
// wide ones. Nodes agree on few codes; where the same code means different
// things (-32001 to -32005 between Besu and others), the phrase decides.
func errorRules() []errorRule {
	return rules[:]
}

//nolint:gochecknoglobals // a table that is only read; building it per error would cost more than using it
var rules = [...]errorRule{
	// eth_sendRawTransaction: a signed transaction executes once, so a node
	// that has it already is a success.
	{0, "known transaction", sendOnly, OutcomeKnown, jsonrpc.Error{Code: -32000, Message: "Known transaction"}}, // Besu
	{0, "already known", sendOnly, OutcomeKnown, jsonrpc.Error{Code: -32000, Message: "already known"}},         // geth, Erigon, Reth
	{0, "alreadyknown", sendOnly, OutcomeKnown, jsonrpc.Error{Code: -32010, Message: "AlreadyKnown"}},           // Nethermind
	{0, "already imported", sendOnly, OutcomeKnown, jsonrpc.Error{Code: -32010, Message: "Transaction with the same hash was already imported."}},
	{0, "already in mempool", sendOnly, OutcomeKnown, jsonrpc.Error{Code: -32000, Message: "transaction already in mempool"}},
	{0, "already exists", sendOnly, OutcomeKnown, jsonrpc.Error{Code: -32000, Message: "transaction already exists"}},
	{0, "existing tx with same hash", sendOnly, OutcomeKnown, jsonrpc.Error{Code: -32000, Message: "existing tx with same hash"}}, // Erigon
	{0, "nonce too low", sendOnly, OutcomeNonceLow, jsonrpc.Error{Code: -32001, Message: "Nonce too low"}},                        // Besu; geth with -32000
	{0, "nonce is too low", sendOnly, OutcomeNonceLow, jsonrpc.Error{Code: -32010, Message: "Transaction nonce is too low."}},     // OpenEthereum
	{0, "oldnonce", sendOnly, OutcomeNonceLow, jsonrpc.Error{Code: -32010, Message: "OldNonce"}},                                  // Nethermind
	// -32002 is "pool not enabled" and "invalid signature" in Besu: only the text tells.
	{0, "pool not enabled", sendOnly, OutcomeUnsupported, jsonrpc.Error{Code: -32002, Message: "Transaction pool not enabled because the node is not in sync"}},

	{0, "pool is full", sendOnly, OutcomeNodeError, jsonrpc.Error{Code: -32000, Message: "txpool is full"}}, // geth: another node may have room

	// A node that is still syncing has nothing to say yet.
	{0, "initial sync is still in progress", anyMethod, OutcomeMissing, jsonrpc.Error{Code: -32008, Message: "Initial sync is still in progress"}},

	{-32008, "", anyMethod, OutcomeMissing, jsonrpc.Error{Code: -32008, Message: "Initial sync"}}, // Besu
	{0, "is syncing", anyMethod, OutcomeMissing, jsonrpc.Error{Code: -32000, Message: "node is syncing"}},
	{0, "not synced", anyMethod, OutcomeMissing, jsonrpc.Error{Code: -32000, Message: "node is not synced"}},

	// A search that is too wide for this node: another one may allow more, and
	// the gateway may ask for it in pieces. Before everything that looks at codes
	// only: each family of nodes has another one for it.
	{0, "range exceeds", notSend, OutcomeTooLarge, jsonrpc.Error{Code: -32005, Message: "Requested range exceeds maximum RPC range limit"}},                  // Besu: --rpc-max-logs-range, --rpc-max-trace-filter-range
	{0, "returned more than", notSend, OutcomeTooLarge, jsonrpc.Error{Code: -32005, Message: "query returned more than 10000 results"}},                      // geth and its hosts
	{0, "max logs per response", notSend, OutcomeTooLarge, jsonrpc.Error{Code: -32000, Message: "Too many logs requested. Max logs per response is 20000."}}, // Nethermind
	{0, "exceeds max block range", notSend, OutcomeTooLarge, jsonrpc.Error{Code: -32602, Message: "query exceeds max block range 100000"}},                   // Reth
	{0, "exceeds max results", notSend, OutcomeTooLarge, jsonrpc.Error{Code: -32602, Message: "query exceeds max results 20000, retry with the range 1-2"}},
	{0, "maximum block range", notSend, OutcomeTooLarge, jsonrpc.Error{Code: -32000, Message: "exceed maximum block range: 5000"}},
	{0, "block range limit", notSend, OutcomeTooLarge, jsonrpc.Error{Code: -32000, Message: "Block range limit exceeded"}},
	{0, "block range is too", notSend, OutcomeTooLarge, jsonrpc.Error{Code: -32600, Message: "block range is too wide"}},
	{0, "block range too large", notSend, OutcomeTooLarge, jsonrpc.Error{Code: -32000, Message: "block range too large"}},
	{0, "range is too large", notSend, OutcomeTooLarge, jsonrpc.Error{Code: -32000, Message: "the requested range is too large"}},
	{0, "range limit exceeded", notSend, OutcomeTooLarge, jsonrpc.Error{Code: -32062, Message: "range limit exceeded"}}, // Erigon
	{0, "block range. ", notSend, OutcomeTooLarge, jsonrpc.Error{Code: -32600, Message: "you can make eth_getLogs requests with up to a 10 block range. Try another one"}},
	{0, "is limited to a", notSend, OutcomeTooLarge, jsonrpc.Error{Code: -32614, Message: "eth_getLogs is limited to a 10,000 range"}},
	{0, "ranges over", notSend, OutcomeTooLarge, jsonrpc.Error{Code: 35, Message: "ranges over 10000 blocks are not supported"}},
	{0, "response size exceeded", notSend, OutcomeTooLarge, jsonrpc.Error{Code: -32602, Message: "Log response size exceeded"}},
	{0, "response too large", notSend, OutcomeTooLarge, jsonrpc.Error{Code: -32003, Message: "response too large"}}, // geth: of a batch too
	{0, "result set too large", notSend, OutcomeTooLarge, jsonrpc.Error{Code: -32000, Message: "result set too large"}},
	{0, "exceeds limit of", notSend, OutcomeTooLarge, jsonrpc.Error{Code: -32005, Message: "logs matched by query exceeds limit of 10000"}},
	{0, "exceed max addresses", notSend, OutcomeTooLarge, jsonrpc.Error{Code: -32000, Message: "exceed max addresses or topics per search position"}}, // geth
	{0, "query timeout exceeded", notSend, OutcomeTooLarge, jsonrpc.Error{Code: -32000, Message: "query timeout exceeded. Consider reducing your block range."}},

	// Execution: the same on every node.
	{jsonrpc.CodeReverted, "", anyMethod, OutcomeClientFault, jsonrpc.Error{Code: 3, Message: "execution reverted: no"}},
	{0, "revert", anyMethod, OutcomeClientFault, jsonrpc.Error{Code: -32000, Message: "Execution reverted"}}, // Besu before 25.12
	{0, "vm execution error", anyMethod, OutcomeClientFault, jsonrpc.Error{Code: -32015, Message: "VM execution error."}},
	{0, "out of gas", anyMethod, OutcomeClientFault, jsonrpc.Error{Code: -32000, Message: "out of gas"}},
	{0, "gas required exceeds", anyMethod, OutcomeClientFault, jsonrpc.Error{Code: -32000, Message: "gas required exceeds allowance (21000)"}},
	{0, "intrinsic gas", anyMethod, OutcomeClientFault, jsonrpc.Error{Code: -32003, Message: "Intrinsic gas exceeds gas limit"}},
	{0, "insufficient funds", anyMethod, OutcomeClientFault, jsonrpc.Error{Code: -32000, Message: "insufficient funds for transfer"}},
	{0, "upfront cost exceeds", anyMethod, OutcomeClientFault, jsonrpc.Error{Code: -32004, Message: "Upfront cost exceeds account balance"}},
	{0, "invalid opcode", anyMethod, OutcomeClientFault, jsonrpc.Error{Code: -32000, Message: "invalid opcode: INVALID"}},
	{0, "invalid jump", anyMethod, OutcomeClientFault, jsonrpc.Error{Code: -32000, Message: "invalid jump destination"}},
	{0, "stack ", anyMethod, OutcomeClientFault, jsonrpc.Error{Code: -32000, Message: "stack underflow (0 <=> 1)"}},

	// Whose data is not there. -39001 is also Besu's answer to "finalized" on
	// networks without that tag: never a failure of the node.
	{-39001, "", anyMethod, OutcomeMissing, jsonrpc.Error{Code: -39001, Message: "Unknown block"}},
	{0, "missing trie node", notSend, OutcomeMissing, jsonrpc.Error{Code: -32000, Message: "missing trie node ab (path ) state 0x0 is not available"}},
	{0, "header not found", notSend, OutcomeMissing, jsonrpc.Error{Code: -32000, Message: "header not found"}},
	{0, "block not found", notSend, OutcomeMissing, jsonrpc.Error{Code: -32000, Message: "Block not found"}},
	{0, "unknown block", notSend, OutcomeMissing, jsonrpc.Error{Code: -32000, Message: "unknown block"}},
	{0, "world state unavailable", notSend, OutcomeMissing, jsonrpc.Error{Code: -32000, Message: "World state unavailable"}}, // Besu, Bonsai beyond 512 blocks
	{0, "historical state", notSend, OutcomeMissing, jsonrpc.Error{Code: -32000, Message: "historical state ab is not available"}},
	{0, "state is not available", notSend, OutcomeMissing, jsonrpc.Error{Code: -32000, Message: "required historical state is not available"}},
	{0, "pruned", notSend, OutcomeMissing, jsonrpc.Error{Code: 4444, Message: "pruned history unavailable"}},
	{0, "could not find block", notSend, OutcomeMissing, jsonrpc.Error{Code: -32000, Message: "could not find block"}},
	{0, "beyond current head", notSend, OutcomeMissing, jsonrpc.Error{Code: -32602, Message: "block range extends beyond current head block"}},
	{0, "past the head", notSend, OutcomeMissing, jsonrpc.Error{Code: -32602, Message: "toBlock is past the head of the chain"}},
	{0, "unfinalized data", notSend, OutcomeMissing, jsonrpc.Error{Code: -32000, Message: "cannot query unfinalized data"}},
	{0, "proof window", notSend, OutcomeMissing, jsonrpc.Error{Code: -32000, Message: "distance to target block exceeds maximum proof window"}}, // Reth
	{0, "resource not found", notSend, OutcomeMissing, jsonrpc.Error{Code: -32001, Message: "resource not found"}},                              // Reth, EIP-1474
	{0, "out of range", notSend, OutcomeMissing, jsonrpc.Error{Code: -32000, Message: "requested block is out of range"}},

	// Too many requests. -32005 alone says nothing: in Besu it is a gas limit,
	// a batch limit or a log range.
	{429, "", notSend, OutcomeRateLimited, jsonrpc.Error{Code: 429, Message: "Your app has exceeded its capacity"}},
	{0, "rate limit", anyMethod, OutcomeRateLimited, jsonrpc.Error{Code: -32005, Message: "daily request rate limit reached"}},
	{0, "too many requests", anyMethod, OutcomeRateLimited, jsonrpc.Error{Code: -32097, Message: "Too Many Requests"}},
	{0, "request count exceeded", anyMethod, OutcomeRateLimited, jsonrpc.Error{Code: -32005, Message: "daily request count exceeded, request rate limited"}},
	{0, "compute units", anyMethod, OutcomeRateLimited, jsonrpc.Error{Code: 429, Message: "exceeded its compute units per second capacity"}},
	{0, "capacity limit", anyMethod, OutcomeRateLimited, jsonrpc.Error{Code: -32000, Message: "Monthly capacity limit exceeded"}},
	{0, "payment required", anyMethod, OutcomeRateLimited, jsonrpc.Error{Code: -32005, Message: "payment required"}},

	// Credentials.
	{-40100, "", anyMethod, OutcomeUnauthorized, jsonrpc.Error{Code: -40100, Message: "Unauthorized"}}, // Besu, with HTTP 401
	{0, "unauthorized", notSend, OutcomeUnauthorized, jsonrpc.Error{Code: -32000, Message: "Unauthorized: no key"}},
	{0, "must be authenticated", anyMethod, OutcomeUnauthorized, jsonrpc.Error{Code: -32000, Message: "Must be authenticated!"}},
	{0, "invalid api key", anyMethod, OutcomeUnauthorized, jsonrpc.Error{Code: -32000, Message: "invalid API key"}},

	// Limits of one node that another may not have.
	{0, "max batch size", anyMethod, OutcomeUnsupported, jsonrpc.Error{Code: -32005, Message: "Number of requests exceeds max batch size"}},

	// Methods that are not there or not enabled.
	{jsonrpc.CodeMethodNotFound, "", anyMethod, OutcomeUnsupported, jsonrpc.Error{Code: -32601, Message: "Method not found"}},
	{-32604, "", anyMethod, OutcomeUnsupported, jsonrpc.Error{Code: -32604, Message: "Method not enabled"}}, // Besu
	{0, "method not found", anyMethod, OutcomeUnsupported, jsonrpc.Error{Code: -32000, Message: "Method not found"}},
	{0, "is not available", notSend, OutcomeUnsupported, jsonrpc.Error{Code: -32000, Message: "the method trace_block does not exist/is not available"}},
	{jsonrpc.CodeNotSupported, "", notSend, OutcomeUnsupported, jsonrpc.Error{Code: -32004, Message: "Method unavailable"}}, // EIP-1474
	{0, "not implemented", notSend, OutcomeUnsupported, jsonrpc.Error{Code: -32000, Message: "not implemented"}},
	{0, "not whitelisted", notSend, OutcomeUnsupported, jsonrpc.Error{Code: -32000, Message: "rpc method is not whitelisted"}},
	{0, "not supported", notSend, OutcomeUnsupported, jsonrpc.Error{Code: -32004, Message: "method not supported"}},

	// The node gave up.
	{0, "timeout expired", anyMethod, OutcomeTimeout, jsonrpc.Error{Code: -32603, Message: "Timeout expired"}},     // Besu
	{0, "request timed out", anyMethod, OutcomeTimeout, jsonrpc.Error{Code: -32002, Message: "request timed out"}}, // geth
	{0, "execution timeout", notSend, OutcomeNodeError, jsonrpc.Error{Code: -32000, Message: "execution aborted (timeout = 5s), execution timeout"}},

	// What the client wrote.
	{jsonrpc.CodeInvalidParams, "", anyMethod, OutcomeClientFault, jsonrpc.Error{Code: -32602, Message: "Invalid block number params"}},
	{jsonrpc.CodeInvalidRequest, "", anyMethod, OutcomeClientFault, jsonrpc.Error{Code: -32600, Message: "Invalid Request"}},

	// The node's own trouble; for a transaction too, since it may be sent again.
	{jsonrpc.CodeInternal, "", anyMethod, OutcomeNodeError, jsonrpc.Error{Code: -32603, Message: "Internal error"}},
	{jsonrpc.CodeParse, "", anyMethod, OutcomeNodeError, jsonrpc.Error{Code: -32700, Message: "Parse error"}},
}
