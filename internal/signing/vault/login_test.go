package vault

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/signing"
)

// issuer signs JSON Web Tokens (ES256).
type issuer struct{ key *ecdsa.PrivateKey }

func newIssuer(t *testing.T) issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return issuer{key}
}

func (i issuer) publicPEM(t *testing.T) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&i.key.PublicKey)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// file writes a token with these claims.
func (i issuer) file(t *testing.T, claims map[string]any) string {
	t.Helper()
	part := func(v any) string {
		text, err := json.Marshal(v)
		require.NoError(t, err)
		return base64.RawURLEncoding.EncodeToString(text)
	}
	claims["exp"], claims["iat"], claims["nbf"] = time.Now().Add(time.Hour).Unix(), time.Now().Unix(), time.Now().Add(-time.Minute).Unix()
	text := part(map[string]string{"alg": "ES256", "typ": "JWT"}) + "." + part(claims)
	hash := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, i.key, hash[:])
	require.NoError(t, err)
	sig := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	file := filepath.Join(t.TempDir(), "jwt")
	require.NoError(t, os.WriteFile(file, []byte(text+"."+base64.RawURLEncoding.EncodeToString(sig)+"\n"), 0o600))
	return file
}

func TestLogin_JWT(t *testing.T) {
	t.Parallel()
	s, i := ready(t), newIssuer(t)
	s.Do(t, "POST", "sys/auth/ci", map[string]any{"type": "jwt"})
	s.Do(t, "POST", "auth/ci/config", map[string]any{"jwt_validation_pubkeys": []string{i.publicPEM(t)}})
	s.Do(t, "POST", "auth/ci/role/signer", map[string]any{
		"role_type": "jwt", "user_claim": "sub", "bound_audiences": []string{"vault"}, "token_policies": "signer", "token_ttl": "1h",
	})
	auth := AuthConfig{Method: MethodJWT, Mount: "ci", Role: "signer", JWTFile: i.file(t, map[string]any{"sub": "signer", "aud": "vault"})}

	requireSigns(t, digestSigners(t, client(t, Config{Address: s.Address, Auth: auth})))

	auth.JWTFile = i.file(t, map[string]any{"sub": "signer", "aud": "another"})
	_, err := client(t, Config{Address: s.Address, Auth: auth}).Digest(t.Context(), DigestConfig{Keys: []string{"treasury"}})
	require.ErrorContains(t, err, "the login (jwt) was refused")
}

// The API server is a stand-in that reviews tokens as Kubernetes does; Vault's
// plug-in for Kubernetes is the real one.
func TestLogin_Kubernetes(t *testing.T) {
	t.Parallel()
	s, i := ready(t), newIssuer(t)
	file := i.file(t, map[string]any{
		"iss": "https://kubernetes.default.svc", "sub": "system:serviceaccount:default:signer", "aud": []string{"vault"},
		"kubernetes.io": map[string]any{"namespace": "default", "serviceaccount": map[string]any{"name": "signer", "uid": "1-2-3"}},
	})
	cluster := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review struct {
			Spec struct{ Token string }
		}
		want, err := readTrimmed(file)
		isGood := json.NewDecoder(r.Body).Decode(&review) == nil && err == nil && review.Spec.Token == want &&
			r.URL.Path == "/apis/authentication.k8s.io/v1/tokenreviews"
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(map[string]any{
			"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
			"status": map[string]any{"authenticated": isGood, "audiences": []string{"vault"}, "user": map[string]any{
				"username": "system:serviceaccount:default:signer", "uid": "1-2-3", "groups": []string{"system:serviceaccounts"},
			}},
		})
	}))
	t.Cleanup(cluster.Close)
	reviewer, err := readTrimmed(file) // who may review is not checked here
	require.NoError(t, err)
	s.Do(t, "POST", "sys/auth/kubernetes", map[string]any{"type": "kubernetes"})
	s.Do(t, "POST", "auth/kubernetes/config", map[string]any{"kubernetes_host": cluster.URL, "token_reviewer_jwt": reviewer, "disable_local_ca_jwt": true, "kubernetes_ca_cert": string(newAuthority(t).pem())})
	s.Do(t, "POST", "auth/kubernetes/role/signer", map[string]any{
		"bound_service_account_names": "signer", "bound_service_account_namespaces": "default", "token_policies": "signer", "token_ttl": "1h",
	})

	requireSigns(t, digestSigners(t, client(t, Config{
		Address: s.Address, Auth: AuthConfig{Method: MethodKubernetes, Role: "signer", JWTFile: file},
	})))
}

// start runs a client until the test ends.
func start(t *testing.T, c *Client) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() { c.Run(ctx) })
	t.Cleanup(func() { cancel(); group.Wait() })
}

// A token of two seconds outlives many of them, and one that Vault does not
// prolong for ever (max_ttl) is changed for another before it ends.
func TestRun_KeepsTheTokenAlive(t *testing.T) {
	t.Parallel()
	s := ready(t)
	s.Do(t, "POST", "sys/auth/approle", map[string]any{"type": "approle"})
	s.Do(t, "POST", "auth/approle/role/long", map[string]any{"token_policies": "signer", "token_ttl": "2s", "token_max_ttl": "1h", "bind_secret_id": false, "token_bound_cidrs": "127.0.0.1/32"})
	s.Do(t, "POST", "auth/approle/role/short", map[string]any{"token_policies": "signer", "token_ttl": "2s", "token_max_ttl": "3s", "bind_secret_id": false, "token_bound_cidrs": "127.0.0.1/32"})
	open := func(role string) (*Client, signing.Signer) {
		id := dataOf(s.Do(t, "GET", "auth/approle/role/"+role+"/role-id", nil), "role_id")
		c := client(t, Config{Address: s.Address, Auth: AuthConfig{Method: MethodAppRole, RoleID: id}})
		start(t, c)
		return c, digestSigners(t, c)
	}
	long, longKey := open("long")
	short, shortKey := open("short")
	number := func(c *Client) int {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.session.number
	}

	began := time.Now()
	require.Eventually(t, func() bool {
		requireSigns(t, longKey)
		requireSigns(t, shortKey)
		return time.Since(began) > 7*time.Second
	}, 30*time.Second, 100*time.Millisecond)
	require.Equal(t, 1, number(long), "renewed, not logged in anew")
	require.GreaterOrEqual(t, number(short), 2)
}

func TestNextRenewal(t *testing.T) {
	t.Parallel()
	c := &Client{session: session{ttl: time.Hour}}
	seen := map[time.Duration]bool{}
	for range 100 {
		d := c.nextRenewal()
		require.InDelta(t, 40*time.Minute, d, float64(4*time.Minute)+1, "two thirds, give or take a tenth")
		seen[d] = true
	}
	require.Greater(t, len(seen), 50)
	c.session.ttl = 0
	require.Equal(t, never, c.nextRenewal(), "a token without end")
}
