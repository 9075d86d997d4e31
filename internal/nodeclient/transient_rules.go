package nodeclient

import (
	"strings"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
)

// transientRules lists errors that say something of the node or the gateway,
// and nothing of the call: the same call may succeed later. By code (0 = any)
// and by a substring of the lower-cased message ("" = any). They do not hold
// for eth_sendRawTransaction, whose errors have a table of their own.
func transientRules() []struct {
	code jsonrpc.Code
	text string
} {
	return []struct {
		code jsonrpc.Code
		text string
	}{
		{jsonrpc.CodeUnavailable, ""},   // the gateway: no upstream can serve, or gave an answer
		{jsonrpc.CodeTimeout, ""},       // the gateway: no answer in time
		{jsonrpc.CodeLimitExceeded, ""}, // rate limits; Besu's batch limit
		{jsonrpc.CodeInternal, ""},      // nodes, of themselves: Besu also when its own time is up
		{-32008, ""},                    // Besu: initial sync is still in progress
		{429, ""},                       // providers that put the HTTP status there
		{0, "timeout"},                  // geth: execution timeout
		{0, "timed out"},
		{0, "too many requests"},
		{0, "rate limit"},
		{0, "header not found"},  // a block the asked node does not have yet
		{0, "unknown block"},     // Besu
		{0, "missing trie node"}, // a state the asked node does not have
		{0, "world state unavailable"},
		{0, "sync is still in progress"},
	}
}

// isTransient says whether the call itself is not to blame.
func isTransient(e *jsonrpc.Error) bool {
	message := strings.ToLower(e.Message)
	for _, r := range transientRules() {
		if (r.code == 0 || r.code == e.Code) && strings.Contains(message, r.text) {
			return true
		}
	}
	return false
}
