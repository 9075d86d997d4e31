package upstreams

import (
	"encoding/json"
	"testing"

	"github.com/slipwayhq/slipway/internal/methods"
)

// FuzzClassifyReply: whatever a node answers, what settles a request is JSON
// that came under the request's id.
func FuzzClassifyReply(f *testing.F) {
	for _, seed := range []string{
		`{"jsonrpc":"2.0","id":7,"result":"0x1"}`, `{"jsonrpc":"2.0","id":7,"error":{"code":3,"message":"execution reverted","data":"0x08c379a0"}}`,
		`{"id":7,"result":null}`, `{"id":8,"result":1}`, `{"id":7,"result":1,"error":{}}`, `{"id":7,"error":"no"}`, `<html>`, ``, `[]`, `{"id":7,"error":{"code":"x","message":1}}`,
		`{"id":7,"error":{"code":-32005,"message":"rate limit exceeded"}}`, `{"id":7,"error":{"code":-32000,"message":"nonce too low"}}`,
	} {
		f.Add("eth_getBlockByNumber", 200, []byte(seed))
		f.Add("eth_sendRawTransaction", 503, []byte(seed))
	}
	catalogue := methods.New()
	f.Fuzz(func(t *testing.T, method string, status int, body []byte) {
		v := classifyReply(catalogue.Describe(method, []byte(`["0x1",false]`)), []byte("7"), httpReply{status: status, body: body})
		if !v.outcome.settles() {
			return
		}
		text := v.result
		if text == nil {
			text = v.errorObj
		}
		if !json.Valid(text) {
			t.Fatalf("%s %d %q settles with %q", method, status, body, text)
		}
	})
}

func FuzzChecks(f *testing.F) {
	for _, text := range []string{
		`[]`, `{}`, `null`, `[{"logs":[{"logIndex":"0x0","topics":[null]}]}]`, `{"transactions":[1,"",{}]}`,
		`{"hash":"0x01","from":"0x02","type":"0x2","chainId":"0x0"}`, `[{"transactionHash":"0x","type":"0x7f"}]`,
	} {
		f.Add([]byte(text))
	}
	c := newChecker()
	f.Fuzz(func(_ *testing.T, result []byte) {
		for method := range c.byMethod {
			req := requestOf(method)
			c.failures(IntrinsicChecks(), req, result)
			isAbout(req, result)
			if compared, ok := corroborationOf(req, result); ok {
				compared.refutes(CorroboratedChecks(), blockSummary{})
			}
		}
		readSummary(result)
	})
}
