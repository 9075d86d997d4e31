package e2e

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/devnet"
	"github.com/slipwayhq/slipway/internal/gatewayapp"
	"github.com/slipwayhq/slipway/internal/lifecycle/lifecycletest"
	"github.com/slipwayhq/slipway/internal/pgtest"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

const (
	alice = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266" // index 0 of the phrase
	bob   = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8" // index 1
	carol = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC" // index 2

	// hostileMemory is what hostile input may make the signer hold, in MiB. The
	// bodies that it reads at a time bound it: api.maxBody for each connection.
	hostileMemory = 500
)

// hostileSystem is the real signer, before a real gateway, database and chain, with
// a caller that may do everything.
type hostileSystem struct {
	signer *program
	client *http.Client
	key    string
	// ids are those of things that exist, by the names of path parameters.
	ids map[string]string
}

func startChainAndGateway(t *testing.T) (gatewayURL string) {
	t.Helper()
	alloc := map[common.Address]*big.Int{}
	for _, a := range senders(t) {
		alloc[a] = new(big.Int).Exp(big.NewInt(10), big.NewInt(20), nil)
	}
	log := slog.New(slog.DiscardHandler)
	node, err := devnet.New(devnet.Config{ChainID: chainID, BlockTime: 200 * time.Millisecond, Alloc: alloc, Log: log})
	require.NoError(t, err)
	lifecycletest.Start(t, node.Run)
	cfg := gatewayapp.Default()
	cfg.Listen, cfg.AdminListen = "127.0.0.1:0", "127.0.0.1:0"
	cfg.Pool().ChainID, cfg.Pool().Finality.Mode = chainID, chain.Instant
	cfg.Pool().Upstreams = []upstreams.Endpoint{{URL: secret.New(node.HTTPURL())}}
	gateway, err := gatewayapp.New(cfg, gatewayapp.Deps{Log: log})
	require.NoError(t, err)
	lifecycletest.Start(t, gateway.Run)
	return "http://" + gateway.Addr()
}

func startHostile(t *testing.T) *hostileSystem {
	t.Helper()
	s := &hostileSystem{client: newClient()}
	t.Cleanup(s.client.CloseIdleConnections)
	s.signer = newProgram(t, "signer", map[string]any{
		"gatewayUrl": startChainAndGateway(t), "databaseUrl": pgtest.DSN(t), "databaseConns": 8, "drainTimeout": "1s",
		"access": map[string]any{"apiKeys": true},
		"keys":   map[string]any{"mnemonic": phrase, "accounts": 3},
		"queue":  map[string]any{"chainId": chainID, "headPoll": "50ms", "maxQueuedPerSender": 100_000, "maxQueuedPerTenant": 100_000},
		"api":    map[string]any{"sendWait": "1s", "maxWait": "2s", "hasuraSecret": "hasura-and-signer"},
	})
	s.signer.serve(t)
	s.key = s.signer.makeKey(t, "read,submit,sign,approve,operate")
	s.ids = map[string]string{"address": bob, "hash": "0x" + strings.Repeat("00", 32), "reference": "r", "name": "sendTransaction", "secret": none, "delivery": none}
	s.ids["id"] = s.make(t, "/v1/transactions", `{"from":"`+alice+`","to":"`+bob+`","reference":"r"}`)
	return s
}

// none is the id of nothing.
const none = "01920000-0000-7000-8000-000000000000"

// makeKey makes an API key with the program itself.
func (p *program) makeKey(t *testing.T, roles string) string {
	t.Helper()
	cmd := p.command(t, "keys", "create", "--config", p.file, "--name", "caller-"+roles, "--roles", roles)
	cmd.Stdout = nil
	out, err := cmd.Output()
	require.NoError(t, err)
	var made struct{ Token string }
	require.NoError(t, json.Unmarshal(out, &made))
	return made.Token
}

// make makes something and returns its id.
func (s *hostileSystem) make(t *testing.T, path, body string) string {
	t.Helper()
	r, err := s.ask(t, "POST", path, body)
	require.NoError(t, err)
	var made struct{ ID string }
	require.NoError(t, json.Unmarshal([]byte(r.body), &made), r.body)
	require.NotEmpty(t, made.ID, r.body)
	return made.ID
}

func (s *hostileSystem) ask(t *testing.T, method, path, body string, header ...string) (reply, error) {
	t.Helper()
	return ask(t, s.client, method, s.signer.url+path, body, append([]string{"X-Api-Key", s.key, "X-Slipway-Action-Secret", "hasura-and-signer", "Content-Type", "application/json"}, header...)...)
}

// operation is one of the contract.
type operation struct {
	method, path string
	body         any // schema
	parameters   []parameter
}

type parameter struct{ name, in string }

// contract reads what the running server says of itself.
func (s *hostileSystem) contract(t *testing.T) []operation {
	t.Helper()
	r, err := s.ask(t, "GET", "/openapi.yaml", "")
	require.NoError(t, err)
	text, err := yaml.YAMLToJSON([]byte(r.body))
	require.NoError(t, err)
	var document any
	require.NoError(t, json.Unmarshal(text, &document))
	var out []operation
	for path, item := range field(document, "paths").(map[string]any) { //nolint:forcetypeassert // a test
		shared := field(item, "parameters")
		for method, op := range item.(map[string]any) { //nolint:forcetypeassert // a test
			if method == "parameters" {
				continue
			}
			o := operation{method: strings.ToUpper(method), path: path, body: resolve(document, field(resolve(document, field(op, "requestBody")), "content", "application/json", "schema"))}
			for _, list := range []any{shared, field(op, "parameters")} {
				all, _ := list.([]any)
				for _, p := range all {
					p = resolve(document, p)
					o.parameters = append(o.parameters, parameter{field(p, "name").(string), field(p, "in").(string)}) //nolint:forcetypeassert // a test
				}
			}
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(a, b operation) int { return strings.Compare(a.path+a.method, b.path+b.method) })
	require.Greater(t, len(out), 50)
	return out
}

// field follows names into a document; nil where there is nothing.
func field(node any, names ...string) any {
	for _, name := range names {
		object, _ := node.(map[string]any)
		node = object[name]
	}
	return node
}

// resolve replaces the references in a document.
func resolve(document, node any) any {
	switch v := node.(type) {
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok {
			return resolve(document, field(document, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...))
		}
		out := map[string]any{}
		for name, inner := range v {
			out[name] = resolve(document, inner)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = resolve(document, v[i])
		}
		return out
	default:
		return node
	}
}

// properties lists the names that a schema has for the fields of a body.
func properties(schema any) []string {
	var out []string
	switch v := schema.(type) {
	case map[string]any:
		for name, inner := range v {
			object, isObject := inner.(map[string]any)
			if name != "properties" || !isObject {
				out = append(out, properties(inner)...)
				continue
			}
			for p, s := range object {
				out = append(append(out, p), properties(s)...)
			}
		}
	case []any:
		for _, inner := range v {
			out = append(out, properties(inner)...)
		}
	}
	return out
}

// seeds are requests that are understood, for each operation with a body. All
// names of its schema occur.
func seeds() map[string][]string {
	const (
		call   = `"chainId":53771311147,"from":"` + alice + `","to":"` + bob + `","value":"1"`
		list   = `"accessList":[{"address":"` + bob + `","storageKeys":["0x0000000000000000000000000000000000000000000000000000000000000001"]}]`
		grant  = `"authorizationList":[{"chainId":"0x0","address":"` + bob + `","nonce":"0x0","yParity":"0x0","r":"0x1","s":"0x1"}]`
		names  = `"idempotencyKey":"k","reference":"r","notAfter":"2099-01-01T00:00:00Z"`
		method = `"abi":[{"type":"function","name":"f","stateMutability":"view","inputs":[{"name":"a","type":"uint256[2]"},{"name":"b","type":"tuple[]","components":[{"name":"c","type":"bytes4"}]}],"outputs":[]},"error E(uint256)"],"method":"f","arguments":{"a":["1",2],"b":[{"c":"0x01020304"}]}`
		typed  = `{"types":{"EIP712Domain":[{"name":"chainId","type":"uint256"}],"Mail":[{"name":"to","type":"Person[]"},{"name":"n","type":"int8"}],"Person":[{"name":"name","type":"string"},{"name":"again","type":"Person[]"}]},"primaryType":"Mail","domain":{"name":"n","version":"1","chainId":53771311147,"verifyingContract":"` + bob + `","salt":"0x00"},"message":{"to":[{"name":"x","again":[]}],"n":-1}}`
	)
	priced := `{` + call + `,` + method + `,"maxFeePerGas":"1","maxPriorityFeePerGas":"1",` + grant + `}`
	deployed := `{"from":"` + alice + `","bytecode":"0x00","abi":"constructor(uint256[])","arguments":[[1]]}`
	full := `{` + call + `,"data":"0x01","gas":"50000","gasPrice":"0","nonce":"7",` + list + `,` + names + `}`
	return map[string][]string{
		"POST /v1/transactions": {
			full, `[` + full + `]`, `{"transactions":[{` + call + `}],"idempotencyKey":"k"}`,
			priced, deployed,
		},
		"POST /v1/policy/dry-run":             {full, priced, deployed},
		"POST /v1/transactions/{id}/speed-up": {`{"gasPrice":"1"}`, `{"maxFeePerGas":"1","maxPriorityFeePerGas":"1"}`},
		"POST /v1/senders/{address}/pause":    {`{"reason":"r"}`},
		"POST /v1/senders/{address}/resume":   {`{"reason":"r"}`},
		"POST /v1/senders/{address}/drain":    {`{"reason":"r"}`},
		"POST /v1/approvals/{id}/approve":     {`{"reason":"r"}`},
		"POST /v1/approvals/{id}/reject":      {`{"reason":"r"}`},
		"POST /v1/keys":                       {`{"name":"n","source":"s","idempotencyKey":"k"}`, `{"name":"n"}`},
		"POST /v1/api-keys":                   {`{"name":"n","roles":["read"],"lifetime":"1h"}`},
		"POST /v1/api-keys/{id}/rotate":       {`{"overlap":"1h","lifetime":"1h"}`},
		"POST /v1/wallets":                    {`{"keyVaultId":"v","name":"n","index":7}`},
		"POST /v1/webhooks":                   {`{"url":"https://example.com/h","description":"d","types":["mined"],"from":["` + alice + `"],"active":false,"secret":"0123456789012345678901234567"}`},
		"PATCH /v1/webhooks/{id}":             {`{"url":"https://example.com/h","description":"d","types":["mined"],"from":["` + alice + `"],"active":false}`},
		"POST /v1/webhooks/{id}/secrets":      {`{"secret":"0123456789012345678901234567"}`},
		"POST /v1/sign/message":               {`{"from":"` + alice + `","message":"m"}`, `{"from":"` + alice + `","data":"0x00"}`},
		"POST /v1/sign/typed-data":            {`{"from":"` + alice + `","typedData":` + typed + `}`},
		"POST /v1/sign/transaction":           {`{` + call + `,"data":"0x01","gas":"50000","gasPrice":"0","nonce":"7",` + list + `}`, `{` + call + `,"gas":1,"nonce":1,` + method + `,"maxFeePerGas":"1","maxPriorityFeePerGas":"1",` + grant + `,"bytecode":null}`},
		"POST /hasura/actions/{name}":         {`{"action":{"name":"sendTransaction"},"input":{"input":{"idempotencyKey":"h","from":"` + alice + `","to":"` + bob + `","value":"1","data":"0x","gas":"50000","gasPrice":"0","reference":"r","notAfter":"2099-01-01T00:00:00Z","challengeId":"x","challengeResponse":"y"}},"session_variables":{"x-hasura-role":"user"},"request_query":"q"}`},
	}
}

// rpcSeeds are calls of all the methods that need the signer.
func rpcSeeds(wallet string) map[string]string {
	const typed = `{"types":{"EIP712Domain":[{"name":"chainId","type":"uint256"}],"Mail":[{"name":"n","type":"uint256"}]},"primaryType":"Mail","domain":{"chainId":53771311147},"message":{"n":1}}`
	const tx = `"from":"` + alice + `","to":"` + bob + `","gas":"0xc350","value":"0x1","data":"0x01","input":"0x01","chainId":"0xc85054aab","type":"0x0","idempotencyKey":"k","challengeResponse":"x","challengeId":"y","verificationId":"z"`
	return map[string]string{
		"eth_accounts":                            `[]`,
		"eth_sign":                                `["` + alice + `","0x01"]`,
		"personal_sign":                           `["0x01","` + alice + `"]`,
		"eth_sendTransaction":                     `[{` + tx + `,"nonce":"0x7","gasPrice":"0x0"}]`,
		"eth_signTransaction":                     `[{` + strings.Replace(tx, `"type":"0x0"`, `"type":"0x2"`, 1) + `,"nonce":"0x7","maxFeePerGas":"0x1","maxPriorityFeePerGas":"0x1","accessList":[{"address":"` + bob + `","storageKeys":[]}],"blobVersionedHashes":null,"authorizationList":[]}]`,
		"eth_signTypedData":                       `["` + alice + `",` + typed + `]`,
		"eth_signTypedData_v3":                    `["` + alice + `",` + typed + `]`,
		"eth_signTypedData_v4":                    `["` + alice + `",` + typed + `]`,
		"user_createWallet":                       `["v",{"name":"n","walletIndex":9}]`,
		"user_walletVerifications":                `["` + wallet + `"]`,
		"user_createWalletVerification":           `["` + wallet + `",{"name":"n","verificationType":"OTP","pincode":"1234","algorithm":"SHA1","digits":6,"period":30,"issuer":"i"}]`,
		"user_deleteWalletVerification":           `["` + wallet + `","` + none + `"]`,
		"user_createWalletVerificationChallenge":  `[{"userWalletAddress":"` + wallet + `","verificationId":"` + none + `","challengeId":"` + none + `","amount":1}]`,
		"user_createWalletVerificationChallenges": `[{"userWalletAddress":"` + wallet + `","verificationId":"` + none + `","amount":1}]`,
		"user_verifyWalletVerificationChallenge":  `[{"userWalletAddress":"` + wallet + `","challengeId":"` + none + `"},"response"]`,
	}
}

// values are texts of JSON, or what is none, that take the place of each field.
func values() []string {
	return []string{
		`null`, `true`, `-1`, `0`, `1`, `1.5`, `-0`, `1e3`, `1e400`, `1e-400`, `1e999999999`, `9007199254740993`, `18446744073709551616`,
		`115792089237316195423570985008687907853269984665640564039457584007913129639936`, `"115792089237316195423570985008687907853269984665640564039457584007913129639936"`,
		`"-1"`, `"0x"`, `"0x1"`, `"0xzz"`, `"0X01"`, `"1e3"`, `""`, `" "`, `"\u0000"`, `"a\u0000b"`, `"\ud800"`, "\"\xff\xfe\"", "\"\x00\"", `"\u202e"`,
		`"` + carol + `"`, `"0x` + strings.Repeat("f", 64) + `"`, `"0x` + strings.Repeat("9", 40) + `"`, `"'; DROP TABLE transactions; --"`, `"../../etc/passwd"`,
		`"9999-12-31T23:59:59Z"`, `"0000-01-01T00:00:00Z"`, `"-1h"`, `"999999999h"`, `"f((((((((((uint256"`, `"f(uint256[99999999999999999999])"`, `"f(uint256[2000000000])"`,
		`[]`, `{}`, `[[]]`, `[null]`, `{"":null}`, `[{}]`, `[0,0,0]`, `{"a":{"a":{"a":1}}}`, `NaN`, `01`, `"`, `'a'`,
		`"` + strings.Repeat("a", 300) + `"`, `"` + strings.Repeat("é", 300) + `"`,
	}
}

// largeValues are as values, and as large as a body may be.
func largeValues() map[string]string {
	return map[string]string{
		"a long text":                           `"` + strings.Repeat("a", 900_000) + `"`,
		"a long number":                         strings.Repeat("9", 900_000),
		"long hex":                              `"0x` + strings.Repeat("f", 900_000) + `"`,
		"100k deep lists":                       strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000),
		"100k deep objects":                     strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000),
		"100k elements":                         "[" + strings.Repeat("0,", 99_999) + "0]",
		"100k objects":                          "[" + strings.Repeat("{},", 99_999) + "{}]",
		"a long name":                           `{"` + strings.Repeat("n", 450_000) + `":[` + strings.Repeat("0,", 200_000) + `0]}`,
		"a signature that goes down":            `"f(` + strings.Repeat("(", 400_000) + strings.Repeat(")", 400_000) + `)"`,
		"a type of many lists":                  `"f(uint256` + strings.Repeat("[]", 400_000) + `)"`,
		"a type of many lists that have a size": `"f(uint256` + strings.Repeat("[9]", 200_000) + `)"`,
	}
}

// mutants are the seed with each of its fields and elements replaced in turn.
func mutants(t *testing.T, seed string, replacements []string) (out []string) {
	t.Helper()
	var tree any
	require.NoError(t, json.Unmarshal([]byte(seed), &tree), seed)
	const hole = "\u2026hole\u2026"
	put := func(text string) {
		for _, r := range replacements {
			out = append(out, strings.Replace(text, `"`+hole+`"`, r, 1))
		}
	}
	render := func() string {
		text, err := json.Marshal(tree)
		require.NoError(t, err)
		return string(text)
	}
	var walk func(node any)
	walk = func(node any) {
		switch v := node.(type) {
		case map[string]any:
			for name, inner := range v {
				walk(inner)
				v[name] = hole
				put(render())
				delete(v, name)
				out = append(out, render())
				v[name] = inner
			}
		case []any:
			for i, inner := range v {
				walk(inner)
				v[i] = hole
				put(render())
				v[i] = inner
			}
		}
	}
	walk(tree)
	return out
}

// leaks are words that no answer may have: they are of our inside.
func leaks() []string {
	return []string{"SQLSTATE", "pgx", "goroutine", "runtime error", "panic", ".go:", "internal error", "*big.Int", "json:", "strconv.", "github.com"}
}

func shortened(text string) string { return fmt.Sprintf("%.300q", text) }

// judge says what is wrong with an answer of REST.
func judge(r reply) error {
	if r.status < 400 {
		return nil
	}
	for _, word := range leaks() {
		if strings.Contains(r.body, word) {
			return fmt.Errorf("the answer has %q: %s", word, shortened(r.body))
		}
	}
	switch {
	case r.status >= 500 && r.status != http.StatusNotImplemented:
		return fmt.Errorf("status %d: %s", r.status, shortened(r.body))
	case len(r.body) > 4096:
		return fmt.Errorf("an error of %d bytes", len(r.body))
	}
	var p struct {
		Code, Message string
		Extensions    struct{ Code string }
	}
	if err := json.Unmarshal([]byte(r.body), &p); err != nil {
		return fmt.Errorf("status %d without JSON: %s", r.status, shortened(r.body))
	}
	isProblem := strings.HasPrefix(r.header.Get("Content-Type"), "application/problem+json") && p.Code != "" && p.Code != "internal" && p.Code != "other"
	isHasura := p.Message != "" && p.Extensions.Code != "" && p.Extensions.Code != "internal"
	if !isProblem && !isHasura {
		return fmt.Errorf("status %d without a clear problem: %s %s", r.status, r.header.Get("Content-Type"), shortened(r.body))
	}
	return nil
}

// judgeRPC says what is wrong with an answer to a call, or to a batch.
func judgeRPC(r reply) error {
	for _, word := range leaks() {
		if strings.Contains(r.body, word) {
			return fmt.Errorf("the answer has %q: %s", word, shortened(r.body))
		}
	}
	if r.status == http.StatusNoContent && r.body == "" {
		return nil
	}
	if r.status >= 500 {
		return fmt.Errorf("status %d: %s", r.status, shortened(r.body))
	}
	return judgeMessage(r.body)
}

func judgeMessage(text string) error {
	type response struct {
		JSONRPC string          `json:"jsonrpc"`
		Result  json.RawMessage `json:"result"`
		Error   *struct {
			Code    int
			Message string
		} `json:"error"`
	}
	var list []response
	if !strings.HasPrefix(text, "[") {
		text = "[" + text + "]"
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list) == 0 {
		return fmt.Errorf("no JSON-RPC: %s", shortened(text))
	}
	for _, one := range list {
		switch {
		case one.JSONRPC != "2.0" || (one.Result == nil) == (one.Error == nil):
			return fmt.Errorf("no JSON-RPC 2.0: %s", shortened(text))
		case one.Error != nil && (one.Error.Code == -32603 || one.Error.Code == 0 || one.Error.Message == "" || len(one.Error.Message) > 2000):
			return fmt.Errorf("no clear error: %s", shortened(text))
		}
	}
	return nil
}

// storm sends requests, a few at a time, and collects what is wrong with the answers.
type storm struct {
	t    *testing.T
	gate chan struct{}
	wait sync.WaitGroup

	mu    sync.Mutex // guards the fields below
	sent  int
	holes []string
	slow  time.Duration
}

func newStorm(t *testing.T) *storm {
	t.Helper()
	return &storm{t: t, gate: make(chan struct{}, 8)}
}

// slowest is what one hostile request may take, on a busy machine.
const slowest = 10 * time.Second

func (s *storm) send(what string, do func() (reply, error), judge func(reply) error) {
	s.gate <- struct{}{}
	s.wait.Go(func() {
		defer func() { <-s.gate }()
		start := time.Now()
		r, err := do()
		if err == nil {
			err = judge(r)
		}
		took := time.Since(start)
		if err == nil && took > slowest {
			err = fmt.Errorf("it took %s", took)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.sent++
		s.slow = max(s.slow, took)
		if err != nil {
			s.holes = append(s.holes, what+": "+err.Error())
			s.t.Log(what + ": " + err.Error())
		}
	})
}

// end waits for all answers. Of the same kind of hole a few are shown.
func (s *storm) end() {
	s.t.Helper()
	s.wait.Wait()
	s.t.Logf("%d requests, the slowest answer took %s", s.sent, s.slow.Round(time.Millisecond))
	require.Positive(s.t, s.sent)
	slices.Sort(s.holes)
	require.Empty(s.t, s.holes[:min(len(s.holes), 40)], "%d holes", len(s.holes))
}

// fill puts ids into a path.
func (s *hostileSystem) fill(path string, ids map[string]string) string {
	for name, value := range ids {
		path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(value))
	}
	return path
}

// Whatever a client sends, the real program answers in the form of the protocol
// with an error that is the client's, holds little memory, and works on.
func TestHostile_TheSignerStandsIt(t *testing.T) { //nolint:paralleltest // one storm after the other
	s := startHostile(t)
	before := s.signer.memory(t, "VmRSS")
	for _, c := range []struct { //nolint:paralleltest // see above
		name string
		do   func(*testing.T)
	}{
		{"bodies", s.stormBodies},
		{"large bodies", s.stormLargeBodies},
		{"parameters", s.stormParameters},
		{"headers", s.stormHeaders},
		{"calls", s.stormCalls},
		{"envelopes", s.stormEnvelopes},
		{"streams", s.stormStreams},
		{"wire", s.stormWire},
		{"sockets", s.stormSockets},
	} {
		t.Run(c.name, c.do)
	}

	t.Logf("memory: %d MiB before, at most %d MiB, bound %d MiB", before, s.signer.memory(t, "VmHWM"), hostileMemory)
	require.Less(t, s.signer.memory(t, "VmHWM"), hostileMemory)
	require.False(t, s.signer.hasEnded())
	require.NotContains(t, s.signer.written(t), "panic")
	s.stillWorks(t)
}

// stillWorks sends a transaction of a sender that the storm left alone.
func (s *hostileSystem) stillWorks(t *testing.T) {
	t.Helper()
	r, err := s.ask(t, "POST", "/v1/transactions", `{"from":"`+carol+`","to":"`+bob+`","value":"1"}`)
	require.NoError(t, err)
	require.Equal(t, 202, r.status, r.body)
	var tx struct{ ID string }
	require.NoError(t, json.Unmarshal([]byte(r.body), &tx))
	require.Eventually(t, func() bool {
		r, err = s.ask(t, "GET", "/v1/transactions/"+tx.ID, "")
		return err == nil && strings.Contains(r.body, `"status":"confirmed"`)
	}, patience, 50*time.Millisecond, "%s", &r.body)
}

// Every field of every body of the contract is replaced by every value.
func (s *hostileSystem) stormBodies(t *testing.T) {
	t.Helper()
	known := seeds()
	storm := newStorm(t)
	for _, o := range s.contract(t) {
		if o.body == nil || o.path == "/" {
			continue
		}
		name := o.method + " " + o.path
		require.NotEmpty(t, known[name], "%s has a body and no seed", name)
		for _, p := range properties(o.body) {
			require.Contains(t, strings.Join(known[name], ""), `"`+p+`"`, "%s: no seed has the field", name)
		}
		path := s.fill(o.path, s.ids)
		for _, seed := range known[name] {
			bodies := mutants(t, seed, values())
			for i := 0; i < len(seed); i += 7 { // truncated
				bodies = append(bodies, seed[:i])
			}
			bodies = append(bodies, values()...)
			bodies = append(bodies, seed+seed, seed+"\x00", "\xef\xbb\xbf"+seed, strings.ReplaceAll(seed, `"`, `'`))
			for _, body := range bodies {
				storm.send(name+" "+shortened(body), func() (reply, error) { return s.ask(t, o.method, path, body) }, judge)
			}
		}
	}
	storm.end()
}

func (s *hostileSystem) stormLargeBodies(t *testing.T) {
	t.Helper()
	storm := newStorm(t)
	for name, list := range seeds() {
		method, path, _ := strings.Cut(name, " ")
		path = s.fill(path, s.ids)
		for what, value := range largeValues() {
			storm.send(name+": "+what+" as the body", func() (reply, error) { return s.ask(t, method, path, value) }, judge)
			for _, seed := range list {
				var tree map[string]json.RawMessage
				if json.Unmarshal([]byte(seed), &tree) != nil {
					continue // a list of what is a seed by itself
				}
				for field := range tree { // the outer ones: the inner ones are read by the same code
					body := largeMutant(tree, field, value)
					storm.send(name+": "+what+" as "+field, func() (reply, error) { return s.ask(t, method, path, body) }, judge)
				}
			}
		}
	}
	storm.end()
}

// largeMutant renders an object with one value replaced by any text.
func largeMutant(tree map[string]json.RawMessage, name, value string) string {
	var out strings.Builder
	out.WriteString(`{"` + name + `":` + value)
	for other, inner := range tree {
		if other != name {
			out.WriteString(`,"` + other + `":` + string(inner))
		}
	}
	return out.String() + "}"
}

// Every parameter of every route, in path and query.
func (s *hostileSystem) stormParameters(t *testing.T) {
	t.Helper()
	texts := []string{
		"", " ", "\x00", "a\x00b", "\xff\xfe", "-1", "0", "1e400", "99999999999999999999999", "1.5", "..", "../..", "a/b", "\u202e", "%", "%zz", "'\"; --", "null", "true",
		none, alice, "0x", "0x1", "0x" + strings.Repeat("f", 64), strings.Repeat("a", 9000), "2026-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0000-01-01T00:00:00Z", ",,,", "mined,mined", "AAAA", "eyJ9",
	}
	storm := newStorm(t)
	for _, o := range s.contract(t) {
		if o.path == "/v1/events" { // a stream that is understood does not end
			continue
		}
		for _, p := range o.parameters {
			for _, text := range texts {
				path := s.fill(o.path, s.ids)
				var header []string
				switch p.in {
				case "path":
					path = strings.ReplaceAll(o.path, "{"+p.name+"}", url.PathEscape(text))
					path = s.fill(path, s.ids)
				case "query":
					path += "?" + p.name + "=" + url.QueryEscape(text)
				default:
					header = []string{p.name, strings.ReplaceAll(text, "\x00", "")}
				}
				storm.send(o.method+" "+o.path+" "+p.name+"="+shortened(text), func() (reply, error) {
					return s.ask(t, o.method, path, "", header...)
				}, anyForm(o.path))
			}
		}
		storm.send(o.method+" "+o.path+" unknown", func() (reply, error) { return s.ask(t, o.method, s.fill(o.path, s.ids)+"?\xff=%00&;", "") }, anyForm(o.path))
	}
	storm.end()
}

// anyForm is the form of answers below a path.
func anyForm(path string) func(reply) error {
	if path == "/" {
		return func(r reply) error {
			if judge(r) == nil { // a GET without an upgrade, for example
				return nil
			}
			return judgeRPC(r)
		}
	}
	return judge
}

// Headers that nobody sends.
func (s *hostileSystem) stormHeaders(t *testing.T) {
	t.Helper()
	names := []string{
		"Idempotency-Key", "X-Idempotency-Key", "Prefer", "X-Auth-Challenge-Response", "X-Auth-Challenge-Id", "X-Auth-Verification-Id", "Last-Event-ID",
		"Authorization", "X-Api-Key", "Origin", "Host", "Content-Type", "Content-Encoding", "Transfer-Encoding", "Expect", "Connection", "Accept", "Accept-Encoding", "X-Forwarded-For", "Traceparent",
	}
	texts := []string{
		"\xff\xfe", "", "gzip", "deflate, gzip, br", strings.Repeat("a", 200), strings.Repeat("a", 9000), "Bearer ", "Bearer x.y.z", "Bearer slk_x_y", "wait=1e400", "wait=-1", "wait=99999999999999999999",
		"respond-async, wait=1", "text/xml", "application/json; charset=utf-16", "http://evil.example", "evil.example", "100-continue", "upgrade", "'\"", none, "é",
	}
	storm := newStorm(t)
	for _, name := range names {
		for _, text := range texts {
			for path, body := range map[string]string{
				"/v1/transactions": `{"from":"` + alice + `","to":"` + bob + `"}`,
				"/":                `{"jsonrpc":"2.0","id":1,"method":"eth_accounts"}`,
			} {
				if name == "Connection" && text == "upgrade" {
					continue // the client of the tests would wait for another protocol
				}
				storm.send(path+" "+name+": "+shortened(text), func() (reply, error) {
					return s.ask(t, "POST", path, body, name, text)
				}, func(r reply) error {
					// These are the HTTP library's own, before anything of the protocol.
					if (r.status == http.StatusExpectationFailed || r.status == http.StatusRequestHeaderFieldsTooLarge) && len(r.body) < 100 {
						return nil
					}
					return anyForm(path)(r)
				})
			}
		}
	}
	storm.end()
}

// Every parameter of every method is replaced by every value.
func (s *hostileSystem) stormCalls(t *testing.T) {
	t.Helper()
	r, err := s.ask(t, "POST", "/", `{"jsonrpc":"2.0","id":1,"method":"user_createWallet","params":["v",{"name":"w"}]}`)
	require.NoError(t, err)
	var made struct{ Result []struct{ Address string } }
	require.NoError(t, json.Unmarshal([]byte(r.body), &made), r.body)
	storm := newStorm(t)
	for method, params := range rpcSeeds(made.Result[0].Address) {
		all := append(mutants(t, params, values()), values()...)
		all = append(all, params, `[[],[],[],[],[]]`, `[null,null,null]`, `{"a":1}`, `[]`)
		for _, p := range all {
			body := `{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":` + p + `}`
			storm.send(shortened(body), func() (reply, error) { return s.ask(t, "POST", "/", body) }, judgeRPC)
		}
		for what, value := range largeValues() {
			for _, p := range []string{value, "[" + value + "]", `["` + alice + `",` + value + `]`, `[{"from":` + value + `}]`} {
				body := `{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":` + p + `}`
				storm.send(method+": "+what, func() (reply, error) { return s.ask(t, "POST", "/", body) }, judgeRPC)
			}
		}
	}
	storm.end()
}

// What is around the calls.
func (s *hostileSystem) stormEnvelopes(t *testing.T) {
	t.Helper()
	call := `{"jsonrpc":"2.0","id":1,"method":"eth_accounts","params":[]}`
	bodies := mutants(t, call, values())
	for _, v := range largeValues() {
		bodies = append(bodies, v, "["+v+"]", "["+call+","+v+"]", `{"jsonrpc":"2.0","id":`+v+`,"method":"eth_accounts"}`, `{"jsonrpc":"2.0","id":1,"method":`+v+`}`, `{"jsonrpc":"2.0","id":1,"method":"eth_accounts",`+strings.Trim(v, "[]{}")+`:1}`)
	}
	bodies = append(bodies,
		"", " ", "\x00", "\xff", "[]", "[[]]", "[null]", "[1,2,3]", call+call, "["+call+",]", "["+strings.Repeat(call+",", 99)+call+"]", "["+strings.Repeat(call+",", 100)+call+"]",
		"["+strings.Repeat("1,", 99_999)+"1]", "["+strings.Repeat("1,", 98)+"1]", `{"jsonrpc":"2.0","method":"eth_accounts"}`, `{"id":1,"id":2,"method":"eth_accounts"}`, `{"jsonrpc":"2.0","id":1,"method":"eth_accounts","method":"eth_sign"}`,
		`{"jsonrpc":"2.0","id":1,"method":"eth_accounts\u0000"}`, `{"jsonrpc":"2.0","id":1,"method":"`+strings.Repeat("x", 100_000)+`"}`, `{"jsonrpc":"2.0","id":1,"method":"__proto__"}`, `{"jsonrpc":"2.0","id":1e400,"method":"eth_accounts"}`,
	)
	for i := range call {
		bodies = append(bodies, call[:i])
	}
	storm := newStorm(t)
	for _, body := range bodies {
		storm.send(shortened(body), func() (reply, error) { return s.ask(t, "POST", "/", body) }, judgeRPC)
	}
	storm.end()
}
