package auth_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/auth"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/telemetry"
)

var away = netip.MustParseAddr("203.0.113.9") //nolint:gochecknoglobals // a constant of the documentation range

// newAuthenticator makes one that is not run.
func newAuthenticator(tb testing.TB, strategies ...auth.Strategy) *auth.Authenticator {
	tb.Helper()
	a, err := auth.New(auth.Config{Scope: "main", Strategies: strategies, Budgets: []string{"gold"}},
		auth.NewMetrics(telemetry.NewFactory(), "gateway"), slog.New(slog.DiscardHandler))
	require.NoError(tb, err)
	return a
}

// showing makes the credentials of a request with some headers and a query.
func showing(tb testing.TB, remote netip.Addr, query url.Values, headers ...string) auth.Credentials {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodPost, "/main/evm/1?"+query.Encode(), http.NoBody)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return auth.ReadCredentials(r, remote)
}

// reason is why credentials were refused; ReasonNone if they were not.
func reason(t *testing.T, a *auth.Authenticator, c auth.Credentials) auth.Reason {
	t.Helper()
	p, err := a.Authenticate(t.Context(), c)
	if err == nil {
		require.NotNil(t, p)
		return auth.ReasonNone
	}
	require.Nil(t, p)
	var refused *auth.Error
	require.ErrorAs(t, err, &refused)
	return refused.Reason
}

func secretOf(id, value string) auth.Strategy {
	return auth.Strategy{Kind: auth.KindSecret, Secret: &auth.Secret{ID: id, Value: secret.New(value)}}
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func TestAuthenticate_SecretFromEveryPlace(t *testing.T) {
	t.Parallel()
	digest := sha256.Sum256([]byte("hashed at rest"))
	a := newAuthenticator(t, secretOf("one", "first secret"), secretOf("two", "sha256:"+hex.EncodeToString(digest[:])))

	for name, c := range map[string]struct {
		query   url.Values
		headers []string
		user    string
		reason  auth.Reason
	}{
		"token":               {query: url.Values{"token": {"first secret"}}, user: "one"},
		"secret":              {query: url.Values{"secret": {"first secret"}}, user: "one"},
		"header":              {headers: []string{"X-ERPC-Secret-Token", "first secret"}, user: "one"},
		"password":            {headers: []string{"Authorization", basic("anybody", "first secret")}, user: "one"},
		"password with colon": {headers: []string{"Authorization", basic("u", "a:b")}, reason: auth.ReasonSecret},
		"digest":              {query: url.Values{"secret": {"hashed at rest"}}, user: "two"},
		"the digest itself":   {query: url.Values{"secret": {"sha256:" + hex.EncodeToString(digest[:])}}, reason: auth.ReasonSecret},
		"first place counts":  {query: url.Values{"token": {"wrong"}, "secret": {"first secret"}}, reason: auth.ReasonSecret},
		"nothing":             {reason: auth.ReasonMissing},
		"empty":               {query: url.Values{"secret": {""}}, reason: auth.ReasonMissing},
		"another kind":        {headers: []string{"Authorization", "Bearer a.b.c"}, reason: auth.ReasonMissing},
		"too long":            {query: url.Values{"secret": {string(make([]byte, 5000))}}, reason: auth.ReasonMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shown := showing(t, away, c.query, c.headers...)
			require.Equal(t, c.reason, reason(t, a, shown))
			if c.reason == auth.ReasonNone {
				p, err := a.Authenticate(t.Context(), shown)
				require.NoError(t, err)
				require.Equal(t, c.user, p.User)
				require.Equal(t, auth.KindSecret, p.Strategy)
			}
		})
	}
}

func TestCredentialsAndErrors_NeverShowTheSecret(t *testing.T) {
	t.Parallel()
	a := newAuthenticator(t, secretOf("one", "first secret"))
	c := showing(t, away, url.Values{"secret": {"hidden-secret"}, "jwt": {"hidden-token"}, "message": {"m"}, "signature": {"hidden-signature"}})

	_, err := a.Authenticate(t.Context(), c)

	require.EqualError(t, err, "not authenticated by secret: the secret is not known")
	for _, text := range []string{fmt.Sprintf("%v", c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c), fmt.Sprintf("%+v", err)} {
		require.NotContains(t, text, "hidden")
	}
}

func TestAuthenticate_Network(t *testing.T) {
	t.Parallel()
	network := auth.Strategy{Kind: auth.KindNetwork, Budget: "inside", Network: &auth.Network{
		IPs:            []netip.Addr{netip.MustParseAddr("198.51.100.7")},
		CIDRs:          []netip.Prefix{netip.MustParsePrefix("10.1.2.3/8"), netip.MustParsePrefix("2001:db8::/32")},
		AllowLocalhost: true,
	}}
	byIP := network
	byIP.Network = &auth.Network{CIDRs: network.Network.CIDRs, IPAsUser: true}
	a, b := newAuthenticator(t, network), newAuthenticator(t, byIP)

	for address, user := range map[string]string{
		"198.51.100.7": "198.51.100.7", "::ffff:198.51.100.7": "198.51.100.7", "10.200.0.1": "10.0.0.0/8", "2001:db8::1": "2001:db8::/32",
		"127.0.0.1": "127.0.0.1", "::1": "::1", "198.51.100.8": "", "11.0.0.1": "", "fe80::1%eth0": "",
	} {
		c := showing(t, netip.MustParseAddr(address), nil)
		if user == "" {
			require.Equal(t, auth.ReasonAddress, reason(t, a, c), address)
			continue
		}
		p, err := a.Authenticate(t.Context(), c)
		require.NoError(t, err, address)
		require.Equal(t, auth.Principal{User: user, Strategy: auth.KindNetwork, Budget: "inside"}, *p, address)
	}
	p, err := b.Authenticate(t.Context(), showing(t, netip.MustParseAddr("10.200.0.1"), nil))
	require.NoError(t, err)
	require.Equal(t, "10.200.0.1", p.User)
	require.Equal(t, auth.ReasonAddress, reason(t, a, showing(t, netip.Addr{}, nil)), "an address that is not known")
}

func TestAuthenticate_FirstMatchWins(t *testing.T) {
	t.Parallel()
	local := auth.Strategy{Kind: auth.KindNetwork, Network: &auth.Network{AllowLocalhost: true}}
	other := secretOf("again", "same")
	other.AllowMethods = []string{"eth_*"}
	a := newAuthenticator(t, local, secretOf("first", "same"), other)
	loopback := netip.MustParseAddr("127.0.0.1")

	p, err := a.Authenticate(t.Context(), showing(t, loopback, url.Values{"secret": {"same"}}))
	require.NoError(t, err)
	require.Equal(t, "first", p.User, "an address says nothing where a secret is shown")
	require.Equal(t, auth.ReasonSecret, reason(t, a, showing(t, loopback, url.Values{"secret": {"wrong"}})), "a wrong secret is not forgiven")
	require.Equal(t, auth.ReasonNone, reason(t, a, showing(t, loopback, nil, "Authorization", "Bearer a.b.c")), "nobody asks for a token")
	require.Equal(t, auth.ReasonAddress, reason(t, a, showing(t, away, nil)))
}

func TestAuthenticate_OpenWithoutStrategies(t *testing.T) {
	t.Parallel()
	a := newAuthenticator(t)
	require.True(t, a.IsOpen())
	p, err := a.Authenticate(t.Context(), auth.Credentials{})
	require.NoError(t, err)
	require.True(t, p.Permits("debug_traceCall"))
}

func TestMethodFilter(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		allow, ignore []string
		permits, not  string
	}{
		"nothing said":           {permits: "eth_call"},
		"ignore":                 {ignore: []string{"debug_*", "trace_*"}, permits: "eth_call", not: "trace_block"},
		"allow alone":            {allow: []string{"eth_*"}, permits: "eth_call", not: "net_version"},
		"allow wins over ignore": {allow: []string{"eth_getLogs"}, ignore: []string{"*"}, permits: "eth_getLogs", not: "eth_call"},
		"allow adds to the rest": {allow: []string{"debug_traceCall"}, ignore: []string{"debug_*"}, permits: "eth_call", not: "debug_x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := auth.NewMethodFilter(c.allow, c.ignore)
			require.NoError(t, err)
			require.True(t, f.Permits(c.permits))
			require.False(t, c.not != "" && f.Permits(c.not))
		})
	}
	_, err := auth.NewMethodFilter([]string{"a b"}, nil)
	require.ErrorContains(t, err, "allowMethods: ")
}

func TestConfig_Validate(t *testing.T) {
	t.Parallel()
	jwt := func(j auth.JWT) auth.Strategy { return auth.Strategy{Kind: auth.KindJWT, JWT: &j} }
	for want, s := range map[string]auth.Strategy{
		`strategy 1: value: is needed`:                                           secretOf("a", ""),
		`strategy 1: value: after sha256: there must be 64 hexadecimal digits`:   secretOf("a", "sha256:00"),
		`strategy 1: "jwt" is not set up`:                                        {Kind: auth.KindJWT},
		`strategy 1: "database" is not set up`:                                   {Kind: "database"},
		`strategy 1: allows no address`:                                          {Kind: auth.KindNetwork, Network: &auth.Network{}},
		`strategy 1: domains: at least one is needed, and none may be empty`:     {Kind: auth.KindSIWE, SIWE: &auth.SIWE{}},
		`strategy 1: keys or the URL of a key set are needed`:                    jwt(auth.JWT{}),
		`strategy 1: the URL of the key set must begin with http:// or https://`: jwt(auth.JWT{JWKSURL: secret.New("file:///hidden")}),
		`strategy 1: "none" is no algorithm that can be allowed`:                 jwt(auth.JWT{JWKSURL: secret.New("https://idp"), Algorithms: []string{"none"}}),
		`strategy 1: key "k": is no PEM; a secret needs HS256, HS384 or HS512 among the allowed algorithms`: jwt(auth.JWT{
			Keys: map[string]secret.String{"k": secret.New("hidden hidden hidden hidden hidden")},
		}),
		`strategy 1: key "k": a secret needs 32 bytes at least`: jwt(auth.JWT{
			Keys: map[string]secret.String{"k": secret.New("hidden")}, Algorithms: []string{"HS256"},
		}),
		`strategy 1: key "k": the PEM is no public key`: jwt(auth.JWT{
			Keys: map[string]secret.String{"k": secret.New("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")},
		}),
	} {
		require.EqualError(t, auth.Config{Strategies: []auth.Strategy{s}}.Validate(), want)
		_, err := auth.New(auth.Config{Strategies: []auth.Strategy{s}}, auth.NewMetrics(telemetry.NewFactory(), "gateway"), slog.New(slog.DiscardHandler))
		require.EqualError(t, err, "authentication: "+want)
	}
}

func TestAuthenticate_IsCounted(t *testing.T) {
	t.Parallel()
	factory := telemetry.NewFactory()
	a, err := auth.New(auth.Config{Scope: "main", Strategies: []auth.Strategy{secretOf("one", "right")}}, auth.NewMetrics(factory, "gateway"), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	for _, value := range []string{"right", "right", "wrong", ""} {
		_, err = a.Authenticate(t.Context(), showing(t, away, url.Values{"secret": {value}}))
	}
	var refused *auth.Error
	require.True(t, errors.As(err, &refused) && refused.IsMissing() && !refused.IsTemporary())

	for labels, want := range map[string]float64{"ok": 2, "secret": 1, "missing": 1} {
		require.InDelta(t, want, counted(t, factory, "gateway_auth_requests_total", "outcome", labels), 0, labels)
	}
}

// counted adds up the series of a counter that have a label value.
func counted(t *testing.T, f telemetry.Factory, name, label, value string) float64 {
	t.Helper()
	families, err := f.Gatherer().Gather()
	require.NoError(t, err)
	var sum float64
	for _, family := range families {
		for _, m := range family.GetMetric() {
			for _, l := range m.GetLabel() {
				if family.GetName() == name && l.GetName() == label && l.GetValue() == value {
					sum += m.GetCounter().GetValue()
				}
			}
		}
	}
	return sum
}

// Whatever a request looks like, its credentials are read, bounded, and never
// let anybody in who does not show the secret.
func FuzzReadCredentials(f *testing.F) {
	f.Add("token=a&secret=b", "Basic dTpw", "c", "bQ==", "0x00")
	f.Add("jwt=a.b.c", "Bearer a.b.c", "", "", "")
	f.Add("signature=0x&message=x;y=%zz", "bearer", "", "m", "s")
	f.Fuzz(func(t *testing.T, query, authorization, token, message, signature string) {
		r := &http.Request{URL: &url.URL{RawQuery: query}, Header: http.Header{}}
		r.Header.Set("Authorization", authorization)
		r.Header.Set("X-ERPC-Secret-Token", token)
		r.Header.Set("X-Siwe-Message", message)
		r.Header.Set("X-Siwe-Signature", signature)
		c := auth.ReadCredentials(r, away)
		a := newAuthenticator(t, secretOf("one", "a secret that no fuzzer finds"),
			auth.Strategy{Kind: auth.KindSIWE, SIWE: &auth.SIWE{Domains: []string{"example.org"}}})
		_, err := a.Authenticate(t.Context(), c)
		require.Error(t, err)
	})
}

func BenchmarkAuthenticate(b *testing.B) {
	secrets := newAuthenticator(b, secretOf("one", "first"), secretOf("two", "second"))
	network := newAuthenticator(b, auth.Strategy{Kind: auth.KindNetwork, Network: &auth.Network{CIDRs: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}, IPAsUser: true}})
	for name, c := range map[string]struct {
		a     *auth.Authenticator
		shown auth.Credentials
	}{
		"secret":  {secrets, showing(b, away, url.Values{"secret": {"second"}})},
		"network": {network, showing(b, away, nil)},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.a.Authenticate(b.Context(), c.shown); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("read header", func(b *testing.B) {
		r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/", http.NoBody)
		r.Header.Set("X-ERPC-Secret-Token", "second")
		b.ReportAllocs()
		for b.Loop() {
			auth.ReadCredentials(r, away)
		}
	})
}
