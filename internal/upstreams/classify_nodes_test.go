package upstreams

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/methods"
)

// TestClassifyError_Besu holds every error that Besu has for a transaction or a
// call against what the gateway makes of it.
func TestClassifyError_Besu(t *testing.T) {
	t.Parallel()

	cases := map[string]struct {
		kind    methods.Kind
		code    jsonrpc.Code
		message string
		want    Outcome
	}{
		"duplicate in the pool":            {methods.Send, -32000, "Known transaction", OutcomeKnown},
		"replacement too cheap":            {methods.Send, -32000, "Replacement transaction underpriced", OutcomeClientFault},
		"nonce below the account's":        {methods.Send, -32001, "Nonce too low", OutcomeNonceLow},
		"nonce above":                      {methods.Send, -32006, "Nonce too high", OutcomeClientFault},
		"nonce far above":                  {methods.Send, -32000, "Transaction nonce is too distant from current sender nonce", OutcomeClientFault},
		"an invalid one before":            {methods.Send, -32000, "An invalid transaction with a lower nonce exists", OutcomeClientFault},
		"balance":                          {methods.Send, -32004, "Upfront cost exceeds account balance", OutcomeClientFault},
		"balance in a call":                {methods.Read, -32004, "Upfront cost exceeds account balance", OutcomeClientFault},
		"intrinsic gas":                    {methods.Send, -32003, "Intrinsic gas exceeds gas limit", OutcomeClientFault},
		"more gas than a block":            {methods.Send, -32005, "Transaction gas limit exceeds block gas limit", OutcomeClientFault},
		"more gas than EIP-7825 allows":    {methods.Send, -32005, "Transaction gas limit cap exceeded", OutcomeClientFault},
		"price below the minimum":          {methods.Send, -32009, "Gas price below configured minimum gas price", OutcomeClientFault},
		"price below the base fee":         {methods.Send, -32009, "Gas price below current base fee", OutcomeClientFault},
		"fee cap":                          {methods.Send, -32000, "Transaction fee cap exceeded", OutcomeClientFault},
		"wrong chain":                      {methods.Send, -32000, "Wrong chainId", OutcomeClientFault},
		"bad signature":                    {methods.Send, -32002, "Invalid signature", OutcomeClientFault},
		"no pool while syncing, same code": {methods.Send, -32002, "Transaction pool not enabled. (Either txpool explicitly disabled, or node not yet in sync).", OutcomeUnsupported},
		"account permissioning":            {methods.Send, -32007, "Sender account not authorized to send transactions", OutcomeClientFault},
		"syncing":                          {methods.Send, -32008, "Initial sync is still in progress", OutcomeMissing},
		"revert":                           {methods.Read, 3, "execution reverted", OutcomeClientFault},
		"revert before 25.12":              {methods.Read, -32000, "Execution reverted", OutcomeClientFault},
		"batch over the limit":             {methods.Read, -32005, "Number of requests exceeds max batch size", OutcomeUnsupported},
		"log range over the limit":         {methods.Read, -32005, "Requested range exceeds maximum RPC range limit", OutcomeTooLarge},
		"logs past the head":               {methods.Read, -32602, "block range extends beyond current head block", OutcomeMissing},
		"method off":                       {methods.Read, -32604, "Method not enabled", OutcomeUnsupported},
		"method unknown":                   {methods.Read, -32601, "Method not found", OutcomeUnsupported},
		"its own timeout":                  {methods.Read, -32603, "Timeout expired", OutcomeTimeout},
		"credentials":                      {methods.Read, -40100, "Unauthorized", OutcomeUnauthorized},
		"finalized on QBFT":                {methods.Read, -39001, "Unknown block", OutcomeMissing},
		"state beyond Bonsai's 512 blocks": {methods.Read, -32000, "World state unavailable", OutcomeMissing},
		"pool full":                        {methods.Send, -32000, "Transaction pool is full", OutcomeNodeError},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want.String(), classifyError(c.kind, jsonrpc.NewError(c.code, c.message)).String())
		})
	}
}

// TestClassifyError_OtherNodes holds what geth, Nethermind, Erigon, Reth, anvil
// and hosted nodes say.
func TestClassifyError_OtherNodes(t *testing.T) {
	t.Parallel()

	cases := map[string]struct {
		kind    methods.Kind
		code    jsonrpc.Code
		message string
		want    Outcome
	}{
		"geth: duplicate":         {methods.Send, -32000, "already known", OutcomeKnown},
		"Nethermind: duplicate":   {methods.Send, -32010, "AlreadyKnown", OutcomeKnown},
		"Erigon: duplicate":       {methods.Send, -32000, "existing tx with same hash", OutcomeKnown},
		"anvil: duplicate":        {methods.Send, -32003, "transaction already imported", OutcomeKnown},
		"geth: nonce":             {methods.Send, -32000, "nonce too low: next nonce 5, tx nonce 3", OutcomeNonceLow},
		"Nethermind: nonce":       {methods.Send, -32010, "OldNonce, Current nonce: 5, nonce of rejected tx: 3", OutcomeNonceLow},
		"anvil: nonce":            {methods.Send, -32003, "nonce too low", OutcomeNonceLow},
		"geth: underpriced":       {methods.Send, -32000, "replacement transaction underpriced", OutcomeClientFault},
		"geth: funds":             {methods.Send, -32000, "insufficient funds for gas * price + value: balance 0", OutcomeClientFault},
		"geth: full":              {methods.Send, -32000, "txpool is full", OutcomeNodeError},
		"geth: malformed":         {methods.Send, -32000, "rlp: value size exceeds available input length", OutcomeClientFault},
		"geth: results":           {methods.Read, -32005, "query returned more than 10000 results", OutcomeTooLarge},
		"Nethermind: results":     {methods.Read, -32005, "Too many logs requested. Max logs per response is 20000.", OutcomeTooLarge},
		"Reth: range":             {methods.Read, -32602, "query exceeds max block range 100000", OutcomeTooLarge},
		"a host: range":           {methods.Read, -32614, "eth_getLogs is limited to a 10,000 range", OutcomeTooLarge},
		"a host: size":            {methods.Read, -32602, "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range", OutcomeTooLarge},
		"a host: rate":            {methods.Read, -32005, "daily request count exceeded, request rate limited", OutcomeRateLimited},
		"a host: billing":         {methods.Read, -32000, "Monthly capacity limit exceeded. Visit us to upgrade", OutcomeRateLimited},
		"a host: key":             {methods.Read, -32000, "Must be authenticated!", OutcomeUnauthorized},
		"geth: pruned state":      {methods.Read, -32000, "missing trie node ab (path ) state 0x0 is not available", OutcomeMissing},
		"Reth: no such block":     {methods.Read, -32001, "resource not found: block not found", OutcomeMissing},
		"EIP-1474: not supported": {methods.Read, -32004, "Method unavailable", OutcomeUnsupported},
		"geth: gas":               {methods.Read, -32000, "out of gas", OutcomeClientFault},
		"a wrong parameter":       {methods.Read, -32602, "invalid argument 0: hex string has length 2, want 40", OutcomeClientFault},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want.String(), classifyError(c.kind, jsonrpc.NewError(c.code, c.message)).String())
		})
	}
}
