package access

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/golang-jwt/jwt/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/lifecycle/lifecycletest"
	"github.com/slipwayhq/slipway/internal/pgtest"
	"github.com/slipwayhq/slipway/internal/schema"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/telemetry"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m, pgtest.Template(schema.Migrate))) }

func open(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), pgtest.DSN(t))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

func authenticator(t *testing.T, cfg Config, keys *Keys) *Authenticator {
	t.Helper()
	a, err := New(cfg, keys, telemetry.NewFactory(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return a
}

// request shows headers.
func request(t *testing.T, headers ...string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
	r.RemoteAddr = "10.1.2.3:4567"
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

func TestKeys_LetIn(t *testing.T) {
	t.Parallel()
	keys := NewKeys(NewStore(open(t)))
	a := authenticator(t, Config{APIKeys: true}, keys)
	key, token, err := keys.Create(t.Context(), NewKey{Tenant: "acme", Name: "portal", Roles: []Role{RoleSubmit}, By: "cli"})
	require.NoError(t, err)
	require.NotContains(t, token.String(), key.ID, "it does not print")

	for _, headers := range [][]string{{"Authorization", "Bearer " + token.Reveal()}, {"Authorization", "bearer  " + token.Reveal()}, {"X-Api-Key", token.Reveal()}} {
		c, err := a.Authenticate(request(t, headers...))
		require.NoError(t, err)
		require.Equal(t, Caller{Tenant: "acme", Name: "key:portal", KeyID: key.ID, Roles: []Role{RoleSubmit}, Address: "10.1.2.3"}, c)
		require.True(t, c.Has(RoleRead))
		require.True(t, c.Has(RoleSubmit))
		require.False(t, c.Has(RoleSign))
	}
	whole := token.Reveal()
	last := "A"
	if strings.HasSuffix(whole, "A") {
		last = "E"
	}
	for name, shown := range map[string]string{
		"another secret": whole[:len(whole)-1] + last, "cut": whole[:len(whole)-1], "longer": whole + "A", "no secret": "slk_" + key.ID + "_", "only the id": key.ID,
		"nothing like it": "x", "an unknown id": "slk_" + strings.Repeat("a", 16) + whole[20:],
	} {
		_, err := a.Authenticate(request(t, "X-Api-Key", shown))
		require.ErrorIs(t, err, ErrKey, name)
	}
	_, err = a.Authenticate(request(t))
	require.ErrorIs(t, err, ErrMissing)
	_, err = authenticator(t, Config{ClientCertificates: []ClientCertificate{{Name: "x", CommonName: "x", Tenant: "x", Roles: Roles()}}}, nil).
		Authenticate(request(t, "X-Api-Key", whole))
	require.ErrorIs(t, err, ErrKey, "keys are not switched on")

	var stored string
	require.NoError(t, keys.store.pool.QueryRow(t.Context(), `select string_agg(k::text, ' ') from api_keys k`).Scan(&stored))
	require.NotContains(t, stored, whole[21:], "the secret is nowhere at rest")
}

func TestKeys_RotateExpireRevoke(t *testing.T) {
	t.Parallel()
	keys := NewKeys(NewStore(open(t)))
	a := authenticator(t, Config{APIKeys: true}, keys)
	allowed := func(token secret.String) bool {
		_, err := a.Authenticate(request(t, "X-Api-Key", token.Reveal()))
		return err == nil
	}
	first, firstToken, err := keys.Create(t.Context(), NewKey{Tenant: "acme", Name: "portal", Roles: []Role{RoleSubmit}})
	require.NoError(t, err)
	_, _, err = keys.Create(t.Context(), NewKey{Tenant: "acme", Name: "portal", Roles: []Role{RoleOperate}})
	require.ErrorIs(t, err, ErrNameTaken, "one name has one set of roles")
	_, _, err = keys.Create(t.Context(), NewKey{Tenant: "other", Name: "portal", Roles: []Role{RoleSubmit}})
	require.NoError(t, err, "another tenant's name")
	_, _, err = keys.Rotate(t.Context(), "other", first.ID, 0, 0, "")
	require.ErrorIs(t, err, ErrNoKey, "another tenant's key")

	second, secondToken, err := keys.Rotate(t.Context(), "acme", first.ID, time.Hour, 0, "cli")
	require.NoError(t, err)
	require.Equal(t, first.Name, second.Name)
	require.Equal(t, first.Roles, second.Roles)
	require.True(t, allowed(firstToken), "both are good for a while")
	require.True(t, allowed(secondToken))
	old, err := keys.Get(t.Context(), "acme", first.ID)
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(time.Hour), *old.ExpiresAt, time.Minute)
	_, _, err = keys.Rotate(t.Context(), "acme", second.ID, time.Hour, 0, "cli")
	require.ErrorIs(t, err, ErrTooMany)

	require.ErrorIs(t, keys.Revoke(t.Context(), "other", first.ID), ErrNoKey)
	connected, err := a.Authenticate(request(t, "X-Api-Key", firstToken.Reveal()))
	require.NoError(t, err)
	require.NoError(t, a.Renew(t.Context(), connected))
	require.NoError(t, keys.Revoke(t.Context(), "acme", first.ID))
	require.ErrorIs(t, a.Renew(t.Context(), connected), ErrKey, "connections end with the key they were made with")
	require.False(t, allowed(firstToken), "at once, where it was revoked")
	require.True(t, allowed(secondToken))
	_, _, err = keys.Rotate(t.Context(), "acme", first.ID, 0, 0, "")
	require.ErrorIs(t, err, ErrInvalid)
	_, thirdToken, err := keys.Rotate(t.Context(), "acme", second.ID, 0, time.Hour, "")
	require.NoError(t, err)
	require.False(t, allowed(secondToken), "without an overlap the old one ends at once")
	require.True(t, allowed(thirdToken))
	list, err := keys.List(t.Context(), "acme")
	require.NoError(t, err)
	require.Len(t, list, 3)
	list, err = keys.List(t.Context(), "")
	require.NoError(t, err)
	require.Len(t, list, 4)

	_, err = keys.store.pool.Exec(t.Context(), `update api_keys set expires_at = now() - interval '1 second'`)
	require.NoError(t, err)
	keys.known.entries = nil
	require.False(t, allowed(thirdToken))
}

// However many rotate at the same time, two keys are active at most.
func TestKeys_RotatedTogether(t *testing.T) {
	t.Parallel()
	keys := NewKeys(NewStore(open(t)))
	first, _, err := keys.Create(t.Context(), NewKey{Tenant: "acme", Name: "portal", Roles: []Role{RoleSubmit}})
	require.NoError(t, err)
	var made atomic.Int32
	var all sync.WaitGroup
	for range 12 {
		all.Go(func() {
			if _, _, err := keys.Rotate(t.Context(), "acme", first.ID, time.Hour, 0, ""); err == nil {
				made.Add(1)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 1, made.Load())
}

func TestNewKey_Refuses(t *testing.T) {
	t.Parallel()
	good := NewKey{Tenant: "acme", Name: "portal", Roles: []Role{RoleSubmit}}
	require.NoError(t, good.validate())
	for name, change := range map[string]func(*NewKey){
		"no tenant":     func(n *NewKey) { n.Tenant = "" },
		"tenant":        func(n *NewKey) { n.Tenant = "a/b" },
		"no name":       func(n *NewKey) { n.Name = "" },
		"a space":       func(n *NewKey) { n.Name = "a b" },
		"a NUL":         func(n *NewKey) { n.Name = "a\x00" },
		"a long name":   func(n *NewKey) { n.Name = strings.Repeat("a", 129) },
		"no role":       func(n *NewKey) { n.Roles = nil },
		"unknown role":  func(n *NewKey) { n.Roles = []Role{"root"} },
		"past lifetime": func(n *NewKey) { n.Lifetime = -1 },
		"long lifetime": func(n *NewKey) { n.Lifetime = maxLifetime + 1 },
	} {
		n := good
		change(&n)
		require.ErrorIs(t, n.validate(), ErrInvalid, name)
	}
}

// provider is an identity provider with one key at a time.
type provider struct {
	*httptest.Server
	key atomic.Pointer[ecdsa.PrivateKey]
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	p := &provider{}
	p.rotate(t)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		k := p.key.Load()
		point, err := k.PublicKey.Bytes()
		if err != nil {
			t.Error(err)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []map[string]string{{
			"kty": "EC", "crv": "P-256", "kid": p.id(), "x": base64.RawURLEncoding.EncodeToString(point[1:33]), "y": base64.RawURLEncoding.EncodeToString(point[33:]),
		}}})
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *provider) rotate(t *testing.T) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	p.key.Store(k)
}

func (p *provider) id() string { return p.key.Load().X.Text(16)[:8] }

func (p *provider) token(t *testing.T, claims jwt.MapClaims) string {
	t.Helper()
	all := jwt.MapClaims{"iss": "https://idp", "aud": "slipway", "sub": "alice", "exp": time.Now().Add(time.Hour).Unix(), "org": "acme", "scope": "openid sign submit"}
	for name, value := range claims {
		all[name] = value
		if value == nil {
			delete(all, name)
		}
	}
	made := jwt.NewWithClaims(jwt.SigningMethodES256, all)
	made.Header["kid"] = p.id()
	text, err := made.SignedString(p.key.Load())
	require.NoError(t, err)
	return text
}

func TestTokens(t *testing.T) {
	t.Parallel()
	idp := newProvider(t)
	cfg := Config{Issuers: []Issuer{
		{Name: "other", Issuer: "https://other", Audience: "slipway", JWKSURL: secret.New(idp.URL), Tenant: "other", Roles: []Role{RoleOperate}},
		{Name: "corp", Issuer: "https://idp", Audience: "slipway", JWKSURL: secret.New(idp.URL), TenantClaim: "org", RolesClaim: "scope"},
		{
			Name: "mapped", Issuer: "https://mapped", Audience: "slipway", JWKSURL: secret.New(idp.URL), Tenant: "acme",
			RolesClaim: "realm.groups", RoleNames: map[Role][]string{RoleOperate: {"admins", "ops"}},
		},
	}}
	a := authenticator(t, cfg, nil)
	lifecycletest.Start(t, a.Run)
	bearer := func(claims jwt.MapClaims) *http.Request {
		return request(t, "Authorization", "Bearer "+idp.token(t, claims))
	}

	c, err := a.Authenticate(bearer(nil))
	require.NoError(t, err)
	require.NoError(t, a.Renew(t.Context(), c))
	require.WithinDuration(t, time.Now().Add(time.Hour), c.Expires, time.Minute)
	c.Expires = time.Now().Add(-time.Second)
	require.ErrorContains(t, a.Renew(t.Context(), c), "have expired")
	c.Expires = time.Time{}
	require.Equal(t, Caller{Tenant: "acme", Name: "jwt:corp/alice", Roles: []Role{RoleSubmit, RoleSign}, Address: "10.1.2.3"}, c)
	c, err = a.Authenticate(bearer(jwt.MapClaims{"iss": "https://mapped", "realm": map[string]any{"groups": []string{"ops", "operate"}}}))
	require.NoError(t, err)
	require.Equal(t, []Role{RoleOperate}, c.Roles)

	for name, claims := range map[string]jwt.MapClaims{
		"issuer":         {"iss": "https://evil"},
		"audience":       {"aud": "somebody"},
		"no expiry":      {"exp": nil},
		"expired":        {"exp": time.Now().Add(-time.Hour).Unix()},
		"no tenant":      {"org": nil},
		"two tenants":    {"org": []string{"a", "b"}},
		"tenant's name":  {"org": "../x"},
		"no role":        {"scope": "openid"},
		"subject":        {"sub": "a b"},
		"mapped, no one": {"iss": "https://mapped", "realm": map[string]any{"groups": []string{"operate"}}},
	} {
		_, err := a.Authenticate(bearer(claims))
		var refused *TokenError
		require.ErrorAs(t, err, &refused, name)
	}
	inURL := request(t)
	inURL.URL.RawQuery = "jwt=" + url.QueryEscape(idp.token(t, nil))
	_, err = a.Authenticate(inURL)
	require.ErrorIs(t, err, ErrMissing, "tokens in URLs do not count")

	old := idp.token(t, nil)
	idp.rotate(t)
	_, err = a.Authenticate(bearer(nil))
	require.NoError(t, err, "a new key is looked for")
	_, err = a.Authenticate(request(t, "Authorization", "Bearer "+old[:len(old)-4]+"AAAA"))
	require.Error(t, err)
}

// certificate makes a certificate that a server would have verified.
func certificate(t *testing.T, change func(*x509.Certificate)) *http.Request {
	t.Helper()
	spiffe, err := url.Parse("spiffe://cluster/portal")
	require.NoError(t, err)
	leaf := &x509.Certificate{Subject: pkix.Name{CommonName: "portal"}, DNSNames: []string{"portal.svc"}, URIs: []*url.URL{spiffe}, EmailAddresses: []string{"ops@x.y"}}
	if change != nil {
		change(leaf)
	}
	r := request(t)
	r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{leaf}}, PeerCertificates: []*x509.Certificate{leaf}}
	return r
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	rule := func(k ClientCertificate) Config {
		k.Name, k.Tenant, k.Roles = "portal", "acme", []Role{RoleSubmit}
		return Config{ClientCertificates: []ClientCertificate{k}}
	}
	cases := map[string]struct {
		known ClientCertificate
		want  bool
	}{
		"common name":         {ClientCertificate{CommonName: "portal"}, true},
		"another common name": {ClientCertificate{CommonName: "portal2"}, false},
		"DNS name":            {ClientCertificate{DNSName: "portal.svc"}, true},
		"another DNS name":    {ClientCertificate{DNSName: "x.svc"}, false},
		"URI":                 {ClientCertificate{URI: "spiffe://cluster/portal"}, true},
		"another URI":         {ClientCertificate{URI: "spiffe://cluster/x"}, false},
		"email":               {ClientCertificate{Email: "ops@x.y"}, true},
		"all of them":         {ClientCertificate{CommonName: "portal", DNSName: "portal.svc", URI: "spiffe://cluster/portal", Email: "ops@x.y"}, true},
		"not all of them":     {ClientCertificate{CommonName: "portal", DNSName: "x.svc"}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := authenticator(t, rule(c.known), nil).Authenticate(certificate(t, nil))
			if !c.want {
				require.ErrorIs(t, err, ErrCertificate)
				return
			}
			require.NoError(t, err)
			require.Equal(t, "cert:portal", got.Name)
			require.Equal(t, "acme", got.Tenant)
		})
	}
	unverified := certificate(t, nil)
	unverified.TLS.VerifiedChains = nil
	_, err := authenticator(t, rule(ClientCertificate{CommonName: "portal"}), nil).Authenticate(unverified)
	require.ErrorIs(t, err, ErrMissing, "what no CA signed counts for nothing")
	wrongKey := certificate(t, nil)
	wrongKey.Header.Set("X-Api-Key", "wrong")
	_, err = authenticator(t, rule(ClientCertificate{CommonName: "portal"}), nil).Authenticate(wrongKey)
	require.ErrorIs(t, err, ErrKey, "a wrong key is not mended by a certificate")
}

func TestConfig_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	block, err := x509.MarshalPKIXPublicKey(&newProvider(t).key.Load().PublicKey)
	require.NoError(t, err)
	good := Issuer{
		Name: "corp", Issuer: "https://idp", Audience: "slipway", Tenant: "acme", Roles: []Role{RoleSubmit},
		Keys: map[string]secret.String{"k": secret.New(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: block})))},
	}
	require.NoError(t, Config{Issuers: []Issuer{good}}.Validate())
	for want, change := range map[string]func(*Issuer){
		"name":                  func(i *Issuer) { i.Name = "a/b" },
		"issuer and audience":   func(i *Issuer) { i.Audience = "" },
		"either tenantClaim":    func(i *Issuer) { i.TenantClaim = "org" },
		"at least one of read":  func(i *Issuer) { i.Roles = nil },
		`no role "root"`:        func(i *Issuer) { i.RoleNames = map[Role][]string{"root": {"x"}} },
		"must be https":         func(i *Issuer) { i.Keys, i.JWKSURL = nil, secret.New("http://idp.example/keys") },
		"key set are needed":    func(i *Issuer) { i.Keys = nil },
		"tenant: must begin":    func(i *Issuer) { i.Tenant = "-" },
		"no algorithm that can": func(i *Issuer) { i.Algorithms = []string{"none"} },
	} {
		i := good
		change(&i)
		require.ErrorContains(t, Config{Issuers: []Issuer{i}}.Validate(), want)
	}
	require.ErrorContains(t, Config{Issuers: []Issuer{good, good}}.Validate(), "used twice")
	require.ErrorContains(t, Config{ClientCertificates: []ClientCertificate{{Name: "x", Tenant: "x", Roles: Roles()}}}.Validate(), "commonName, dnsName, uri or email")
	require.ErrorContains(t, Config{Tenants: []Tenant{{Name: "x", Senders: []string{"y"}}}}.Validate(), "no address")
	require.ErrorContains(t, Config{Tenants: []Tenant{{Name: "x"}}}.Validate(), "at least one is needed")
}

func TestSenders_May(t *testing.T) {
	t.Parallel()
	mine, shared, free := common.Address{1}, common.Address{2}, common.Address{3}
	s := NewSenders([]Tenant{{Name: "acme", Senders: []string{mine.Hex(), shared.Hex()}}, {Name: "other", Senders: []string{shared.Hex()}}})
	for tenant, want := range map[string][3]bool{"acme": {true, true, false}, "other": {false, true, false}, "third": {false, false, true}} {
		require.Equal(t, want, [3]bool{s.May(tenant, mine), s.May(tenant, shared), s.May(tenant, free)}, tenant)
	}
	require.True(t, NewSenders(nil).May("anyone", mine))
}

func TestCaller_TravelsInAContext(t *testing.T) {
	t.Parallel()
	_, ok := From(context.Background())
	require.False(t, ok)
	c, ok := From(With(context.Background(), Nobody("127.0.0.1")))
	require.True(t, ok)
	require.Equal(t, DefaultTenant, c.Tenant)
	for _, r := range Roles() {
		require.True(t, c.Has(r))
	}
}

// FuzzIDOf reads keys from anywhere.
func FuzzIDOf(f *testing.F) {
	id, token := newToken()
	f.Add(token.Reveal())
	f.Add("slk_" + id + "_")
	f.Add("slk__")
	f.Fuzz(func(t *testing.T, text string) {
		id, ok := idOf(text)
		if ok && (!isToken(text) || len(id) != 16 || len(text) != len(token.Reveal())) {
			t.Fatal(text)
		}
	})
}
