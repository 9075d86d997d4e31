package subscriptions

import (
	"strconv"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
)

// Kind is what a subscription is about. Its text is a metric label.
type Kind uint8

// The kinds.
const (
	NewHeads Kind = iota
	Logs
	PendingTransactions
	Syncing

	kindCount
)

// String is the kind's name in eth_subscribe.
func (k Kind) String() string {
	return [kindCount]string{"newHeads", "logs", "newPendingTransactions", "syncing"}[k]
}

// topic is what one subscription is about.
type topic struct {
	kind Kind
	// withTransactions asks for hashes of transactions in heads, and for whole
	// transactions instead of their hashes.
	withTransactions bool
	filter           filter // of logs
}

// parseTopic reads the parameters of eth_subscribe.
func parseTopic(params []byte) (topic, *jsonrpc.Error) {
	name := jsonrpc.Element(params, 0)
	option := jsonrpc.Element(params, 1)
	for kind := range kindCount {
		if string(name) != strconv.Quote(kind.String()) {
			continue
		}
		t := topic{kind: kind}
		switch kind {
		case NewHeads, PendingTransactions:
			t.withTransactions = wantsTransactions(option)
		case Logs:
			f, err := parseFilter(option)
			if err != nil {
				return topic{}, jsonrpc.NewError(jsonrpc.CodeInvalidParams, "invalid params: "+err.Error())
			}
			t.filter = f
		default:
		}
		return t, nil
	}
	return topic{}, jsonrpc.NewError(jsonrpc.CodeInvalidParams, "invalid params: there are subscriptions to newHeads, logs, newPendingTransactions and syncing")
}

// wantsTransactions reads the option in both of its dialects: go-ethereum's
// true and Besu's {"includeTransactions": true}.
func wantsTransactions(option []byte) bool {
	return string(option) == "true" || string(jsonrpc.Member(option, "includeTransactions")) == "true"
}
