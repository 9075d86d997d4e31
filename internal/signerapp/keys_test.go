package signerapp

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/lifecycle/lifecycletest"
	"github.com/slipwayhq/slipway/internal/pgtest"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/signing/keys"
	"github.com/slipwayhq/slipway/internal/signing/vault"
	"github.com/slipwayhq/slipway/internal/signing/vault/vaulttest"
)

// The signer starts while Vault is sealed; the key is known to the queue once it
// is not, and what was accepted before Vault is sealed again is sent afterwards.
func TestApp_AKeyInAVaultThatComesAndGoes(t *testing.T) {
	t.Parallel()
	server := new(vaulttest.Builder).Start(t)
	server.Mount(t, "quorum", "digest")
	key, err := hex.DecodeString("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80") // of alice
	require.NoError(t, err)
	server.Do(t, "POST", "quorum/keys/import", map[string]any{"id": "alice", "private_key": base64.URLEncoding.EncodeToString(key)})
	server.Seal(t)
	cfg := config(t, chain(t).HTTPURL(), pgtest.DSN(t))
	cfg.Keys.Mnemonic = secret.String{}
	cfg.Keys.Sources = []keys.Config{{
		ID: "vaulted", Kind: keys.VaultDigest, Digest: vault.DigestConfig{Keys: []string{"alice"}},
		Vault: vault.Config{Address: server.Address, Auth: vault.AuthConfig{Method: vault.MethodToken, Token: secret.New(server.Token)}},
	}}
	app, err := New(cfg, Deps{Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	lifecycletest.Start(t, app.Run)
	send := func(name string) (status int) {
		status, _ = call(t, "POST", "http://"+app.Addr()+"/v1/transactions", fmt.Sprintf(`{"from":"%s","to":"%s","value":"7","idempotencyKey":"%s"}`, alice, bob, name))
		return status
	}
	confirmed := func(name string) func() bool {
		return func() bool {
			_, answer := call(t, "GET", "http://"+app.Addr()+"/v1/transactions?idempotencyKey="+name, "")
			return strings.Contains(answer, `"status":"confirmed"`)
		}
	}
	require.GreaterOrEqual(t, send("a"), 400)

	server.Unseal(t)
	require.Eventually(t, func() bool { return send("a") == 202 }, 30*time.Second, 50*time.Millisecond)
	require.Eventually(t, confirmed("a"), 30*time.Second, 50*time.Millisecond)

	server.Seal(t)
	require.Equal(t, 202, send("b"))
	require.Never(t, confirmed("b"), 500*time.Millisecond, 50*time.Millisecond)
	server.Unseal(t)
	require.Eventually(t, confirmed("b"), 30*time.Second, 50*time.Millisecond)
}
