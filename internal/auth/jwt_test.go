package auth_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/auth"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/telemetry"
)

func rsaKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	return k
}

func ecKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return k
}

func pemOf(t *testing.T, public crypto.PublicKey) secret.String {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	require.NoError(t, err)
	return secret.New(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
}

// token signs claims; a nil value removes a claim.
func token(t *testing.T, method jwt.SigningMethod, id string, signer any, claims jwt.MapClaims) string {
	t.Helper()
	all := jwt.MapClaims{"sub": "alice", "iss": "https://idp", "aud": []string{"rpc", "x"}, "exp": time.Now().Add(time.Hour).Unix()}
	for name, value := range claims {
		all[name] = value
		if value == nil {
			delete(all, name)
		}
	}
	made := jwt.NewWithClaims(method, all)
	if id != "" {
		made.Header["kid"] = id
	}
	text, err := made.SignedString(signer)
	require.NoError(t, err)
	return text
}

func bearing(t *testing.T, token string) auth.Credentials {
	t.Helper()
	return showing(t, away, nil, "Authorization", "Bearer "+token)
}

func tokens(j auth.JWT) auth.Strategy {
	return auth.Strategy{Kind: auth.KindJWT, JWT: &j, Budget: "standard"}
}

func TestAuthenticate_TokenClaims(t *testing.T) {
	t.Parallel()
	signer := ecKey(t)
	a := newAuthenticator(t, tokens(auth.JWT{
		Issuers: []string{"https://idp", "https://other"}, Audiences: []string{"rpc"}, RequiredClaims: []string{"exp"},
		ClaimMatchers: map[string][]string{"role": {"reader", "writer"}},
		Keys:          map[string]secret.String{"k": pemOf(t, signer.Public())},
	}))
	for name, c := range map[string]struct {
		claims jwt.MapClaims
		want   auth.Reason
	}{
		"good":             {jwt.MapClaims{"role": "reader"}, auth.ReasonNone},
		"list":             {jwt.MapClaims{"role": []string{"x", "writer"}}, auth.ReasonNone},
		"groups of SCIM":   {jwt.MapClaims{"role": []any{map[string]any{"value": "writer"}}}, auth.ReasonNone},
		"one audience":     {jwt.MapClaims{"role": "reader", "aud": "rpc"}, auth.ReasonNone},
		"wrong role":       {jwt.MapClaims{"role": "owner"}, auth.ReasonClaim},
		"no role":          {jwt.MapClaims{}, auth.ReasonClaim},
		"role is a number": {jwt.MapClaims{"role": 7}, auth.ReasonClaim},
		"no expiry":        {jwt.MapClaims{"role": "reader", "exp": nil}, auth.ReasonClaim},
		"no subject":       {jwt.MapClaims{"role": "reader", "sub": nil}, auth.ReasonClaim},
		"subject no text":  {jwt.MapClaims{"role": "reader", "sub": 7}, auth.ReasonClaim},
		"issuer":           {jwt.MapClaims{"role": "reader", "iss": "https://evil"}, auth.ReasonIssuer},
		"no issuer":        {jwt.MapClaims{"role": "reader", "iss": nil}, auth.ReasonIssuer},
		"audience":         {jwt.MapClaims{"role": "reader", "aud": "web"}, auth.ReasonAudience},
		"expired":          {jwt.MapClaims{"role": "reader", "exp": time.Now().Add(-time.Minute).Unix()}, auth.ReasonExpired},
		"clocks differ":    {jwt.MapClaims{"role": "reader", "exp": time.Now().Add(-2 * time.Second).Unix()}, auth.ReasonNone},
		"not yet":          {jwt.MapClaims{"role": "reader", "nbf": time.Now().Add(time.Minute).Unix()}, auth.ReasonNotYetValid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shown := bearing(t, token(t, jwt.SigningMethodES256, "k", signer, c.claims))
			require.Equal(t, c.want, reason(t, a, shown))
			require.Equal(t, c.want, reason(t, a, shown), "nor the second time")
		})
	}
}

func TestAuthenticate_TokenNamesItsBudget(t *testing.T) {
	t.Parallel()
	signer := ecKey(t)
	a := newAuthenticator(t, tokens(auth.JWT{Keys: map[string]secret.String{"k": pemOf(t, signer.Public())}}))
	for budget, want := range map[any]string{"gold": "gold", "not defined": "standard", 7: "standard", nil: "standard"} {
		p, err := a.Authenticate(t.Context(), bearing(t, token(t, jwt.SigningMethodES256, "k", signer, jwt.MapClaims{"rlm": budget})))
		require.NoError(t, err)
		require.Equal(t, want, p.Budget)
		require.Equal(t, "alice", p.User)
	}
}

// What a token says of its own algorithm never decides alone.
func TestAuthenticate_TokenAlgorithms(t *testing.T) {
	t.Parallel()
	signer, other := rsaKey(t), rsaKey(t)
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	public := pemOf(t, signer.Public())
	shared := "a secret of thirty-two bytes or more"
	keys := map[string]secret.String{"rsa": public, "ed": pemOf(t, edwards.Public())}
	byDefault := newAuthenticator(t, tokens(auth.JWT{Keys: keys}))
	withSecret := newAuthenticator(t, tokens(auth.JWT{Keys: map[string]secret.String{"rsa": public, "hs": secret.New(shared)}, Algorithms: []string{"HS256", "RS256"}}))
	none := token(t, jwt.SigningMethodNone, "rsa", jwt.UnsafeAllowNoneSignatureType, nil)

	for name, c := range map[string]struct {
		a     *auth.Authenticator
		token string
		want  auth.Reason
	}{
		"RSA":                          {byDefault, token(t, jwt.SigningMethodRS256, "rsa", signer, nil), auth.ReasonNone},
		"RSA without a key id":         {byDefault, token(t, jwt.SigningMethodPS384, "", signer, nil), auth.ReasonNone},
		"Ed25519":                      {byDefault, token(t, jwt.SigningMethodEdDSA, "ed", edwards, nil), auth.ReasonNone},
		"another key":                  {byDefault, token(t, jwt.SigningMethodRS256, "rsa", other, nil), auth.ReasonSignature},
		"none":                         {byDefault, none, auth.ReasonAlgorithm},
		"none, cut":                    {withSecret, none, auth.ReasonAlgorithm},
		"public key as a secret":       {byDefault, token(t, jwt.SigningMethodHS256, "rsa", []byte(public.Reveal()), nil), auth.ReasonAlgorithm},
		"public key as one of secrets": {withSecret, token(t, jwt.SigningMethodHS256, "rsa", []byte(public.Reveal()), nil), auth.ReasonSignature},
		"secret":                       {withSecret, token(t, jwt.SigningMethodHS256, "hs", []byte(shared), nil), auth.ReasonNone},
		"algorithm that is not listed": {withSecret, token(t, jwt.SigningMethodRS512, "rsa", signer, nil), auth.ReasonAlgorithm},
		"family without a key":         {byDefault, token(t, jwt.SigningMethodES256, "x", ecKey(t), nil), auth.ReasonUnknownKey},
		"not a token":                  {byDefault, "hello", auth.ReasonMalformed},
		"three dots":                   {byDefault, "a.b.c", auth.ReasonMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, reason(t, c.a, bearing(t, c.token)))
		})
	}
}

func TestAuthenticate_TokenWithUnknownExtension(t *testing.T) {
	t.Parallel()
	signer := ecKey(t)
	a := newAuthenticator(t, tokens(auth.JWT{Keys: map[string]secret.String{"k": pemOf(t, signer.Public())}}))
	made := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"sub": "alice"})
	made.Header["crit"] = []string{"b64"}
	text, err := made.SignedString(signer)
	require.NoError(t, err)
	require.Equal(t, auth.ReasonMalformed, reason(t, a, bearing(t, text)))
}

// issuer publishes keys over HTTP.
type issuer struct {
	*httptest.Server
	reads  atomic.Int32
	mu     sync.Mutex
	status int
	keys   []map[string]string
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{status: http.StatusOK}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		i.reads.Add(1)
		i.mu.Lock()
		defer i.mu.Unlock()
		w.WriteHeader(i.status)
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": i.keys})
	}))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) publish(status int, keys ...map[string]string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.status, i.keys = status, keys
}

func webKey(t *testing.T, id string, public crypto.PublicKey) map[string]string {
	t.Helper()
	encode := base64.RawURLEncoding.EncodeToString
	switch k := public.(type) {
	case *rsa.PublicKey:
		return map[string]string{"kty": "RSA", "kid": id, "use": "sig", "alg": "RS256", "n": encode(k.N.Bytes()), "e": encode(big.NewInt(int64(k.E)).Bytes())}
	case *ecdsa.PublicKey:
		point, err := k.Bytes()
		require.NoError(t, err)
		return map[string]string{"kty": "EC", "kid": id, "crv": "P-256", "x": encode(point[1:33]), "y": encode(point[33:])}
	case ed25519.PublicKey:
		return map[string]string{"kty": "OKP", "kid": id, "crv": "Ed25519", "x": encode(k)}
	default:
		require.Fail(t, "unknown key")
		return nil
	}
}

// run runs an authenticator with the keys at a URL until the test ends.
func run(t *testing.T, url string, refresh time.Duration) *auth.Authenticator {
	t.Helper()
	a, err := auth.New(auth.Config{Scope: "main", Strategies: []auth.Strategy{tokens(auth.JWT{JWKSURL: secret.New(url), JWKSRefresh: refresh})}},
		auth.NewMetrics(telemetry.NewFactory(), "gateway"), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- a.Run(ctx, func() { close(ready) }) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	select {
	case <-ready:
	case <-time.After(10 * time.Second):
		t.Fatal("it does not become ready")
	}
	return a
}

func TestAuthenticate_PublishedKeys(t *testing.T) {
	t.Parallel()
	first, second := rsaKey(t), ecKey(t)
	_, third, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	idp := newIssuer(t)
	idp.publish(http.StatusOK, webKey(t, "1", first.Public()), webKey(t, "2", second.Public()), webKey(t, "3", third.Public()),
		map[string]string{"kty": "oct", "kid": "4", "k": "c2VjcmV0"}, map[string]string{"kty": "RSA", "kid": "5", "n": "!", "e": "AQAB"},
		map[string]string{"kty": "RSA", "kid": "6", "use": "enc", "n": webKey(t, "", first.Public())["n"], "e": "AQAB"})
	a := run(t, idp.URL, time.Hour)

	require.Equal(t, auth.ReasonNone, reason(t, a, bearing(t, token(t, jwt.SigningMethodRS256, "1", first, nil))))
	require.Equal(t, auth.ReasonNone, reason(t, a, bearing(t, token(t, jwt.SigningMethodES256, "2", second, nil))))
	require.Equal(t, auth.ReasonNone, reason(t, a, bearing(t, token(t, jwt.SigningMethodEdDSA, "3", third, nil))))
	require.Equal(t, auth.ReasonNone, reason(t, a, bearing(t, token(t, jwt.SigningMethodES256, "", second, nil))), "without a key id every key is tried")
	require.Equal(t, auth.ReasonSignature, reason(t, a, bearing(t, token(t, jwt.SigningMethodES256, "2", ecKey(t), nil))))
	require.Equal(t, auth.ReasonUnknownKey, reason(t, a, bearing(t, token(t, jwt.SigningMethodRS512, "1", first, nil))), "the key is for RS256 only")
	require.Equal(t, auth.ReasonAlgorithm, reason(t, a, bearing(t, token(t, jwt.SigningMethodHS256, "4", []byte("secret"), nil))), "secrets are not published")
	require.Equal(t, auth.ReasonUnknownKey, reason(t, a, bearing(t, token(t, jwt.SigningMethodRS256, "6", first, nil))), "a key for encryption")
}

func TestAuthenticate_KeysRotate(t *testing.T) {
	t.Parallel()
	before, after := ecKey(t), ecKey(t)
	idp := newIssuer(t)
	idp.publish(http.StatusOK, webKey(t, "before", before.Public()))
	a := run(t, idp.URL, time.Hour)
	old := bearing(t, token(t, jwt.SigningMethodES256, "before", before, nil))
	require.Equal(t, auth.ReasonNone, reason(t, a, old))
	require.Equal(t, int32(1), idp.reads.Load())

	idp.publish(http.StatusOK, webKey(t, "after", after.Public()))
	require.Equal(t, auth.ReasonNone, reason(t, a, bearing(t, token(t, jwt.SigningMethodES256, "after", after, nil))), "an unknown key is looked for once")
	require.Equal(t, int32(2), idp.reads.Load())
	require.Equal(t, auth.ReasonUnknownKey, reason(t, a, old), "and what is no longer published no longer counts")
	for range 20 {
		require.Equal(t, auth.ReasonUnknownKey, reason(t, a, bearing(t, token(t, jwt.SigningMethodES256, "invented", after, nil))))
	}
	require.Equal(t, int32(2), idp.reads.Load(), "inventing key ids does not reach the issuer")
}

func TestAuthenticate_KeysAreAway(t *testing.T) {
	t.Parallel()
	signer := ecKey(t)
	idp := newIssuer(t)
	idp.publish(http.StatusServiceUnavailable)
	a := run(t, idp.URL, 20*time.Millisecond) // it becomes ready all the same
	shown := bearing(t, token(t, jwt.SigningMethodES256, "k", signer, nil))
	require.Equal(t, auth.ReasonKeysUnavailable, reason(t, a, shown))

	idp.publish(http.StatusOK, webKey(t, "k", signer.Public()))
	require.Eventually(t, func() bool { return reason(t, a, shown) == auth.ReasonNone }, 10*time.Second, 10*time.Millisecond)
	idp.publish(http.StatusOK) // an empty set
	read := idp.reads.Load()
	require.Eventually(t, func() bool { return idp.reads.Load() > read+2 }, 10*time.Second, 10*time.Millisecond)
	require.Equal(t, auth.ReasonNone, reason(t, a, shown), "keys stay in use while there are no others")
}

func TestAuthenticate_KeysFromManyAtOnce(t *testing.T) {
	t.Parallel()
	signer := ecKey(t)
	idp := newIssuer(t)
	idp.publish(http.StatusOK, webKey(t, "other", ecKey(t).Public()))
	a := run(t, idp.URL, time.Hour)
	idp.publish(http.StatusOK, webKey(t, "k", signer.Public()))
	shown := bearing(t, token(t, jwt.SigningMethodES256, "k", signer, nil))
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			if _, err := a.Authenticate(t.Context(), shown); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.Equal(t, int32(2), idp.reads.Load())
}

func BenchmarkAuthenticate_KnownToken(b *testing.B) {
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(b, err)
	der, err := x509.MarshalPKIXPublicKey(signer.Public())
	require.NoError(b, err)
	keys := map[string]secret.String{"k": secret.New(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))}
	a := newAuthenticator(b, tokens(auth.JWT{Keys: keys}))
	text, err := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"sub": "alice"}).SignedString(signer)
	require.NoError(b, err)
	shown := showing(b, away, nil, "Authorization", "Bearer "+text)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Authenticate(b.Context(), shown); err != nil {
			b.Fatal(err)
		}
	}
}

func TestAuthenticate_KeepsClaims(t *testing.T) {
	t.Parallel()
	signer := ecKey(t)
	a, err := auth.New(auth.Config{Scope: "main", Strategies: []auth.Strategy{tokens(auth.JWT{
		Keys: map[string]secret.String{"k": pemOf(t, signer.Public())}, KeepClaims: []string{"org", "realm_access.roles", "https://x.y/roles", "nothing", "sub.x"},
	})}}, auth.NewMetrics(telemetry.NewFactory(), "gateway"), slog.New(slog.DiscardHandler))
	require.NoError(t, err)

	p, err := a.Authenticate(t.Context(), bearing(t, token(t, jwt.SigningMethodES256, "k", signer, jwt.MapClaims{
		"org": "acme", "realm_access": map[string]any{"roles": []string{"a", "b"}}, "https://x.y/roles": []string{"c"}, "other": "no",
	})))

	require.NoError(t, err)
	require.Equal(t, []string{"acme"}, p.Claim("org"))
	require.Equal(t, []string{"a", "b"}, p.Claim("realm_access.roles"))
	require.Equal(t, []string{"c"}, p.Claim("https://x.y/roles"))
	require.Empty(t, p.Claim("nothing"))
	require.Empty(t, p.Claim("sub.x"))
	require.Empty(t, p.Claim("other"), "it was not asked for")
}
