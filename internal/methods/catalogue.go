package methods

import "strings"

// Kind says how a method is treated.
type Kind uint8

// The kinds.
const (
	// Unknown methods are forwarded once: nobody knows whether a second try is safe.
	Unknown Kind = iota
	// Read methods change nothing: they may be repeated, joined and hedged.
	Read
	// Send is eth_sendRawTransaction: a write that may be repeated, because a
	// signed transaction executes once however often it is sent.
	Send
	// Filter methods keep state inside one node.
	Filter
	// Local methods are answered by the gateway itself.
	Local
	// Subscription methods need a connection on which the gateway can speak first;
	// elsewhere they are refused.
	Subscription
	// Refused methods are answered with an error that says what to do instead.
	Refused
)

// CacheClass says where the evidence of finality stands.
type CacheClass uint8

// The classes.
const (
	CacheNever     CacheClass = iota
	CacheByBlock              // the block in the request decides
	CacheByContent            // the block number inside the answer decides
	CacheLogs                 // the range of the filter decides, or the block hash
	CacheNow                  // what the node sees now: it holds until the next block at most
	CacheAlways               // an answer never changes
)

// none stands where a method has no such parameter.
const none = -1

// Method is one row of the catalogue. Rows are made once and never change.
type Method struct {
	Name  string
	Kind  Kind
	Cache CacheClass
	// Block is the position of the block parameter, -1 when there is none.
	Block int8
	// BlockMember is the member of that parameter which is the block; empty where
	// the parameter is.
	BlockMember string
	// KeepsFinalized says that safe and finalized are not written as numbers.
	KeepsFinalized bool
	// IgnoresBounds says that what nodes have of the chain by their configuration
	// does not matter.
	IgnoresBounds bool
	// PinsLatest says that "latest" means the same as the number of the newest
	// block: the answer is the chain's, and no node adds anything of its own.
	PinsLatest bool
	// DefaultsLatest says that nodes take a block parameter that was left out for
	// "latest". Most methods need it, and their callers shall be told so.
	DefaultsLatest bool
	// NullOK says that null is an answer ("no such thing"), not a failure.
	NullOK bool
	// Hint tells the callers of a refused method, or of a subscription where there
	// can be none, what to do.
	Hint string
	// Index numbers the rows from 0, for tables beside the catalogue.
	Index int
}

// Known says whether the method stands in the catalogue.
func (m *Method) Known() bool { return m.Kind != Unknown }

// Label is the method's name as metric label: unknown names, which clients
// invent freely, are all "other".
func (m *Method) Label() string {
	if !m.Known() {
		return "other"
	}
	return m.Name
}

// Catalogue finds methods by name. It is made once and only read after.
type Catalogue struct {
	rows    map[string]*Method
	unknown *Method
}

// New makes the catalogue.
func New() *Catalogue {
	rows := table()
	c := &Catalogue{rows: make(map[string]*Method, len(rows))}
	for i := range rows {
		rows[i].Index = i
		c.rows[rows[i].Name] = &rows[i]
	}
	c.unknown = &Method{Block: none, NullOK: true, Index: len(rows)}
	return c
}

// Len is the number of rows, the one of unknown methods included.
func (c *Catalogue) Len() int { return len(c.rows) + 1 }

// All lists the rows, the one of unknown methods left out, in no order.
func (c *Catalogue) All() []*Method {
	out := make([]*Method, 0, len(c.rows))
	for _, m := range c.rows {
		out = append(out, m)
	}
	return out
}

// Find returns the row of a method; unknown methods share one.
func (c *Catalogue) Find(name string) *Method {
	if m, ok := c.rows[name]; ok {
		return m
	}
	return c.unknown
}

// Namespace is the part of a method's name before its first underscore.
func Namespace(method string) string {
	namespace, _, _ := strings.Cut(method, "_")
	return namespace
}

// OperatorNamespaces lists the namespaces that steer a node or show its inside.
// They are for operators at the node itself and never pass the gateway by
// default. priv and eea left Besu with its private transactions in 2025.
func OperatorNamespaces() []string {
	return []string{"admin", "clique", "debug", "eea", "engine", "miner", "perm", "personal", "plugins", "priv", "privx", "testing"}
}

const (
	hintSigner  = "the nodes of this network hold no keys: sign the transaction and use eth_sendRawTransaction, or send it to the signer"
	hintVotes   = "a vote must reach every validator: call the validators themselves"
	hintHTTPSub = "subscriptions need a WebSocket connection"
)

// table holds one row a method. The block position follows the parameter lists
// of the execution API specification and of Besu's own namespaces.
func table() []Method {
	read := func(name string, block int8, cache CacheClass) Method {
		return Method{Name: name, Kind: Read, Block: block, Cache: cache, PinsLatest: cache == CacheByBlock || cache == CacheLogs}
	}
	find := func(name string, block int8, cache CacheClass) Method { // a read that may find nothing
		return Method{Name: name, Kind: Read, Block: block, Cache: cache, PinsLatest: cache == CacheByBlock, NullOK: true}
	}
	orLatest := func(m Method) Method { // the block may be left out
		m.DefaultsLatest = true
		return m
	}
	other := func(name string, kind Kind, hint string) Method {
		return Method{Name: name, Kind: kind, Block: none, Hint: hint}
	}
	return []Method{
		// answered by the gateway
		other("eth_chainId", Local, ""),
		other("net_version", Local, ""),
		other("web3_clientVersion", Local, ""),
		other("eth_accounts", Local, ""),

		// state at a block
		read("eth_getBalance", 1, CacheByBlock),
		read("eth_getCode", 1, CacheByBlock),
		read("eth_getStorageAt", 2, CacheByBlock),
		read("eth_getStorageValues", 1, CacheByBlock),
		read("eth_getTransactionCount", 1, CacheByBlock),
		read("eth_getProof", 2, CacheByBlock),
		orLatest(read("eth_call", 1, CacheByBlock)),
		read("eth_estimateGas", 1, CacheNever), // the estimate is the node's own, not the chain's
		read("eth_createAccessList", 1, CacheNever),
		read("eth_simulateV1", 1, CacheNever),
		read("eth_feeHistory", 1, CacheByBlock),

		// blocks
		find("eth_getBlockByNumber", 0, CacheByBlock),
		find("eth_getBlockByHash", 0, CacheByContent),
		find("eth_getBlockReceipts", 0, CacheByBlock),
		find("eth_getBlockTransactionCountByNumber", 0, CacheByBlock),
		find("eth_getBlockTransactionCountByHash", 0, CacheNever),
		find("eth_getUncleCountByBlockNumber", 0, CacheByBlock),
		find("eth_getUncleCountByBlockHash", 0, CacheNever),
		find("eth_getUncleByBlockNumberAndIndex", 0, CacheByBlock),
		find("eth_getUncleByBlockHashAndIndex", 0, CacheNever),
		find("eth_getMinerDataByBlockNumber", 0, CacheByBlock),
		find("eth_getMinerDataByBlockHash", 0, CacheNever),

		// transactions
		find("eth_getTransactionByHash", none, CacheByContent),
		find("eth_getTransactionReceipt", none, CacheByContent),
		find("eth_getTransactionByBlockNumberAndIndex", 0, CacheByBlock),
		find("eth_getTransactionByBlockHashAndIndex", 0, CacheByContent),
		find("eth_getRawTransactionByHash", none, CacheNever),
		find("eth_getTransactionBySenderAndNonce", none, CacheNever),

		// logs
		orLatest(read("eth_getLogs", 0, CacheLogs)),

		// what the node sees now
		read("eth_blockNumber", none, CacheNow),
		read("eth_gasPrice", none, CacheNow),
		read("eth_maxPriorityFeePerGas", none, CacheNow),
		read("eth_blobBaseFee", none, CacheNow),
		read("eth_syncing", none, CacheNow),
		read("eth_config", none, CacheNow),
		read("eth_protocolVersion", none, CacheNow),
		find("eth_coinbase", none, CacheNow),
		find("eth_hashrate", none, CacheNow),
		find("eth_mining", none, CacheNow),
		read("net_listening", none, CacheNow),
		read("net_peerCount", none, CacheNow),
		read("net_enode", none, CacheNow),
		read("net_services", none, CacheNow),
		read("web3_sha3", none, CacheNever),
		read("rpc_modules", none, CacheNow),
		read("txpool_status", none, CacheNow),
		read("txpool_contentFrom", none, CacheNow),
		read("txpool_besuStatistics", none, CacheNow),
		read("txpool_besuTransactions", none, CacheNow),
		read("txpool_besuPendingTransactions", none, CacheNow),

		// traces
		find("trace_block", 0, CacheByBlock),
		find("trace_transaction", none, CacheNever),
		find("trace_get", none, CacheNever),
		read("trace_call", 2, CacheNever),
		read("trace_callMany", 1, CacheNever),
		read("trace_rawTransaction", none, CacheNever),
		find("trace_replayBlockTransactions", 0, CacheByBlock),
		find("trace_filter", none, CacheNever),

		// consensus: reading passes, voting does not
		read("qbft_getValidatorsByBlockNumber", 0, CacheByBlock),
		find("qbft_getValidatorsByBlockHash", none, CacheNever),
		read("qbft_getSignerMetrics", none, CacheNever),
		read("qbft_getPendingVotes", none, CacheNever),
		read("qbft_getRequestTimeoutSeconds", none, CacheNever),
		read("ibft_getValidatorsByBlockNumber", 0, CacheByBlock),
		find("ibft_getValidatorsByBlockHash", none, CacheNever),
		read("ibft_getSignerMetrics", none, CacheNever),
		read("ibft_getPendingVotes", none, CacheNever),
		other("qbft_proposeValidatorVote", Refused, hintVotes),
		other("qbft_discardValidatorVote", Refused, hintVotes),
		other("ibft_proposeValidatorVote", Refused, hintVotes),
		other("ibft_discardValidatorVote", Refused, hintVotes),

		// writes
		other("eth_sendRawTransaction", Send, ""),
		other("eth_sendTransaction", Refused, hintSigner),
		other("eth_sign", Refused, hintSigner),
		other("eth_signTransaction", Refused, hintSigner),
		other("eth_signTypedData", Refused, hintSigner),
		other("eth_signTypedData_v3", Refused, hintSigner),
		other("eth_signTypedData_v4", Refused, hintSigner),
		other("eth_subscribe", Subscription, hintHTTPSub),
		other("eth_unsubscribe", Subscription, hintHTTPSub),

		// state kept inside one node
		{Name: "eth_newFilter", Kind: Filter, Block: none},
		{Name: "eth_newBlockFilter", Kind: Filter, Block: none},
		{Name: "eth_newPendingTransactionFilter", Kind: Filter, Block: none},
		{Name: "eth_getFilterChanges", Kind: Filter, Block: none},
		{Name: "eth_getFilterLogs", Kind: Filter, Block: none},
		{Name: "eth_uninstallFilter", Kind: Filter, Block: none},
	}
}
