package api

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// What no database takes as a text is refused before it gets there.
func TestREST_RefusesWhatIsNoText(t *testing.T) {
	t.Parallel()
	f := serve(t)
	cases := map[string]struct {
		method, path string
		header       []string
		detail       string
	}{
		"NUL in the path":             {"POST", "/v1/keys/%00/disable", nil, "the path"},
		"no UTF-8 in the path":        {"GET", "/v1/transactions/by-reference/%ff", nil, "the path"},
		"NUL in a parameter":          {"GET", "/v1/transactions?reference=a%00", nil, "a query parameter"},
		"no UTF-8 in a parameter":     {"GET", "/v1/transactions?idempotencyKey=%ff", nil, "a query parameter"},
		"no UTF-8 in a name":          {"GET", "/v1/transactions?%ff=1", nil, "a query parameter"},
		"a query that cannot be read": {"GET", "/v1/transactions?reference=%zz", nil, "the query cannot be read"},
		"a query with a semicolon":    {"GET", "/v1/transactions?limit=1;limit=2", nil, "the query cannot be read"},
		"no UTF-8 in a header":        {"POST", "/v1/transactions", []string{"Idempotency-Key", "\xff"}, "the header Idempotency-Key"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, _, answer := f.do(t, c.method, c.path, "", c.header...)
			require.Equal(t, 400, status, answer)
			var p problem
			require.NoError(t, json.Unmarshal([]byte(answer), &p))
			require.Equal(t, "invalid_request", p.Code)
			require.Contains(t, p.Detail, c.detail)
		})
	}
	status, _, answer := f.do(t, "POST", "/", `{"id":1,"method":"eth_accounts"}`, "Idempotency-Key", "\xff")
	require.Equal(t, 400, status)
	require.JSONEq(t, `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"the header Idempotency-Key is not UTF-8 without NUL"}}`, answer)
	status, _, _ = f.do(t, "GET", "/v1/transactions?reference=%C3%A9%20;x", "")
	require.Equal(t, 400, status)
	status, _, answer = f.do(t, "GET", "/v1/transactions?reference=%C3%A9%3B", "")
	require.Equal(t, 200, status, answer)
}

// A fault in a handler is answered as one, and does not end the connection.
func TestServer_APanicIsAnswered(t *testing.T) {
	t.Parallel()
	f := serve(t)
	f.queue.onWait = func() { panic("hunter2") }
	status, _, answer := f.do(t, "POST", "/v1/transactions?wait=mined", `{"from":"`+alice+`","to":"`+bob+`"}`)
	require.Equal(t, 500, status)
	require.JSONEq(t, `{"type":"urn:slipway:problem:internal","code":"internal","title":"Internal error","status":500}`, answer)

	f.queue.onWatch = func() { panic("hunter2") }
	status, _, answer = f.do(t, "POST", "/", `{"id":1,"method":"eth_sendTransaction","params":[{"from":"`+alice+`","to":"`+bob+`"}]}`)
	require.Equal(t, 500, status)
	require.JSONEq(t, `{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"internal error"}}`, answer)
}
