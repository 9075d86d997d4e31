package upstreams

import (
	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/methods"
)

// LacksBlock says whether a reply to a request for a block by its number means
// that the node has no such block. For searching logs behind their head, nodes
// have as many words as versions, all of them about the parameters.
func (r Reply) LacksBlock(facts methods.Facts) bool {
	if r.Error == nil {
		return string(r.Result) == "null"
	}
	e := jsonrpc.DecodeError(r.Error)
	if classifyError(facts.Method.Kind, e) == OutcomeMissing {
		return true
	}
	return facts.Method.Cache == methods.CacheLogs && e.Code == jsonrpc.CodeInvalidParams
}
