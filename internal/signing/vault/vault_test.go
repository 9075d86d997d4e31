package vault

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/signing"
	"github.com/slipwayhq/slipway/internal/signing/signingtest"
	"github.com/slipwayhq/slipway/internal/signing/vault/vaulttest"
)

var program vaulttest.Builder //nolint:gochecknoglobals // one build for all tests

// rawKey is the key of tests, and nobody's.
func rawKey() []byte { return bytes.Repeat([]byte{9}, 32) }

func address(t *testing.T) common.Address {
	t.Helper()
	key, err := crypto.ToECDSA(rawKey())
	require.NoError(t, err)
	return crypto.PubkeyToAddress(key.PublicKey)
}

const signPolicy = `
path "ethereum/accounts" { capabilities = ["list"] }
path "ethereum/accounts/+" { capabilities = ["read"] }
path "ethereum/accounts/+/sign" { capabilities = ["create", "update"] }
path "quorum/keys/+" { capabilities = ["read"] }
path "quorum/keys/+/sign" { capabilities = ["create", "update"] }
path "secret/data/signer" { capabilities = ["read"] }
`

// ready is a Vault with both plug-ins, a key in each, and a policy for it.
func ready(t *testing.T) *vaulttest.Server {
	t.Helper()
	s := program.Start(t)
	s.Mount(t, "ethereum", "ethsign")
	s.Mount(t, "quorum", "digest")
	s.Do(t, "POST", "ethereum/accounts", map[string]any{"privateKey": hex.EncodeToString(rawKey())})
	s.Do(t, "POST", "quorum/keys/import", map[string]any{"id": "treasury", "private_key": base64.URLEncoding.EncodeToString(rawKey())})
	s.Policy(t, "signer", signPolicy)
	return s
}

func tokenConfig(s *vaulttest.Server, token string) Config {
	return Config{Address: s.Address, Auth: AuthConfig{Method: MethodToken, Token: secret.New(token)}}
}

func client(t *testing.T, cfg Config) *Client {
	t.Helper()
	c, err := New("test", cfg, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return c
}

// digestSigners opens the key "treasury".
func digestSigners(t *testing.T, c *Client) signing.Signer {
	t.Helper()
	signers, err := c.Digest(t.Context(), DigestConfig{Keys: []string{"treasury"}})
	require.NoError(t, err)
	require.Len(t, signers, 1)
	return signers[0]
}

func conformance(t *testing.T, whole bool, open func(t *testing.T, c *Client) signing.Signer) {
	t.Helper()
	signingtest.Run(t, func(t *testing.T) signingtest.Key {
		t.Helper()
		s := ready(t)
		cfg := tokenConfig(s, s.NewToken(t, "signer", "1h"))
		return signingtest.Key{
			Address: address(t), WholeTransactions: whole,
			Open: func(t *testing.T) signing.Signer { t.Helper(); return open(t, client(t, cfg)) },
			Interrupt: func(t *testing.T) func() {
				t.Helper()
				s.Seal(t)
				return func() { s.Unseal(t) }
			},
			Forbid: func(t *testing.T) {
				t.Helper()
				s.Policy(t, "signer", `path "nothing" { capabilities = ["read"] }`)
			},
		}
	})
}

func TestConformance_Digest(t *testing.T) {
	t.Parallel()
	conformance(t, false, digestSigners)
}

func TestConformance_Ethsign(t *testing.T) {
	t.Parallel()
	conformance(t, true, func(t *testing.T, c *Client) signing.Signer {
		t.Helper()
		signers, err := c.Ethsign(t.Context(), EthsignConfig{Accounts: []string{address(t).Hex()}})
		require.NoError(t, err)
		return signers[0]
	})
}

func TestEthsign_AllAccounts(t *testing.T) {
	t.Parallel()
	s := ready(t)
	c := client(t, tokenConfig(s, s.NewToken(t, "signer", "1h")))

	signers, err := c.Ethsign(t.Context(), EthsignConfig{})
	require.NoError(t, err)
	require.Len(t, signers, 1)
	require.Equal(t, address(t), signers[0].Address())
	require.EqualValues(t, "vault-ethsign:ethereum/accounts/"+strings.ToLower(address(t).Hex()), signers[0].Ref())

	_, err = c.Ethsign(t.Context(), EthsignConfig{Accounts: []string{"0x00000000000000000000000000000000000000aa"}})
	var permanent *signing.PermanentError
	require.ErrorAs(t, err, &permanent)
	_, err = c.Digest(t.Context(), DigestConfig{Keys: []string{"other"}})
	require.ErrorAs(t, err, &permanent)
	require.ErrorContains(t, err, "no such path or key")
}

func TestReadKV(t *testing.T) {
	t.Parallel()
	s := ready(t)
	s.Mount(t, "secret", "kv")
	s.Do(t, "POST", "secret/data/signer", map[string]any{"data": map[string]any{"mnemonic": "hunter two", "extra": "salt"}})
	c := client(t, tokenConfig(s, s.NewToken(t, "signer", "1h")))

	got, err := c.ReadKV(t.Context(), KVConfig{Path: "signer", PassphraseField: "extra"})
	require.NoError(t, err)
	require.EqualValues(t, 1, got.Version)
	require.Equal(t, "hunter two", got.Mnemonic.Reveal())
	require.Equal(t, "salt", got.Passphrase.Reveal())

	s.Do(t, "POST", "secret/data/signer", map[string]any{"data": map[string]any{"key": "0xabc", "number": 7}})
	got, err = c.ReadKV(t.Context(), KVConfig{Path: "/signer/", Mount: "/secret/", KeyField: "key"})
	require.NoError(t, err)
	require.EqualValues(t, 2, got.Version)
	require.Equal(t, "0xabc", got.Key.Reveal())

	var permanent *signing.PermanentError
	for _, missing := range []string{"mnemonic", "number"} {
		_, err = c.ReadKV(t.Context(), KVConfig{Path: "signer", MnemonicField: missing})
		require.ErrorAs(t, err, &permanent)
		require.ErrorContains(t, err, "no text in field")
	}
	_, err = c.ReadKV(t.Context(), KVConfig{Path: "elsewhere"})
	require.ErrorContains(t, err, "policy")
	s.Do(t, "DELETE", "secret/data/signer", nil)
	_, err = c.ReadKV(t.Context(), KVConfig{Path: "signer"})
	require.ErrorAs(t, err, &permanent)
}

// dataOf is a text in an answer of Vault.
func dataOf(answer map[string]any, name string) string {
	data, _ := answer["data"].(map[string]any)
	text, _ := data[name].(string)
	return text
}

func requireSigns(t *testing.T, s signing.Signer) {
	t.Helper()
	_, err := s.Sign(t.Context(), [32]byte{1})
	require.NoError(t, err)
}

func TestLogin_AppRole(t *testing.T) {
	t.Parallel()
	s := ready(t)
	s.Do(t, "POST", "sys/auth/approle", map[string]any{"type": "approle"})
	s.Do(t, "POST", "auth/approle/role/signer", map[string]any{"token_policies": "signer", "token_ttl": "1h"})
	role := dataOf(s.Do(t, "GET", "auth/approle/role/signer/role-id", nil), "role_id")
	secretID := dataOf(s.Do(t, "POST", "auth/approle/role/signer/secret-id", nil), "secret_id")
	file := filepath.Join(t.TempDir(), "secret-id")
	require.NoError(t, os.WriteFile(file, []byte(secretID+"\n"), 0o600))
	c := client(t, Config{Address: s.Address, Auth: AuthConfig{Method: MethodAppRole, RoleID: role, SecretIDFile: file}})
	key := digestSigners(t, c)

	// A token that has ended is noticed by its 403, and another one is got.
	token := c.api.Token()
	s.Do(t, "POST", "auth/token/revoke", map[string]any{"token": token})
	requireSigns(t, key)
	require.NotEqual(t, token, c.api.Token())

	// A login that is refused passes, once somebody has repaired it.
	require.NoError(t, os.WriteFile(file, []byte("hunter2"), 0o600))
	s.Do(t, "POST", "auth/token/revoke", map[string]any{"token": c.api.Token()})
	_, err := key.Sign(t.Context(), [32]byte{1})
	var unavailable *signing.UnavailableError
	require.ErrorAs(t, err, &unavailable)
	require.ErrorContains(t, err, "the login (approle) was refused with status")
	require.NotContains(t, err.Error(), "hunter2")
	require.NoError(t, os.WriteFile(file, []byte(secretID), 0o600))
	require.Eventually(t, func() bool { _, err = key.Sign(t.Context(), [32]byte{1}); return err == nil }, 10*time.Second, 20*time.Millisecond)

	require.NoError(t, os.Remove(file))
	s.Do(t, "POST", "auth/token/revoke", map[string]any{"token": c.api.Token()})
	_, err = key.Sign(t.Context(), [32]byte{1})
	require.ErrorContains(t, err, "cannot read its file")
}

// What the policy forbids is no reason to log in again and again.
func TestLogin_ForbiddenIsNotAskedTwice(t *testing.T) {
	t.Parallel()
	s := ready(t)
	c := client(t, tokenConfig(s, s.NewToken(t, "signer", "1h")))
	key := digestSigners(t, c)
	s.Policy(t, "signer", `path "nothing" { capabilities = ["read"] }`)

	for range 3 {
		_, err := key.Sign(t.Context(), [32]byte{1})
		var permanent *signing.PermanentError
		require.ErrorAs(t, err, &permanent)
	}
	require.Equal(t, 1, c.session.number)
}

// Vault's words do not say which token it forbade.
func TestLogin_ANewTokenSinceTheCallIsNoPolicy(t *testing.T) {
	t.Parallel()
	s := ready(t)
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte(s.NewToken(t, "signer", "1h")), 0o600))
	c := client(t, Config{Address: s.Address, Auth: AuthConfig{Method: MethodTokenFile, TokenFile: file}})
	second, calls := s.NewToken(t, "signer", "1h"), 0
	require.NoError(t, c.do(t.Context(), "vault:key", func(context.Context) error {
		if calls++; calls > 1 {
			return nil
		}
		require.NoError(t, os.WriteFile(file, []byte(second), 0o600))
		require.NoError(t, c.followTokenFile()) // as Run does
		return &api.ResponseError{StatusCode: http.StatusForbidden}
	}))
	require.Equal(t, 2, calls)
}

func TestLogin_TokenFile(t *testing.T) {
	t.Parallel()
	s := ready(t)
	file := filepath.Join(t.TempDir(), "token")
	first, second := s.NewToken(t, "signer", "1h"), s.NewToken(t, "signer", "1h")
	require.NoError(t, os.WriteFile(file, []byte(first+"\n"), 0o600))
	c := client(t, Config{Address: s.Address, Auth: AuthConfig{Method: MethodTokenFile, TokenFile: file}})
	key := digestSigners(t, c)

	s.Do(t, "POST", "auth/token/revoke", map[string]any{"token": first})
	_, err := key.Sign(t.Context(), [32]byte{1})
	var unavailable *signing.UnavailableError
	require.ErrorAs(t, err, &unavailable, "a new token may come")

	require.NoError(t, os.WriteFile(file, []byte(second), 0o600))
	require.Eventually(t, func() bool { _, err = key.Sign(t.Context(), [32]byte{1}); return err == nil }, 10*time.Second, 20*time.Millisecond)

	third := s.NewToken(t, "signer", "1h")
	require.NoError(t, os.WriteFile(file, []byte(third), 0o600))
	require.NoError(t, c.followTokenFile())
	require.Equal(t, third, c.api.Token(), "Run takes it over without a failure")
}

func TestLogin_EndedStaticToken(t *testing.T) {
	t.Parallel()
	s := ready(t)
	token := s.NewToken(t, "signer", "1h")
	key := digestSigners(t, client(t, tokenConfig(s, token)))
	s.Do(t, "POST", "auth/token/revoke", map[string]any{"token": token})

	_, err := key.Sign(t.Context(), [32]byte{1})

	var unavailable *signing.UnavailableError
	require.ErrorAs(t, err, &unavailable)
	require.ErrorContains(t, err, "the login (token) was refused with status 403")
	require.NotContains(t, err.Error(), token)
}

func TestNew_Validates(t *testing.T) {
	t.Parallel()
	cases := map[string]Config{
		"address":                    {Address: "vault:8200"},
		"address: must be":           {Address: "https://user:hunter2@vault"},
		"auth.method":                {Address: "https://vault", Auth: AuthConfig{Method: "ldap"}},
		"auth.token: is missing":     {Auth: AuthConfig{Method: MethodToken}},
		"auth.tokenFile: is missing": {Auth: AuthConfig{Method: MethodTokenFile}},
		"auth.roleId: is missing":    {Auth: AuthConfig{Method: MethodAppRole}},
		"exclude each other":         {Auth: AuthConfig{Method: MethodAppRole, SecretID: secret.New("a"), SecretIDFile: "b"}},
		"auth.role: is missing":      {Auth: AuthConfig{Method: MethodKubernetes}},
		"auth.jwtFile: is missing":   {Auth: AuthConfig{Method: MethodJWT}},
		"go together":                {ClientCertFile: "x"},
		"timeout: -1ns is negative":  {Timeout: -1},
	}
	for want, cfg := range cases {
		_, err := New("x", cfg, slog.New(slog.DiscardHandler))
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "hunter2")
	}
	require.Error(t, EthsignConfig{Accounts: []string{"0x12"}}.Validate())
	require.Error(t, DigestConfig{}.Validate())
	require.Error(t, DigestConfig{Keys: []string{"../x"}}.Validate())
	require.Error(t, KVConfig{}.Validate())
	require.Error(t, KVConfig{Path: "x", KeyField: "a", MnemonicField: "b"}.Validate())
}
