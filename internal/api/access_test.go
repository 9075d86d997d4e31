package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/access"
	"github.com/slipwayhq/slipway/internal/admission"
	"github.com/slipwayhq/slipway/internal/policy"
	"github.com/slipwayhq/slipway/internal/queue"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/signing"
	"github.com/slipwayhq/slipway/internal/telemetry"
)

// headerAccess takes the roles from a header.
type headerAccess struct{}

func (headerAccess) Authenticate(r *http.Request) (access.Caller, error) {
	c := access.Caller{Tenant: "acme", Name: "key:portal", KeyID: "k1"}
	switch text := r.Header.Get("Roles"); text {
	case "":
		return c, access.ErrMissing
	case "wrong":
		return c, access.ErrKey
	case "away":
		return c, access.ErrUnavailable
	case "token":
		return c, &access.TokenError{Why: "the token has expired"}
	default:
		for _, name := range strings.Fields(text) {
			c.Roles = append(c.Roles, access.Role(name))
		}
		if r.Header.Get("As") != "" {
			c.Name = r.Header.Get("As")
		}
		return c, nil
	}
}

func (headerAccess) Renew(_ context.Context, c access.Caller) error {
	if c.Name == "revoked" {
		return access.ErrKey
	}
	return nil
}

// fakeApprovals knows one transaction.
type fakeApprovals struct {
	err  error
	vote queue.Vote
}

func (a *fakeApprovals) Pending(context.Context, string, int64, int) ([]queue.Pending, error) {
	return []queue.Pending{{Transaction: queue.Transaction{Seq: 9, Request: queue.Request{Value: common.Big0}}, Submitter: "key:portal"}}, a.err
}

func (a *fakeApprovals) Vote(_ context.Context, _ string, id uuid.UUID, v queue.Vote) (queue.Transaction, error) {
	a.vote = v
	return queue.Transaction{ID: id, Request: queue.Request{Value: common.Big0}}, a.err
}

func (a *fakeApprovals) Decision(context.Context, string, uuid.UUID) (json.RawMessage, error) {
	return json.RawMessage(`{"outcome":"allow"}`), a.err
}

// fakeKeys make keys without a database.
type fakeKeys struct{ roles []access.Role }

func (k *fakeKeys) Create(_ context.Context, n access.NewKey) (access.Key, secret.String, error) {
	return access.Key{ID: "new", Name: n.Name, Tenant: n.Tenant, Roles: n.Roles}, secret.New("slk_new_secret"), nil
}

func (k *fakeKeys) Get(_ context.Context, tenant, id string) (access.Key, error) {
	if id != "k1" {
		return access.Key{}, access.ErrNoKey
	}
	return access.Key{ID: id, Tenant: tenant, Roles: k.roles}, nil
}

func (k *fakeKeys) List(context.Context, string) ([]access.Key, error) { return nil, nil }

func (k *fakeKeys) Rotate(context.Context, string, string, time.Duration, time.Duration, string) (access.Key, secret.String, error) {
	return access.Key{ID: "new"}, secret.New("slk_new_secret"), nil
}

func (k *fakeKeys) Revoke(context.Context, string, string) error { return nil }

type guarded struct {
	http.Handler
	queue     *fakeQueue
	approvals *fakeApprovals
	keys      *fakeKeys
}

func guard(t *testing.T, rules ...policy.Rule) guarded {
	t.Helper()
	return guardWith(t, Default(), rules...)
}

func guardWith(t *testing.T, cfg Config, rules ...policy.Rule) guarded {
	t.Helper()
	g := guarded{queue: &fakeQueue{}, approvals: &fakeApprovals{}, keys: &fakeKeys{}}
	factory := telemetry.NewFactory()
	gate, err := admission.New(admission.Config{
		ChainID: 31337, Policy: policy.Config{Rules: rules}, Tenants: []access.Tenant{{Name: "other", Senders: []string{bob}}},
	}, nil, factory, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	g.Handler, err = NewHandler(cfg, Deps{
		Queue: g.queue, Node: &fakeNode{}, ChainID: 31337, Access: headerAccess{}, Gate: admission.Front{Gate: gate, Meter: noMeter{}}, APIKeys: g.keys, Approvals: g.approvals,
		Keys: oneKey{signerOf(t, cowKey)}, Metrics: factory, Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	return g
}

func (g guarded) ask(t *testing.T, roles, method, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Roles", roles)
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	return w
}

const send = `{"jsonrpc":"2.0","id":7,"method":"eth_sendTransaction","params":[{"from":"` + alice + `","to":"` + bob + `"}]}`

func TestAccess_RoutesNeedRoles(t *testing.T) {
	t.Parallel()
	id := uuid.NewString()
	transaction := `{"from":"` + alice + `","to":"` + bob + `"}`
	cases := map[string]struct{ method, path, body, roles string }{
		"create":   {"POST", "/v1/transactions", transaction, "submit"},
		"list":     {"GET", "/v1/transactions", "", "read submit sign wallets approve operate"},
		"dry run":  {"POST", "/v1/policy/dry-run", transaction, "submit"},
		"pending":  {"GET", "/v1/approvals", "", "read submit sign wallets approve operate"},
		"approve":  {"POST", "/v1/approvals/" + id + "/approve", "", "approve"},
		"reject":   {"POST", "/v1/approvals/" + id + "/reject", `{"reason":"no"}`, "approve"},
		"decision": {"GET", "/v1/transactions/" + id + "/policy", "", "read submit sign wallets approve operate"},
		"audit":    {"GET", "/v1/audit", "", "operate"},
		"keys":     {"GET", "/v1/api-keys", "", "operate"},
		"make key": {"POST", "/v1/api-keys", `{"name":"x","roles":["operate"]}`, "operate"},
		"rotate":   {"POST", "/v1/api-keys/k1/rotate", "", "operate"},
		"revoke":   {"DELETE", "/v1/api-keys/k1", "", "operate"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, role := range access.Roles() {
				g := guard(t)
				w := g.ask(t, string(role), c.method, c.path, c.body)
				if strings.Contains(c.roles, string(role)) {
					require.Less(t, w.Code, 300, "%s: %s", role, w.Body)
					continue
				}
				require.Equal(t, 403, w.Code, "%s: %s", role, w.Body)
				require.Contains(t, w.Body.String(), "urn:slipway:problem:forbidden")
				require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
			}
		})
	}
}

// Hasura is a caller like any other: its key needs the roles of what its actions do.
func TestAccess_HasurasActionsNeedRoles(t *testing.T) {
	t.Parallel()
	cfg := Default()
	cfg.HasuraSecret = secret.New("between the two of us")
	id := uuid.NewString()
	for name, c := range map[string]struct{ input, roles string }{
		"sendTransaction":   {`{"input":{"idempotencyKey":"k","from":"` + alice + `","to":"` + bob + `"}}`, "submit"},
		"transaction":       {`{"id":"` + id + `"}`, "read submit sign wallets approve operate"},
		"cancelTransaction": {`{"id":"` + id + `"}`, "submit operate"},
		"createWallet":      {`{"name":"user"}`, "wallets operate"},
	} {
		for _, role := range access.Roles() {
			t.Run(name+" by "+string(role), func(t *testing.T) {
				t.Parallel()
				g := guardWith(t, cfg)
				r := httptest.NewRequestWithContext(t.Context(), "POST", "/hasura/actions/"+name, strings.NewReader(`{"action":{"name":"`+name+`"},"input":`+c.input+`}`))
				r.Header.Set("Roles", string(role))
				r.Header.Set(hasuraHeader, "between the two of us")
				w := httptest.NewRecorder()
				g.ServeHTTP(w, r)
				if strings.Contains(c.roles, string(role)) {
					require.NotEqual(t, 403, w.Code, w.Body)
					require.NotEqual(t, 401, w.Code, w.Body)
					return
				}
				require.Equal(t, 403, w.Code, w.Body)
				require.Empty(t, g.queue.list)
			})
		}
	}
}

// A route that nobody thought of is for operators.
func TestAccess_RolesOfRoutes(t *testing.T) {
	t.Parallel()
	for route, want := range map[string][]access.Role{
		"POST /v1/transactions/:id/cancel":  {access.RoleSubmit, access.RoleOperate},
		"POST /v1/transactions/:id/resume":  {access.RoleOperate},
		"POST /v1/transactions/:id/redrive": {access.RoleOperate},
		"POST /v1/senders/:address/pause":   {access.RoleOperate},
		"POST /v1/wallets":                  {access.RoleWallets, access.RoleOperate},
		"POST /v1/wallets/:address/disable": {access.RoleOperate},
		"POST /v1/sign/typed-data":          {access.RoleSign},
		"PUT /v1/transactions/:id":          {access.RoleOperate},
		"POST /v1/anything":                 {access.RoleOperate},
		"GET /v1/senders":                   {access.RoleRead},
	} {
		method, path, _ := strings.Cut(route, " ")
		require.Equal(t, want, routeRoles(method, path), route)
	}
	for method, want := range map[string]access.Role{
		"eth_sendTransaction": access.RoleSubmit, "eth_sign": access.RoleSign, "personal_sign": access.RoleSign, "eth_signTypedData_v4": access.RoleSign,
		"eth_accounts": access.RoleRead, "user_createWallet": access.RoleWallets, "user_deleteWalletVerification": access.RoleWallets,
		"user_verifyWalletVerificationChallenge": access.RoleSubmit, "user_walletVerifications": access.RoleRead,
	} {
		require.Equal(t, want, callRoles(method)[0], method)
	}
}

func TestAccess_TheUnknownAreTurnedAway(t *testing.T) {
	t.Parallel()
	g := guard(t)
	for roles, want := range map[string]struct {
		status int
		text   string
	}{"": {401, "credentials are missing"}, "wrong": {401, "not valid"}, "token": {401, "has expired"}, "away": {503, "database_unavailable"}} {
		w := g.ask(t, roles, "GET", "/v1/transactions", "")
		require.Equal(t, want.status, w.Code)
		require.Contains(t, w.Body.String(), want.text)
		require.Equal(t, want.status == 401, w.Header().Get("WWW-Authenticate") != "")

		w = g.ask(t, roles, "POST", "/", send)
		require.Equal(t, want.status, w.Code)
		require.Contains(t, w.Body.String(), `{"jsonrpc":"2.0","id":null,"error":{"code":-320`)
	}
	require.Equal(t, 401, g.ask(t, "", "POST", "/v1/nothing", "").Code)
	require.Equal(t, 401, g.ask(t, "", "GET", "/v1/nothing", "").Code)
	require.Equal(t, 200, g.ask(t, "", "GET", "/health", "").Code)
	require.Empty(t, g.queue.list)
}

func TestAccess_CallsNeedRoles(t *testing.T) {
	t.Parallel()
	g := guard(t)
	forbidden := `{"jsonrpc":"2.0","id":7,"error":{"code":-32016,"message":"the role submit is needed"}}`

	require.JSONEq(t, forbidden, g.ask(t, "read sign", "POST", "/", send).Body.String())
	got := g.ask(t, "read", "POST", "/", `[`+send+`,{"jsonrpc":"2.0","id":8,"method":"eth_blockNumber"}]`).Body.String()
	require.JSONEq(t, `[`+forbidden+`,{"jsonrpc":"2.0","id":8,"result":"from the gateway: eth_blockNumber"}]`, got)
	require.Empty(t, g.queue.list)
	require.Contains(t, g.ask(t, "submit", "POST", "/", send).Body.String(), `"result":"0x`)
	require.Len(t, g.queue.list, 1)
}

// A WebSocket was opened with a key that is revoked by now.
func TestAccess_CallsOfARevokedKey(t *testing.T) {
	t.Parallel()
	g := guard(t)
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/", strings.NewReader(send))
	r.Header.Set("Roles", "submit")
	r.Header.Set("As", "revoked")
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	require.JSONEq(t, `{"jsonrpc":"2.0","id":7,"error":{"code":-32016,"message":"the API key is not valid"}}`, w.Body.String())
	require.Empty(t, g.queue.list)
}

func TestAccess_ReadsAreTheTenants(t *testing.T) {
	t.Parallel()
	g := guard(t)
	require.Equal(t, 200, g.ask(t, "read", "GET", "/v1/transactions", "").Code)
	require.Equal(t, "acme", g.queue.filters[0].Tenant)
	g.queue.list = []queue.Transaction{{}}
	require.JSONEq(t, `{"jsonrpc":"2.0","id":1,"result":["`+alice+`"]}`, g.ask(t, "read", "POST", "/", `{"jsonrpc":"2.0","id":1,"method":"eth_accounts"}`).Body.String())
}

func TestAccess_RefusalsInBothForms(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		err     error
		status  int
		problem string
		code    int
		after   string
	}{
		"denied":         {&policy.DeniedError{Decision: policy.Decision{Outcome: policy.Denied, Rules: []string{"a"}}}, 403, "denied by a", -32003, ""},
		"limit":          {&policy.LimitError{Rule: "a", Per: time.Hour, Of: "value"}, 429, "no more value", -32005, "60"},
		"rate":           {&admission.RateError{Whose: "sender", After: 1500 * time.Millisecond}, 429, "this sender", -32005, "2"},
		"audit is away":  {fmt.Errorf("%w: x", admission.ErrUnavailable), 503, "database_unavailable", -32002, "1"},
		"joined":         {errors.Join(&policy.DeniedError{}, errors.New("hunter2")), 403, "policy_denied", -32003, ""},
		"unknown sender": {fmt.Errorf("%w x", queue.ErrUnknownSender), 422, "unknown_sender", -32000, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := guard(t)
			g.queue.err = c.err

			w := g.ask(t, "submit", "POST", "/v1/transactions", `{"from":"`+alice+`","to":"`+bob+`"}`)
			require.Equal(t, c.status, w.Code)
			require.Contains(t, w.Body.String(), c.problem)
			require.Equal(t, c.after, w.Header().Get("Retry-After"))
			require.NotContains(t, w.Body.String(), "hunter2")

			w = g.ask(t, "submit", "POST", "/", send)
			require.Contains(t, w.Body.String(), fmt.Sprintf(`"code":%d`, c.code))
			require.NotContains(t, w.Body.String(), "hunter2")
		})
	}
}

func TestAPIKeys_NobodyGrantsWhatHeHasNot(t *testing.T) {
	t.Parallel()
	g := guard(t)
	w := g.ask(t, "operate", "POST", "/v1/api-keys", `{"name":"x","roles":["approve"]}`)
	require.Equal(t, 403, w.Code, w.Body)
	w = g.ask(t, "operate approve", "POST", "/v1/api-keys", `{"name":"x","roles":["approve","read"],"lifetime":"720h"}`)
	require.Equal(t, 201, w.Code, w.Body)
	require.Contains(t, w.Body.String(), `"token":"slk_new_secret"`)
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))

	g.keys.roles = []access.Role{access.RoleApprove}
	require.Equal(t, 403, g.ask(t, "operate", "POST", "/v1/api-keys/k1/rotate", "").Code, "rotating hands out the key's roles")
	require.Equal(t, 201, g.ask(t, "operate approve", "POST", "/v1/api-keys/k1/rotate", `{"overlap":"1h"}`).Code)
	require.Equal(t, 404, g.ask(t, "operate", "POST", "/v1/api-keys/other/rotate", "").Code)
	require.Equal(t, 404, g.ask(t, "operate", "DELETE", "/v1/api-keys/other", "").Code)
	require.Equal(t, 400, g.ask(t, "operate", "POST", "/v1/api-keys", `{"name":"x","roles":["operate"],"lifetime":"soon"}`).Code)
	require.JSONEq(t, `{"items":[]}`, g.ask(t, "operate", "GET", "/v1/api-keys", "").Body.String())
}

func TestApprovals_OverREST(t *testing.T) {
	t.Parallel()
	g := guard(t)
	id := uuid.NewString()
	w := g.ask(t, "approve", "POST", "/v1/approvals/"+id+"/reject", `{"reason":"who is that?"}`)
	require.Equal(t, 200, w.Code, w.Body)
	require.Equal(t, "key:portal", g.approvals.vote.Approver)
	require.False(t, g.approvals.vote.Approves)
	require.Equal(t, "who is that?", g.approvals.vote.Reason)
	require.Equal(t, 404, g.ask(t, "approve", "POST", "/v1/approvals/x/approve", "").Code)
	require.Equal(t, 400, g.ask(t, "approve", "POST", "/v1/approvals/"+id+"/approve", `{"reason":"`+strings.Repeat("x", 257)+`"}`).Code)
	require.Contains(t, g.ask(t, "read", "GET", "/v1/approvals?limit=1", "").Body.String(), `"submitter":"key:portal"`)
	for err, status := range map[error]int{queue.ErrOwnApproval: 403, queue.ErrNotApprover: 403, queue.ErrWrongStatus: 409, queue.ErrNotFound: 404} {
		g.approvals.err = err
		require.Equal(t, status, g.ask(t, "approve", "POST", "/v1/approvals/"+id+"/approve", "").Code)
	}
}

func TestPolicy_DryRun(t *testing.T) {
	t.Parallel()
	g := guard(t, policy.Rule{ID: "no", Effect: policy.EffectDeny, Recipients: []string{bob}})

	w := g.ask(t, "submit", "POST", "/v1/policy/dry-run", `{"from":"`+alice+`","to":"`+bob+`"}`)

	require.Equal(t, 200, w.Code, w.Body)
	require.Contains(t, w.Body.String(), `"reason":"denied by no"`)
	require.Empty(t, g.queue.list)
	w = g.ask(t, "submit", "POST", "/v1/policy/dry-run", `{"from":"`+bob+`","to":"`+alice+`"}`)
	require.Equal(t, 422, w.Code, "another tenant's sender is no sender")
}

func TestAccess_ACertificateIsNotForWebPages(t *testing.T) {
	t.Parallel()
	g := guard(t)
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/", strings.NewReader(send))
	r.Header.Set("Roles", "submit")
	r.Header.Set("As", "cert:portal")
	r.Header.Set("Origin", "https://evil.example")
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	require.Equal(t, 403, w.Code, w.Body)
	require.Empty(t, g.queue.list)
}

// Whoever may sign is held against the policy in every call that signs.
func TestAccess_SignaturesPassThePolicy(t *testing.T) {
	t.Parallel()
	mailOnly := policy.Rule{ID: "mail", Effect: policy.EffectAllow, Kinds: []policy.Kind{policy.KindTypedData}, Domains: []policy.Domain{{Name: "Ether Mail", ChainID: 1}}, PrimaryTypes: []string{"Mail"}}
	small := policy.Rule{ID: "small", Effect: policy.EffectAllow, Kinds: []policy.Kind{policy.KindTransaction}, MaxValue: policy.Wei(common.Big1)}
	signed := func(g guarded, method, params string) string {
		return g.ask(t, "sign", "POST", "/", `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":`+params+`}`).Body.String()
	}
	document := strings.ReplaceAll(strings.ReplaceAll(mail, "\n", ""), `"chainId":1,`, `"chainId":31337,`)
	transaction := func(value string) string {
		return `[{"from":"` + cowAccount + `","to":"` + bob + `","gas":"0x5208","gasPrice":"0x0","nonce":"0x0","value":"` + value + `"}]`
	}
	here := mailOnly
	here.Domains = []policy.Domain{{Name: "Ether Mail", ChainID: 31337}}

	g := guard(t, here, small)
	require.Contains(t, signed(g, "eth_signTypedData_v4", `["`+cowAccount+`",`+document+`]`), `"result":"0x`)
	require.Contains(t, signed(g, "eth_signTransaction", transaction("0x1")), `"result":"0x`)
	require.Contains(t, signed(g, "eth_signTransaction", transaction("0x2")), `no rule allows it`)
	require.Contains(t, signed(g, "personal_sign", `["`+someData+`","`+cowAccount+`"]`), `no rule allows it`)
	require.Contains(t, signed(g, "eth_sign", `["`+cowAccount+`","`+someData+`"]`), `no rule allows it`)

	g = guard(t, mailOnly, policy.Rule{ID: "messages", Effect: policy.EffectAllow, Kinds: []policy.Kind{policy.KindMessage}})
	require.Contains(t, signed(g, "eth_signTypedData_v4", `["`+cowAccount+`",`+document+`]`), `no rule allows it`, "another chain's domain")
	require.Contains(t, signed(g, "personal_sign", `["`+someData+`","`+cowAccount+`"]`), `"result":"0x`)

	g = guard(t, policy.Rule{ID: "ask", Effect: policy.EffectApproval, Approvals: 1})
	require.Contains(t, signed(g, "eth_signTransaction", transaction("0x1")), `denied by ask`, "nobody can be waited for")
}

// oneKey is a keyring.
type oneKey struct{ keySigner }

func (k oneKey) Signer(address common.Address) (signing.Signer, error) {
	if address != k.Address() {
		return nil, signing.ErrUnknownSigner
	}
	return k.keySigner, nil
}

func (k oneKey) Signers() []signing.Signer { return []signing.Signer{k.keySigner} }

type noMeter struct{}

func (noMeter) Charge(context.Context, policy.Decision) error { return nil }
