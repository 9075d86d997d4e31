package signerapp

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/access"
	"github.com/slipwayhq/slipway/internal/lifecycle/lifecycletest"
	"github.com/slipwayhq/slipway/internal/pgtest"
	"github.com/slipwayhq/slipway/internal/policy"
)

// reply is what matters of an answer.
type reply struct {
	StatusCode int
	Header     http.Header
}

// ask calls with a key.
func ask(t *testing.T, key, method, url, body string) (reply, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("X-Api-Key", key)
	resp, err := (&http.Client{Timeout: 30 * time.Second}).Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return reply{resp.StatusCode, resp.Header}, string(answer)
}

// newKey makes a key as the command line does.
func newKey(t *testing.T, a *Admin, tenant, name string, roles ...access.Role) string {
	t.Helper()
	_, token, err := a.Keys.Create(t.Context(), access.NewKey{Tenant: tenant, Name: name, Roles: roles, By: "test"})
	require.NoError(t, err)
	return token.Reveal()
}

// Two tenants with keys, on a real chain: what needs approval waits for it, what
// is denied is denied, nobody sees the other one's, and all of it is in the
// audit log.
func TestApp_TenantsPolicyAndApproval(t *testing.T) {
	t.Parallel()
	cfg := config(t, chain(t).HTTPURL(), pgtest.DSN(t))
	cfg.Dev, cfg.Access.APIKeys = false, true
	cfg.Access.Tenants = []access.Tenant{{Name: "acme", Senders: []string{alice}}, {Name: "other", Senders: []string{bob}}}
	cfg.Policy.Rules = []policy.Rule{
		{ID: "small", Effect: policy.EffectAllow, MaxValue: policy.Wei(big.NewInt(10))},
		{ID: "large", Effect: policy.EffectApproval, Approvals: 1, MinValue: policy.Wei(big.NewInt(11)), MaxValue: policy.Wei(big.NewInt(1000))},
	}
	cfg.RateLimit.TenantPerMinute = 7
	app, err := New(cfg, Deps{Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	lifecycletest.Start(t, app.Run)
	admin, err := OpenAdmin(t.Context(), cfg)
	require.NoError(t, err)
	defer admin.Close()
	url := "http://" + app.Addr() + "/v1"
	portal := newKey(t, admin, "acme", "portal", access.RoleSubmit)
	boss := newKey(t, admin, "acme", "boss", access.RoleApprove, access.RoleSubmit)
	operator := newKey(t, admin, "acme", "operator", access.RoleOperate)
	stranger := newKey(t, admin, "other", "portal", access.RoleSubmit, access.RoleApprove, access.RoleOperate)
	pay := func(key string, value int, idem string) (reply, map[string]any) {
		resp, text := ask(t, key, "POST", url+"/transactions", fmt.Sprintf(`{"from":"%s","to":"%s","value":"%d","idempotencyKey":"%s"}`, alice, bob, value, idem))
		var body map[string]any
		require.NoError(t, json.Unmarshal([]byte(text), &body), text)
		return resp, body
	}

	resp, body := pay(portal, 5, "a")
	require.Equal(t, 202, resp.StatusCode, body)
	small := body["id"].(string) //nolint:forcetypeassert // a test
	resp, body = pay(portal, 1001, "b")
	require.Equal(t, 403, resp.StatusCode, body)
	require.Equal(t, "urn:slipway:problem:policy_denied", body["type"])
	resp, body = pay(portal, 500, "c")
	require.Equal(t, 202, resp.StatusCode, body)
	require.Equal(t, "needs_approval", body["substatus"])
	large := body["id"].(string) //nolint:forcetypeassert // a test

	// Another tenant sees nothing of it, and cannot use the sender.
	for _, path := range []string{"/transactions/" + small, "/transactions/" + large + "/policy"} {
		resp, text := ask(t, stranger, "GET", url+path, "")
		require.Equal(t, 404, resp.StatusCode, text)
	}
	for _, path := range []string{"/transactions", "/approvals", "/audit"} {
		_, text := ask(t, stranger, "GET", url+path, "")
		require.JSONEq(t, `{"items":[]}`, text, path)
	}
	resp, text := ask(t, stranger, "POST", url+"/approvals/"+large+"/approve", "")
	require.Equal(t, 404, resp.StatusCode, text)
	resp, body = pay(stranger, 1, "a")
	require.Equal(t, 422, resp.StatusCode, body)
	_, text = ask(t, portal, "POST", "http://"+app.Addr(), `{"jsonrpc":"2.0","id":1,"method":"eth_accounts"}`)
	require.JSONEq(t, `{"jsonrpc":"2.0","id":1,"result":["`+alice+`"]}`, text)

	resp, text = ask(t, portal, "POST", url+"/approvals/"+large+"/approve", "")
	require.Equal(t, 403, resp.StatusCode, text)
	resp, text = ask(t, boss, "POST", url+"/approvals/"+large+"/approve", `{"reason":"agreed by phone"}`)
	require.Equal(t, 200, resp.StatusCode, text)
	for _, id := range []string{small, large} {
		require.Eventually(t, func() bool {
			_, text = ask(t, portal, "GET", url+"/transactions/"+id, "")
			return strings.Contains(text, `"status":"confirmed"`)
		}, 20*time.Second, 20*time.Millisecond, "%s", &text)
	}
	_, text = ask(t, portal, "GET", url+"/transactions/"+large+"/policy", "")
	require.Contains(t, text, `"outcome":"require_approval"`)

	// Nobody approves what he submitted himself.
	resp, body = pay(boss, 20, "d")
	require.Equal(t, 202, resp.StatusCode, body)
	resp, text = ask(t, boss, "POST", url+"/approvals/"+body["id"].(string)+"/approve", "") //nolint:forcetypeassert // a test
	require.Equal(t, 403, resp.StatusCode, text)

	// Rates: seven submissions a minute, of which four were made.
	for i := range 3 {
		resp, body = pay(portal, 1, fmt.Sprint("r", i))
		require.Equal(t, 202, resp.StatusCode, body)
	}
	resp, body = pay(portal, 1, "r9")
	require.Equal(t, 429, resp.StatusCode, body)
	require.NotEmpty(t, resp.Header.Get("Retry-After"))

	_, text = ask(t, operator, "GET", url+"/audit?limit=500", "")
	for _, part := range []string{"transaction.submit", "policy.deny", "approval.approve", `"actor":"key:boss"`, "agreed by phone", "POST /v1/approvals/:id/approve"} {
		require.Contains(t, text, part)
	}
	for _, key := range []string{portal, boss, operator, stranger} {
		require.NotContains(t, text, key[21:], "no secret")
	}
	report, err := admin.Audit.Verify(t.Context())
	require.NoError(t, err)
	require.Positive(t, report.Rows)
}

// certificates makes a CA, a server's and a client's certificate.
func certificates(t *testing.T) (files TLSConfig, roots *x509.CertPool, client tls.Certificate) {
	t.Helper()
	newKey := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
		return k
	}
	caKey := newKey()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	sign := func(from *x509.Certificate, key *ecdsa.PrivateKey) []byte {
		der, err := x509.CreateCertificate(rand.Reader, from, ca, &key.PublicKey, caKey)
		require.NoError(t, err)
		return der
	}
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
		return path
	}
	caDER := sign(ca, caKey)
	parsed, err := x509.ParseCertificate(caDER)
	require.NoError(t, err)
	roots = x509.NewCertPool()
	roots.AddCert(parsed)
	serverKey, clientKey := newKey(), newKey()
	serverDER := sign(&x509.Certificate{
		SerialNumber: big.NewInt(2), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, serverKey)
	clientDER := sign(&x509.Certificate{
		SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "portal"}, NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, clientKey)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(serverKey)
	require.NoError(t, err)
	files = TLSConfig{CertFile: write("tls.crt", "CERTIFICATE", serverDER), KeyFile: write("tls.key", "PRIVATE KEY", pkcs8), CAFile: write("ca.crt", "CERTIFICATE", caDER)}
	return files, roots, tls.Certificate{Certificate: [][]byte{clientDER}, PrivateKey: clientKey}
}

func TestApp_ClientCertificates(t *testing.T) {
	t.Parallel()
	cfg := config(t, chain(t).HTTPURL(), pgtest.DSN(t))
	var roots *x509.CertPool
	var client tls.Certificate
	cfg.Dev = false
	cfg.TLS, roots, client = certificates(t)
	cfg.Access.ClientCertificates = []access.ClientCertificate{{Name: "portal", CommonName: "portal", Tenant: "acme", Roles: []access.Role{access.RoleRead}}}
	app, err := New(cfg, Deps{Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	lifecycletest.Start(t, app.Run)
	get := func(certificates ...tls.Certificate) int {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+app.Addr()+"/v1/transactions", nil)
		require.NoError(t, err)
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: certificates, MinVersion: tls.VersionTLS12}}
		defer transport.CloseIdleConnections()
		resp, err := (&http.Client{Transport: transport}).Do(req)
		if err != nil {
			return 0
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}

	require.Equal(t, 200, get(client))
	require.Equal(t, 401, get(), "a client without a certificate may show something else, and shows nothing")
	_, _, foreign := certificates(t)
	require.Zero(t, get(foreign), "another CA's")
}

func TestConfig_AccessOrDev(t *testing.T) {
	t.Parallel()
	cfg := config(t, "http://127.0.0.1:1", "postgres://x")
	cfg.Access.APIKeys = true
	require.ErrorContains(t, cfg.Validate(), "dev, access: exclude each other")
	cfg.Dev, cfg.Listen = false, ":3000"
	require.NoError(t, cfg.Validate())
	cfg.Access.ClientCertificates = []access.ClientCertificate{{Name: "x", CommonName: "x", Tenant: "x", Roles: access.Roles()}}
	require.ErrorContains(t, cfg.Validate(), "need tls.caFile")
	cfg.TLS.CAFile = "ca.crt"
	require.ErrorContains(t, cfg.Validate(), "certificate file: is needed")
	cfg.Policy.Rules = []policy.Rule{{ID: "x"}}
	require.ErrorContains(t, cfg.Validate(), "policy rule 1 (x)")
}

// A wallet is there for the tenant that made it, and for nobody else, whatever is
// asked and however.
func TestApp_WalletsOfTenants(t *testing.T) {
	t.Parallel()
	cfg := config(t, chain(t).HTTPURL(), pgtest.DSN(t))
	cfg.Dev, cfg.Access.APIKeys = false, true
	cfg.Access.Tenants = []access.Tenant{{Name: "acme", Senders: []string{alice}}}
	app, err := New(cfg, Deps{Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	lifecycletest.Start(t, app.Run)
	admin, err := OpenAdmin(t.Context(), cfg)
	require.NoError(t, err)
	defer admin.Close()
	url := "http://" + app.Addr()
	mine := newKey(t, admin, "acme", "portal", access.Roles()...)
	theirs := newKey(t, admin, "other", "portal", access.Roles()...)
	rpc := func(key, method, params string) string {
		_, text := ask(t, key, "POST", url, `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":[`+params+`]}`)
		return text
	}
	const wallet = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC" // index 2: 0 and 1 are the signer's own
	require.Contains(t, rpc(mine, "user_createWallet", `"vault",{"name":"Ann"}`), wallet)
	send := `{"from":"` + wallet + `","to":"` + bob + `"}`
	typed := `{"types":{"EIP712Domain":[{"name":"name","type":"string"}],"A":[{"name":"a","type":"string"}]},"primaryType":"A","domain":{"name":"d"},"message":{"a":"b"}}`

	for _, call := range [][2]string{
		{"eth_signTransaction", `{"from":"` + wallet + `","to":"` + bob + `","gas":"0x5208","gasPrice":"0x0","nonce":"0x0"}`},
		{"eth_sendTransaction", send},
		{"personal_sign", `"0x01","` + wallet + `"`},
		{"eth_sign", `"` + wallet + `","0x01"`},
		{"eth_signTypedData_v4", `"` + wallet + `",` + typed},
		{"user_walletVerifications", `"` + wallet + `"`},
		{"user_createWalletVerification", `"` + wallet + `",{"name":"x","verificationType":"SECRET_CODES"}`},
		{"user_deleteWalletVerification", `"` + wallet + `","00000000-0000-0000-0000-000000000001"`},
		{"user_createWalletVerificationChallenges", `"` + wallet + `"`},
	} {
		text := rpc(theirs, call[0], call[1])
		require.Contains(t, text, `"error"`, call[0])
		require.NotContains(t, text, `"result"`, call[0])
		text = rpc(mine, call[0], call[1])
		require.Contains(t, text, `"result"`, "%s: %s", call[0], text)
	}
	require.NotContains(t, rpc(theirs, "eth_accounts", ""), wallet)
	require.Contains(t, rpc(mine, "eth_accounts", ""), wallet)
	for _, path := range []string{"/v1/wallets", "/v1/senders"} {
		_, text := ask(t, theirs, "GET", url+path, "")
		require.NotContains(t, text, wallet, path)
		_, text = ask(t, mine, "GET", url+path, "")
		require.Contains(t, text, wallet, path)
	}
	for _, do := range [][2]string{
		{"GET", "/v1/senders/" + wallet},
		{"GET", "/v1/senders/" + wallet + "/nonces"},
		{"POST", "/v1/senders/" + wallet + "/pause"},
		{"POST", "/v1/keys/" + wallet + "/enable"},
		{"POST", "/v1/wallets/" + wallet + "/disable"},
	} {
		resp, text := ask(t, theirs, do[0], url+do[1], "")
		require.GreaterOrEqual(t, resp.StatusCode, 400, "%s: %s", do, text)
		resp, text = ask(t, mine, do[0], url+do[1], "")
		require.Less(t, resp.StatusCode, 300, "%s: %s", do, text)
	}
	_, text := ask(t, theirs, "GET", url+"/v1/keys", "")
	require.NotContains(t, text, wallet)
	_, text = ask(t, mine, "GET", url+"/v1/keys", "")
	require.Contains(t, text, wallet)
	resp, text := ask(t, theirs, "POST", url+"/v1/transactions", send)
	require.Equal(t, 422, resp.StatusCode, text)
	resp, text = ask(t, theirs, "POST", url+"/v1/policy/dry-run", send)
	require.Equal(t, 422, resp.StatusCode, text)
}
