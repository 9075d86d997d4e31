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

	"github.com/slipwayhq/slipway/internal/access"
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

// A key that is made at runtime sends on every replica, belongs to its tenant, and
// can be turned off: what is queued then waits, and says why.
func TestApp_MakesKeys(t *testing.T) {
	t.Parallel()
	gateway, dsn := chain(t).HTTPURL(), pgtest.DSN(t)
	var urls []string
	cfg := config(t, gateway, dsn)
	cfg.Dev, cfg.Access.APIKeys = false, true
	for range 2 {
		app, err := New(cfg, Deps{Log: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		lifecycletest.Start(t, app.Run)
		urls = append(urls, "http://"+app.Addr())
	}
	admin, err := OpenAdmin(t.Context(), cfg)
	require.NoError(t, err)
	defer admin.Close()
	operator := newKey(t, admin, "acme", "operator", access.Roles()...)
	theirs := newKey(t, admin, "other", "operator", access.Roles()...)
	portal := newKey(t, admin, "acme", "portal", access.RoleSubmit, access.RoleWallets)

	resp, text := ask(t, portal, "POST", urls[0]+"/v1/keys", `{"name":"hot"}`)
	require.Equal(t, 403, resp.StatusCode, text)
	resp, text = ask(t, operator, "POST", urls[0]+"/v1/keys", `{"name":""}`)
	require.Equal(t, 400, resp.StatusCode, text)
	resp, text = ask(t, operator, "POST", urls[0]+"/v1/keys", `{"name":"hot"}`)
	require.Equal(t, 201, resp.StatusCode, text)
	const made = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC" // index 2: 0 and 1 are in the configuration
	want := `{"address":"` + made + `","ref":"local:m/44'/60'/0'/0/2","kind":"local","name":"hot","disabled":false}`
	require.JSONEq(t, want, text)
	_, text = ask(t, operator, "GET", urls[1]+"/v1/keys", "")
	require.Contains(t, text, want)
	for _, key := range []string{theirs, operator} {
		_, text = ask(t, key, "GET", urls[1]+"/v1/wallets", "")
		require.JSONEq(t, `{"items":[]}`, text, "it is nobody's wallet")
	}
	_, text = ask(t, theirs, "GET", urls[1]+"/v1/keys", "")
	require.NotContains(t, text, made)

	send := func(key, idem string) (reply, string) {
		return ask(t, key, "POST", urls[1]+"/v1/transactions", `{"from":"`+made+`","to":"`+bob+`","idempotencyKey":"`+idem+`"}`)
	}
	confirmed := func(idem string) {
		require.Eventually(t, func() bool {
			_, text = ask(t, operator, "GET", urls[0]+"/v1/transactions?idempotencyKey="+idem, "")
			return strings.Contains(text, `"status":"confirmed"`)
		}, 30*time.Second, 20*time.Millisecond, "%s", &text)
	}
	resp, text = send(theirs, "x")
	require.Equal(t, 422, resp.StatusCode, text)
	resp, text = send(portal, "a")
	require.Equal(t, 202, resp.StatusCode, text)
	confirmed("a")

	sender := urls[0] + "/v1/senders/" + made
	resp, text = ask(t, operator, "POST", sender+"/pause", "")
	require.Equal(t, 200, resp.StatusCode, text)
	resp, text = send(portal, "b")
	require.Equal(t, 202, resp.StatusCode, text)
	resp, text = ask(t, operator, "POST", urls[1]+"/v1/keys/"+made+"/disable", "")
	require.Equal(t, 204, resp.StatusCode, text)
	require.Eventually(t, func() bool {
		_, a := ask(t, operator, "GET", urls[0]+"/v1/keys", "")
		return strings.Contains(a, `{"address":"`+made+`","disabled":true}`) && strings.Count(a, made) == 1
	}, 20*time.Second, 20*time.Millisecond)
	_, text = ask(t, operator, "POST", sender+"/resume", "")
	require.Contains(t, text, made)
	require.Eventually(t, func() bool {
		_, text = ask(t, operator, "GET", sender, "")
		return strings.Contains(text, `"state":"paused"`) && strings.Contains(text, "the key of this address is disabled")
	}, 20*time.Second, 20*time.Millisecond, "%s", &text)
	_, text = ask(t, operator, "GET", urls[0]+"/v1/transactions?idempotencyKey=b", "")
	require.Contains(t, text, `"status":"queued"`)

	resp, text = ask(t, operator, "POST", urls[0]+"/v1/keys/"+made+"/enable", "")
	require.Equal(t, 204, resp.StatusCode, text)
	require.Eventually(t, func() bool {
		_, a := ask(t, operator, "GET", urls[1]+"/v1/keys", "")
		return strings.Contains(a, want)
	}, 20*time.Second, 20*time.Millisecond)
	_, text = ask(t, operator, "POST", sender+"/resume", "")
	require.Contains(t, text, made)
	confirmed("b")
}
