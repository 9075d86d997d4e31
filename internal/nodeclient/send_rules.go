package nodeclient

import "strings"

// SendOutcome is what an answer to eth_sendRawTransaction means for the slot.
// None of them frees a slot: only the chain ends a transaction that was signed.
type SendOutcome uint8

// The outcomes. The zero value is the one that assumes least.
const (
	SendAmbiguous         SendOutcome = iota // it may have arrived: look by hash, send the same bytes again
	SendAccepted                             // the node took it
	SendKnown                                // the node says it has it; on Besu this can also mean the nonce is used
	SendNonceUsed                            // the account is past this nonce: look for our receipt
	SendTooFarAhead                          // more open nonces than the pool takes: fewer at a time, again after the next block
	SendGap                                  // the node misses a lower nonce: send again from the lowest open one
	SendUnderpriced                          // too cheap now, or another transaction holds the nonce
	SendInsufficientFunds                    // waits for the account to be funded
	SendNodeBusy                             // pool full, syncing, pool off: later, or another node
	SendRefused                              // the node will not take these bytes: an operator must look
)

// sendOutcomes is the number of outcomes.
const sendOutcomes = SendRefused + 1

// String names the outcome as it stands in metrics and history.
func (o SendOutcome) String() string {
	names := [sendOutcomes]string{
		"ambiguous", "accepted", "known", "nonce_used", "too_far_ahead", "gap", "underpriced", "insufficient_funds", "node_busy", "refused",
	}
	if o < sendOutcomes {
		return names[o]
	}
	return "unknown"
}

// sendRule matches an error by code (0 = any) and by a substring of the
// lower-cased message. Messages of Besu, geth, anvil, Nethermind, Erigon and
// OpenEthereum; Besu's codes are stable since JsonRpcErrorConverter.
type sendRule struct {
	code    int
	text    string
	outcome SendOutcome
}

// sendRules in order: the first match wins, so the specific stands before the general.
func sendRules() []sendRule {
	return []sendRule{
		{0, "already known", SendKnown},                             // geth
		{0, "known transaction", SendKnown},                         // Besu
		{0, "already imported", SendKnown},                          // anvil, OpenEthereum
		{0, "alreadyknown", SendKnown},                              // Nethermind
		{0, "replacement transaction underpriced", SendUnderpriced}, // Besu, geth
		{0, "insufficient gas price to replace", SendUnderpriced},   // anvil
		{0, "future transaction tries to replace pending", SendUnderpriced},
		{0, "too distant", SendTooFarAhead},                                // Besu, beyond --tx-pool-max-future-by-sender
		{0, "account limit exceeded", SendTooFarAhead},                     // geth, AccountSlots
		{0, "nonce too low", SendNonceUsed},                                // all
		{0, "oldnonce", SendNonceUsed},                                     // Nethermind
		{-32001, "nonce", SendNonceUsed},                                   // Besu NONCE_TOO_LOW
		{0, "nonce too high", SendGap},                                     // geth, anvil, hardhat; Besu -32006
		{0, "noncegap", SendGap},                                           // Nethermind
		{0, "exceeds next nonce", SendGap},                                 // Nethermind
		{0, "an invalid transaction with a lower nonce exists", SendGap},   // Besu
		{0, "upfront cost exceeds account balance", SendInsufficientFunds}, // Besu -32004
		{0, "insufficient funds", SendInsufficientFunds},                   // geth, anvil
		{0, "gas price below configured minimum", SendUnderpriced},         // Besu -32009
		{0, "gas price below current base fee", SendUnderpriced},           // Besu -32009
		{0, "transaction underpriced", SendUnderpriced},                    // geth
		{0, "max fee per gas less than block base fee", SendUnderpriced},   // geth, anvil
		{0, "feetoolow", SendUnderpriced},                                  // Nethermind
		{0, "fee cap exceeded", SendRefused},                               // Besu --rpc-tx-feecap
		{0, "exceeds the configured cap", SendRefused},                     // geth --rpc.txfeecap
		{0, "max priority fee per gas", SendRefused},                       // above the fee cap: our fault
		{0, "exceeds block gas limit", SendRefused},                        // Besu -32005, geth, anvil
		{0, "gas limit cap exceeded", SendRefused},                         // Besu, EIP-7825
		{0, "intrinsic gas", SendRefused},                                  // Besu -32003, geth, anvil
		{0, "not authorized to send transactions", SendRefused},            // Besu permissioning
		{0, "sender not an eoa", SendRefused},                              // geth, EIP-3607
		{0, "chainid", SendRefused},                                        // Besu: wrong, not supported, required
		{0, "invalid chain id", SendRefused},                               // geth, anvil
		{0, "invalid sender", SendRefused},                                 // geth
		{0, "invalid signature", SendRefused},                              // Besu -32002
		{0, "pool not enabled", SendNodeBusy},                              // Besu while syncing, the same -32002
		{0, "sync is still in progress", SendNodeBusy},                     // Besu -32008
		{0, "invalid block param", SendRefused},                            // Besu: its words for undecodable bytes
		{0, "invalid transaction type", SendRefused},                       // Besu before London
		{0, "plugin has marked", SendRefused},                              // Besu transaction selector plug-ins
		{0, "txpool is full", SendNodeBusy},                                // geth
		{0, "queue full", SendNodeBusy},                                    // sequencers
		{0, "pool full", SendNodeBusy},                                     // sequencers
		{0, "address already reserved", SendNodeBusy},                      // geth: blob and legacy pool
		{0, "authority already reserved", SendNodeBusy},                    // geth, EIP-7702
		{0, "oversized data", SendRefused},                                 // geth
		{0, "too many requests", SendNodeBusy},
		{0, "rate limit", SendNodeBusy},
	}
}

// ClassifySend says what a node's error to eth_sendRawTransaction means.
// What no rule knows is ambiguous.
func ClassifySend(code int, message string) SendOutcome {
	message = strings.ToLower(message)
	for _, r := range sendRules() {
		if (r.code == 0 || r.code == code) && strings.Contains(message, r.text) {
			return r.outcome
		}
	}
	return SendAmbiguous
}
