package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/nodeclient"
	"github.com/slipwayhq/slipway/internal/queue"
	"github.com/slipwayhq/slipway/internal/telemetry"
)

const (
	alice = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
	bob   = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
)

// fakeQueue accepts for alice and signs at once.
type fakeQueue struct {
	mu      sync.Mutex
	list    []queue.Transaction
	err     error         // what Enqueue returns
	unsig   bool          // the watch never sees a hash
	ended   *queue.Reason // the watch sees a rejection
	filters []queue.Filter
	sender  common.Address // accepted besides alice
	// isProtected says what the queue finds in the database; nil: no account is.
	isProtected func(ctx context.Context, account common.Address) (bool, error)
	hold        chan struct{} // when not nil, hashes come once it is closed

	onWait      func()       // called by Wait, nil for nothing
	onWatch     func()       // called by the watches, nil for nothing
	fees        []queue.Fees // what SpeedUp was asked for
	senders     []queue.Sender
	explanation queue.Explanation
}

func (q *fakeQueue) Enqueue(ctx context.Context, r queue.Request) (queue.Accepted, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.isProtected != nil && !r.IsProven {
		if is, err := q.isProtected(ctx, r.Sender); err != nil || is {
			return queue.Accepted{}, cmp.Or(err, queue.ErrUnproven)
		}
	}
	if q.err != nil {
		return queue.Accepted{}, q.err
	}
	if r.Sender != common.HexToAddress(alice) && r.Sender != q.sender {
		return queue.Accepted{}, fmt.Errorf("%w %s", queue.ErrUnknownSender, r.Sender)
	}
	for _, t := range q.list {
		if r.IdempotencyKey != "" && t.Request.IdempotencyKey == r.IdempotencyKey {
			if !bytes.Equal(t.Request.Data, r.Data) {
				return queue.Accepted{}, queue.ErrKeyReused
			}
			return queue.Accepted{Transaction: t, Replayed: true}, nil
		}
	}
	if r.Value == nil {
		r.Value = new(big.Int)
	}
	t := queue.Transaction{ID: uuid.New(), Seq: int64(len(q.list) + 1), ChainID: 31337, Request: r, Status: queue.StatusQueued, CreatedAt: time.Unix(1, 0)}
	q.list = append(q.list, t)
	return queue.Accepted{Transaction: t}, nil
}

func (q *fakeQueue) Get(_ context.Context, _ string, id uuid.UUID) (queue.Transaction, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.IndexFunc(q.list, func(t queue.Transaction) bool { return t.ID == id })
	if i < 0 {
		return queue.Transaction{}, queue.ErrNotFound
	}
	return q.list[i], nil
}

func (q *fakeQueue) List(_ context.Context, f queue.Filter) ([]queue.Transaction, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.filters = append(q.filters, f)
	list := slices.Clone(q.list)
	slices.Reverse(list)
	return list[:min(len(list), f.Limit)], nil
}

func (q *fakeQueue) EnqueueWatched(ctx context.Context, r queue.Request) (queue.Accepted, queue.Watch, error) {
	a, err := q.Enqueue(ctx, r)
	return a, func(ctx context.Context) (queue.Transaction, error) { return q.waitSigned(ctx, a.Transaction) }, err
}

func (q *fakeQueue) waitSigned(ctx context.Context, t queue.Transaction) (queue.Transaction, error) {
	if q.onWatch != nil {
		q.onWatch()
	}
	switch {
	case q.ended != nil:
		t.Status, t.Error = queue.StatusRejected, q.ended
		return t, nil
	case q.unsig:
		<-ctx.Done()
		t.Substatus = queue.WaitingForNode
		return t, context.Cause(ctx)
	}
	if q.hold != nil {
		<-q.hold
	}
	h := common.BigToHash(big.NewInt(t.Seq))
	t.Hash, t.Status = &h, queue.StatusSigned
	return t, nil
}

func (q *fakeQueue) Accounts() []common.Address { return []common.Address{common.HexToAddress(alice)} }

// fakeNode echoes what it was sent, as the result.
type fakeNode struct{ away bool }

func (n *fakeNode) Forward(_ context.Context, body []byte) ([]byte, int, error) {
	if n.away {
		return nil, 0, nodeclient.ErrUnreachable
	}
	one := func(text []byte) []byte {
		r, _ := jsonrpc.ScanRequest(text)
		if r.IsNotification() {
			return nil
		}
		return jsonrpc.AppendResult(nil, r.ID, []byte(`"from the gateway: `+r.Method+`"`))
	}
	if !jsonrpc.IsBatch(body) {
		return one(body), 200, nil
	}
	var out [][]byte
	for _, e := range jsonrpc.Elements(body) {
		if a := one(e); a != nil {
			out = append(out, a)
		}
	}
	return slices.Concat([]byte("["), bytes.Join(out, []byte(",")), []byte("]")), 200, nil
}

type fixture struct {
	queue   *fakeQueue
	node    *fakeNode
	handler *Handler
	url     string
}

func serve(t *testing.T) *fixture {
	t.Helper()
	return serveWith(t, func(*Deps, *Config) {})
}

func serveWith(t *testing.T, change func(*Deps, *Config)) *fixture {
	t.Helper()
	f := &fixture{queue: &fakeQueue{}, node: &fakeNode{}}
	f.queue.senders = []queue.Sender{{Address: common.HexToAddress(alice), KeyRef: "local:m", State: queue.SenderActive, Window: 150}}
	cfg := Default()
	cfg.SendWait, cfg.MaxBody = time.Second, 300<<10
	deps := Deps{
		Queue: f.queue, Node: f.node, Keys: testKeys(), ChainID: 31337, LocalOnly: true,
		Metrics: telemetry.NewFactory(), Log: slog.New(slog.DiscardHandler),
	}
	change(&deps, &cfg)
	handler, err := NewHandler(cfg, deps)
	require.NoError(t, err)
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	f.url, f.handler = server.URL, handler
	return f
}

func (f *fixture) do(t *testing.T, method, path, body string, header ...string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, f.url+path, strings.NewReader(body))
	require.NoError(t, err)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := (&http.Client{Timeout: 30 * time.Second}).Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	contractFor(t).check(t, method, path, body, resp.StatusCode, resp.Header, string(answer))
	return resp.StatusCode, resp.Header, string(answer)
}

func TestREST_CreateReadAndReplay(t *testing.T) {
	t.Parallel()
	f := serve(t)
	body := `{"from":"` + alice + `","to":"` + bob + `","value":"1000000000000000000000","data":"0xabcd","gas":21000,"maxFeePerGas":"0x0","reference":"invoice 7"}`

	status, header, answer := f.do(t, "POST", "/v1/transactions", body, "Idempotency-Key", "k1")
	require.Equal(t, 202, status, answer)
	var got map[string]any
	require.NoError(t, json.Unmarshal([]byte(answer), &got))
	require.Equal(t, "queued", got["status"])
	require.Equal(t, "1000000000000000000000", got["value"])
	require.Equal(t, "0xabcd", got["data"])
	require.Equal(t, alice, got["from"])
	require.Equal(t, fmt.Sprint("/v1/transactions/", got["id"]), header.Get("Location"))
	require.Equal(t, "invoice 7", f.queue.list[0].Request.Reference)
	require.EqualValues(t, 21000, f.queue.list[0].Request.Gas)

	status, _, read := f.do(t, "GET", header.Get("Location"), "")
	require.Equal(t, 200, status)
	require.JSONEq(t, answer, read)

	status, header, again := f.do(t, "POST", "/v1/transactions", body, "Idempotency-Key", "k1")
	require.Equal(t, 200, status)
	require.Equal(t, "true", header.Get("Idempotent-Replayed"))
	require.JSONEq(t, answer, again)
}

func TestREST_List(t *testing.T) {
	t.Parallel()
	f := serve(t)
	for i := range 3 {
		status, _, _ := f.do(t, "POST", "/v1/transactions", fmt.Sprintf(`{"from":"%s","to":"%s","data":"0x0%d"}`, alice, bob, i))
		require.Equal(t, 202, status)
	}

	status, _, answer := f.do(t, "GET", "/v1/transactions?limit=2&status=queued&from="+alice+"&reference=r&idempotencyKey=k", "")

	require.Equal(t, 200, status)
	var got struct {
		Items []map[string]any
		Next  string
	}
	require.NoError(t, json.Unmarshal([]byte(answer), &got))
	require.Len(t, got.Items, 2)
	require.Equal(t, "0x02", got.Items[0]["data"])
	require.NotEmpty(t, got.Next)
	sender := common.HexToAddress(alice)
	require.Equal(t, queue.Filter{Tenant: "default", Sender: &sender, Statuses: []queue.Status{queue.StatusQueued}, IdempotencyKey: "k", Reference: "r", Limit: 3}, f.queue.filters[0])

	_, _, last := f.do(t, "GET", "/v1/transactions?limit=7&status=queued&from="+alice+"&reference=r&idempotencyKey=k&cursor="+got.Next, "")
	require.NotContains(t, last, `"next"`)
	require.EqualValues(t, 2, f.queue.filters[1].Before)
	status, _, other := f.do(t, "GET", "/v1/transactions?cursor="+got.Next, "")
	require.Equal(t, 400, status)
	require.Contains(t, other, "other filters")
}

func TestREST_BadInput(t *testing.T) {
	t.Parallel()

	tx := func(fields string) string { return `{"from":"` + alice + `","to":"` + bob + `",` + fields + `}` }
	cases := map[string]struct {
		method, path, body string
		header             string
		err                error
		status             int
		kind, detail       string
	}{
		"malformed JSON":        {body: `{"from":`, status: 400, kind: "invalid_request", detail: "ends too early"},
		"empty body":            {body: ``, status: 400, kind: "invalid_request", detail: "ends too early"},
		"not an object":         {body: `7`, status: 400, kind: "invalid_request", detail: "must not be a JSON number"},
		"an empty list":         {body: `[]`, status: 400, kind: "invalid_request", detail: "between 1 and 100"},
		"text after the value":  {body: tx(`"value":"1"`) + "x", status: 400, kind: "invalid_request", detail: "text after"},
		"unknown field":         {body: tx(`"vaule":"1"`), status: 400, kind: "invalid_request", detail: `unknown field "vaule"`},
		"no from":               {body: `{"to":"` + bob + `"}`, status: 400, kind: "invalid_request", detail: "from: is missing"},
		"short address":         {body: `{"from":"0x12"}`, status: 400, kind: "invalid_request", detail: "from: must be 0x and 40 hex digits"},
		"wrong hex":             {body: tx(`"data":"0xzz"`), status: 400, kind: "invalid_request", detail: "data: must be"},
		"hex without 0x":        {body: tx(`"data":"abcd"`), status: 400, kind: "invalid_request", detail: "data: must be"},
		"wrong checksum":        {body: `{"from":"0xF39Fd6e51aad88F6F4ce6aB8827279cffFb92266"}`, status: 400, kind: "invalid_request", detail: "EIP-55"},
		"negative value":        {body: tx(`"value":"-1"`), status: 400, kind: "invalid_request", detail: "non-negative"},
		"value over 256 bits":   {body: tx(`"value":"0x1` + strings.Repeat("0", 64) + `"`), status: 400, kind: "invalid_request", detail: "2^256"},
		"value with underscore": {body: tx(`"value":"1_000"`), status: 400, kind: "invalid_request", detail: "non-negative"},
		"a value without end":   {body: tx(`"value":"` + strings.Repeat("9", 5000) + `"`), status: 400, kind: "invalid_request", detail: "2^256"},
		"fraction":              {body: tx(`"value":1.5`), status: 400, kind: "invalid_request", detail: "non-negative"},
		"gas 0":                 {body: tx(`"gas":0`), status: 400, kind: "invalid_request", detail: "gas"},
		"both prices":           {body: tx(`"gasPrice":"1","maxFeePerGas":"1"`), status: 400, kind: "invalid_request", detail: "exclude each other"},
		"tip above cap":         {body: tx(`"maxFeePerGas":"1","maxPriorityFeePerGas":"2"`), status: 400, kind: "invalid_request", detail: "above maxFeePerGas"},
		"creation without code": {body: `{"from":"` + alice + `"}`, status: 400, kind: "invalid_request", detail: "needs bytecode or data"},
		"huge calldata":         {body: tx(`"data":"0x` + strings.Repeat("00", 129<<10) + `"`), status: 400, kind: "invalid_request", detail: "131072"},
		"two keys":              {body: tx(`"idempotencyKey":"a"`), header: "b", status: 400, kind: "invalid_request", detail: "differ"},
		"long key":              {body: tx(`"idempotencyKey":"` + strings.Repeat("k", 129) + `"`), status: 400, kind: "invalid_request", detail: "128"},
		"body over the limit":   {body: tx(`"data":"0x` + strings.Repeat("00", 200<<10) + `"`), status: 413, kind: "body_too_large"},
		"unknown sender":        {body: `{"from":"` + bob + `","to":"` + alice + `"}`, status: 422, kind: "unknown_sender", detail: bob},
		"key with another body": {body: tx(`"data":"0x01"`), err: queue.ErrKeyReused, status: 409, kind: "idempotency_mismatch"},
		"database away":         {body: tx(`"data":"0x01"`), err: fmt.Errorf("accept: %w: dial 10.0.0.1", queue.ErrUnavailable), status: 503, kind: "database_unavailable", detail: "idempotency key"},
		"a fault of ours":       {body: tx(`"data":"0x01"`), err: errors.New("secret detail"), status: 500, kind: "internal"},
		"no such transaction":   {method: "GET", path: "/v1/transactions/" + uuid.NewString(), status: 404, kind: "not_found"},
		"not an id":             {method: "GET", path: "/v1/transactions/7", status: 404, kind: "not_found"},
		"no such resource":      {method: "GET", path: "/v2", status: 404, kind: "no_such_resource"},
		"wrong method":          {method: "DELETE", path: "/v1/transactions", status: 405, kind: "method_not_allowed"},
		"unknown filter":        {method: "GET", path: "/v1/transactions?stauts=queued", status: 400, kind: "invalid_request", detail: `"stauts"`},
		"unknown status":        {method: "GET", path: "/v1/transactions?status=lost", status: 400, kind: "invalid_request", detail: "status"},
		"page too large":        {method: "GET", path: "/v1/transactions?limit=1000000", status: 400, kind: "invalid_request", detail: "limit"},
		"not a cursor":          {method: "GET", path: "/v1/transactions?cursor=x", status: 400, kind: "invalid_request", detail: "cursor"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := serve(t)
			f.queue.err = c.err
			if c.method == "" {
				c.method, c.path = "POST", "/v1/transactions"
			}
			var header []string
			if c.header != "" {
				header = []string{"Idempotency-Key", c.header}
			}

			status, h, answer := f.do(t, c.method, c.path, c.body, header...)

			require.Equal(t, c.status, status, answer)
			require.Equal(t, "application/problem+json", h.Get("Content-Type"))
			var p problem
			require.NoError(t, json.Unmarshal([]byte(answer), &p))
			require.Equal(t, "urn:slipway:problem:"+c.kind, p.Type)
			require.Equal(t, c.status, p.Status)
			require.Contains(t, p.Detail, c.detail)
			require.NotContains(t, answer, "secret detail")
			require.NotContains(t, answer, "10.0.0.1")
			require.Empty(t, f.queue.list)
			if c.status == 503 {
				require.Equal(t, "1", h.Get("Retry-After"))
			}
		})
	}
}

func TestRPC_Methods(t *testing.T) {
	t.Parallel()
	f := serve(t)

	_, _, answer := f.do(t, "POST", "/", `{"jsonrpc":"2.0","id":"a","method":"eth_accounts"}`)
	require.JSONEq(t, `{"jsonrpc":"2.0","id":"a","result":["`+alice+`"]}`, answer)

	send := `{"jsonrpc":"2.0","id":12345678901234567890,"method":"eth_sendTransaction","params":[{"from":"` + alice + `","to":"` + bob + `","value":"0x1","input":"0xab","chainId":"0x7a69","type":"0x2"}]}`
	_, _, answer = f.do(t, "POST", "/", send, "Idempotency-Key", "once")
	require.Equal(t, `{"jsonrpc":"2.0","id":12345678901234567890,"result":"0x0000000000000000000000000000000000000000000000000000000000000001"}`, answer)
	require.Equal(t, []byte{0xab}, f.queue.list[0].Request.Data)
	require.Equal(t, "once", f.queue.list[0].Request.IdempotencyKey)
	_, _, again := f.do(t, "POST", "/", send, "X-Idempotency-Key", "once")
	require.Equal(t, answer, again)

	raw := `{"jsonrpc":"2.0",  "id":7,"method":"anvil_setBalance","params":[]}`
	_, _, answer = f.do(t, "POST", "/", raw)
	require.JSONEq(t, `{"jsonrpc":"2.0","id":7,"result":"from the gateway: anvil_setBalance"}`, answer)

	status, _, answer := f.do(t, "POST", "/", strings.Replace(send, `"id":12345678901234567890,`, "", 1))
	require.Equal(t, 204, status)
	require.Empty(t, answer)
	require.Len(t, f.queue.list, 2)
}

func TestRPC_BatchKeepsOrder(t *testing.T) {
	t.Parallel()
	f := serve(t)
	send := func(id int) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"eth_sendTransaction","params":[{"from":"%s","to":"%s","data":"0x0%d"}]}`, id, alice, bob, id)
	}
	calls := []string{
		send(1), `{"jsonrpc":"2.0","id":2,"method":"eth_chainId"}`, `5`, send(4), `{"jsonrpc":"2.0","method":"eth_notified"}`,
		`{"jsonrpc":"2.0","id":6,"method":"eth_gasPrice"}`, `{"jsonrpc":"2.0","id":7,"method":"eth_accounts"}`,
	}

	_, _, answer := f.do(t, "POST", "/", "["+strings.Join(calls, ",")+"]")

	var got []struct {
		ID     any
		Result any
		Error  *jsonrpc.Error
	}
	require.NoError(t, json.Unmarshal([]byte(answer), &got), answer)
	require.Len(t, got, 6)
	require.Equal(t, []any{1.0, 2.0, nil, 4.0, 6.0, 7.0}, []any{got[0].ID, got[1].ID, got[2].ID, got[3].ID, got[4].ID, got[5].ID})
	require.Equal(t, "from the gateway: eth_chainId", got[1].Result)
	require.Equal(t, jsonrpc.CodeInvalidRequest, got[2].Error.Code)
	require.Equal(t, "from the gateway: eth_gasPrice", got[4].Result)
	require.Equal(t, []byte{1}, f.queue.list[0].Request.Data, "accepted in order")
	require.Equal(t, []byte{4}, f.queue.list[1].Request.Data)

	f.node.away = true
	_, _, answer = f.do(t, "POST", "/", "["+strings.Join(calls, ",")+"]")
	require.NoError(t, json.Unmarshal([]byte(answer), &got), answer)
	require.Equal(t, jsonrpc.CodeUnavailable, got[1].Error.Code)
	require.NotNil(t, got[3].Result, "our own calls need no gateway")
}

func TestRPC_BadInput(t *testing.T) {
	t.Parallel()

	send := func(object string) string {
		return `{"jsonrpc":"2.0","id":7,"method":"eth_sendTransaction","params":[` + object + `]}`
	}
	from := `"from":"` + alice + `","to":"` + bob + `"`
	cases := map[string]struct {
		body    string
		prepare func(*fixture)
		status  int
		code    jsonrpc.Code
		message string
		data    string
	}{
		"malformed JSON":  {body: `{"id":7`, status: 400, code: jsonrpc.CodeParse},
		"deep nesting":    {body: strings.Repeat("[", 100_000), status: 400, code: jsonrpc.CodeParse},
		"empty batch":     {body: `[]`, status: 400, code: jsonrpc.CodeInvalidRequest},
		"too many calls":  {body: "[" + strings.Repeat(`1,`, 100) + "1]", status: 400, code: jsonrpc.CodeInvalidRequest, message: "too many"},
		"no method":       {body: `{"jsonrpc":"2.0","id":7}`, status: 400, code: jsonrpc.CodeInvalidRequest},
		"no params":       {body: `{"jsonrpc":"2.0","id":7,"method":"eth_sendTransaction"}`, status: 200, code: jsonrpc.CodeInvalidParams, message: "transaction object"},
		"no object":       {body: send(`"0x"`), status: 200, code: jsonrpc.CodeInvalidParams, message: "transaction object"},
		"wrong hex":       {body: send(`{` + from + `,"data":"0xz"}`), status: 200, code: jsonrpc.CodeInvalidParams, message: "data"},
		"wrong type":      {body: send(`{"from":7}`), status: 200, code: jsonrpc.CodeInvalidParams, message: "from"},
		"data and input":  {body: send(`{` + from + `,"data":"0x01","input":"0x02"}`), status: 200, code: jsonrpc.CodeInvalidParams, message: "differ"},
		"huge nonce":      {body: send(`{` + from + `,"nonce":"0xffffffffffffffff"}`), status: 200, code: jsonrpc.CodeInvalidParams, message: "nonce"},
		"another chain":   {body: send(`{` + from + `,"chainId":"0x1"}`), status: 200, code: jsonrpc.CodeInvalidParams, message: "chainId does not match node's (have=1, want=31337)"},
		"unknown sender":  {body: send(`{"from":"` + bob + `","to":"` + alice + `"}`), status: 200, code: jsonrpc.CodeServer, message: "unknown account"},
		"body over limit": {body: `"` + strings.Repeat("x", 400<<10) + `"`, status: 413, code: jsonrpc.CodeInvalidRequest, message: "too large"},
		"gateway away":    {body: `{"jsonrpc":"2.0","id":7,"method":"eth_chainId"}`, prepare: func(f *fixture) { f.node.away = true }, status: 200, code: jsonrpc.CodeUnavailable, message: "gateway"},
		"database away":   {body: send(`{` + from + `}`), prepare: func(f *fixture) { f.queue.err = queue.ErrUnavailable }, status: 200, code: jsonrpc.CodeUnavailable, message: "database"},
		"a fault of ours": {body: send(`{` + from + `}`), prepare: func(f *fixture) { f.queue.err = errors.New("secret detail") }, status: 200, code: jsonrpc.CodeInternal, message: "internal error"},
		"no hash in time": {body: send(`{` + from + `}`), prepare: func(f *fixture) { f.queue.unsig = true }, status: 200, code: jsonrpc.CodeTimeout, message: "do not send it again"},
		"simulated revert": {body: send(`{` + from + `}`), prepare: func(f *fixture) {
			f.queue.ended = &queue.Reason{Code: queue.ReasonReverted, Message: "execution reverted: no", Data: "0xab"}
		}, status: 200, code: jsonrpc.CodeReverted, message: "execution reverted: no", data: `"0xab"`},
		"insufficient funds": {body: send(`{` + from + `}`), prepare: func(f *fixture) {
			f.queue.ended = &queue.Reason{Code: queue.ReasonInsufficientFunds, Message: "insufficient funds"}
		}, status: 200, code: jsonrpc.CodeServer, message: "insufficient funds"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := serve(t)
			if c.prepare != nil {
				c.prepare(f)
			}

			status, _, answer := f.do(t, "POST", "/", c.body)

			require.Equal(t, c.status, status, answer)
			var got struct{ Error jsonrpc.Error }
			require.NoError(t, json.Unmarshal([]byte(answer), &got), answer)
			require.Equal(t, c.code, got.Error.Code, answer)
			require.Contains(t, got.Error.Message, c.message)
			require.Equal(t, c.data, string(got.Error.Data))
			require.NotContains(t, answer, "secret detail")
		})
	}
}

// A page from the web must not spend what a local signer holds.
func TestGuard_RefusesForeignPages(t *testing.T) {
	t.Parallel()
	f := serve(t)
	cases := map[string]struct {
		host, origin string
		status       int
	}{
		"a program":                {"", "", 202},
		"a local page":             {"", "http://localhost:5173", 202},
		"a local page by address":  {"127.0.0.1:3000", "http://[::1]:5173", 202},
		"a page from the web":      {"", "https://example.org", 403},
		"a page without an origin": {"", "null", 403},
		"a name that was re-bound": {"example.org:3000", "", 403},
		"a name that looks local":  {"127.0.0.1.example.org", "", 403},
	}
	for name, c := range cases {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.url+"/v1/transactions", strings.NewReader(`{"from":"`+alice+`","to":"`+bob+`"}`))
		require.NoError(t, err)
		if c.host != "" {
			req.Host = c.host
		}
		if c.origin != "" {
			req.Header.Set("Origin", c.origin)
		}
		resp, err := (&http.Client{Timeout: 30 * time.Second}).Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, c.status, resp.StatusCode, name)
	}
	require.Len(t, f.queue.list, 3)
}

func TestConfig_ReportsEverythingAtOnce(t *testing.T) {
	t.Parallel()

	err := Config{}.Validate()
	for _, part := range []string{"maxBody", "maxBatch", "sendWait"} {
		require.ErrorContains(t, err, part)
	}
	_, err = NewHandler(Config{}, Deps{})
	require.Error(t, err)
}

func FuzzQuantity(f *testing.F) {
	for _, s := range []string{"0", "0x", "0xff", "12", "-1", "1e5", "0x0x1", "٣"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, ok := parseQuantity(s)
		if ok && (v.Sign() < 0 || v.BitLen() > 256) {
			t.Fatalf("parseQuantity(%q) = %s", s, v)
		}
	})
}
