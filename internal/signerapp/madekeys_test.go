package signerapp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/access"
	"github.com/slipwayhq/slipway/internal/lifecycle/lifecycletest"
	"github.com/slipwayhq/slipway/internal/pgtest"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/signing/awskms"
	"github.com/slipwayhq/slipway/internal/signing/awskms/kmstest"
	"github.com/slipwayhq/slipway/internal/signing/keys"
	"github.com/slipwayhq/slipway/internal/signing/vault"
	"github.com/slipwayhq/slipway/internal/signing/vault/vaulttest"
)

// logged is a log that is read while it is written.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// A key that is made in AWS KMS (the fake) over HTTP: refused, with the answer lost on the
// way, and repeated at another replica.
func TestApp_MakesKeysInKMS(t *testing.T) {
	t.Parallel()
	f := kmstest.New(t)
	cfg := config(t, chain(t).HTTPURL(), pgtest.DSN(t))
	cfg.Keys.Sources = []keys.Config{{
		ID: "cold", Kind: keys.AWSKMS, Create: keys.CreateConfig{Enabled: true},
		AWSKMS: awskms.Config{Region: kmstest.Region, Endpoint: f.URL, Timeout: 5 * time.Second},
	}}
	var urls []string
	for range 2 {
		app, err := New(cfg, Deps{Log: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		lifecycletest.Start(t, app.Run)
		urls = append(urls, "http://"+app.Addr())
	}
	const body = `{"name":"n","source":"cold","idempotencyKey":"k"}`
	f.Set(func() { f.Refuse = map[string]string{"CreateKey": "AccessDeniedException"} })
	status, text := call(t, "POST", urls[0]+"/v1/keys", body)
	require.Equal(t, 422, status, text)
	require.Contains(t, text, "signer_refused")
	f.Set(func() { f.Refuse, f.Lose = nil, map[string]int{"CreateKey": 1} })
	status, text = call(t, "POST", urls[0]+"/v1/keys", body)
	require.Equal(t, 503, status, text)
	require.Contains(t, text, "signer_unavailable")
	status, text = call(t, "POST", urls[1]+"/v1/keys", body)
	require.Equal(t, 201, status, text)
	require.Len(t, f.Made, 1)
	address := crypto.PubkeyToAddress(f.Made[0].Key.PublicKey).Hex()
	require.Contains(t, text, address)
	require.Contains(t, text, `"ref":"awskms:`+f.Made[0].ARN+`","kind":"awskms","source":"cold","name":"n"`)

	_, text = call(t, "POST", urls[0], `{"jsonrpc":"2.0","id":1,"method":"eth_accounts"}`)
	require.Contains(t, text, address)
	status, text = call(t, "POST", urls[0]+"/v1/transactions", `{"from":"`+address+`","to":"`+bob+`","gas":"21000","gasPrice":"0","idempotencyKey":"tx"}`)
	require.Equal(t, 202, status, text)
	require.Eventually(t, func() bool {
		_, text = call(t, "GET", urls[1]+"/v1/transactions?idempotencyKey=tx", "")
		return strings.Contains(text, `"status":"confirmed"`)
	}, 60*time.Second, 50*time.Millisecond, "%s", &text)
}

// Keys that are made in Vault over HTTP: two replicas, a repeated request, another
// tenant, a sealed Vault, a restart.
func TestApp_MakesKeysInVault(t *testing.T) {
	t.Parallel()
	server := new(vaulttest.Builder).Start(t)
	for path, engine := range map[string]string{"secret": "kv", "ethereum": "ethsign"} {
		server.Mount(t, path, engine)
	}
	cfg := config(t, chain(t).HTTPURL(), pgtest.DSN(t))
	cfg.Dev, cfg.Access.APIKeys = false, true
	way := vault.Config{Address: server.Address, Auth: vault.AuthConfig{Method: vault.MethodToken, Token: secret.New(server.Token)}}
	cfg.Keys.Sources = []keys.Config{
		{ID: "kv", Kind: keys.VaultKV, Vault: way, Create: keys.CreateConfig{Enabled: true}},
		{ID: "whole", Kind: keys.VaultEthsign, Vault: way, Create: keys.CreateConfig{Enabled: true}},
		{ID: "closed", Kind: keys.VaultEthsign, Vault: way},
	}
	var log logged
	program := func() *App {
		app, err := New(cfg, Deps{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
		require.NoError(t, err)
		return app
	}
	start := func(ctx context.Context, app *App) (url string, ended chan error) {
		ended, ready := make(chan error, 1), make(chan struct{})
		go func() { ended <- app.Run(ctx, func() { close(ready) }) }()
		select {
		case <-ready:
		case err := <-ended:
			require.NoError(t, err)
		}
		return "http://" + app.Addr(), ended
	}
	first, stop := context.WithCancel(t.Context())
	defer stop()
	one, ended := start(first, program())
	app := program()
	lifecycletest.Start(t, app.Run)
	two := "http://" + app.Addr()
	admin, err := OpenAdmin(t.Context(), cfg)
	require.NoError(t, err)
	defer admin.Close()
	operator := newKey(t, admin, "acme", "operator", access.Roles()...)
	theirs := newKey(t, admin, "other", "operator", access.Roles()...)
	portal := newKey(t, admin, "acme", "portal", access.RoleSubmit, access.RoleWallets)

	refused := func(status int, key, body, want string) {
		t.Helper()
		resp, text := ask(t, key, "POST", one+"/v1/keys", body)
		require.Equal(t, status, resp.StatusCode, text)
		require.Contains(t, text, want)
	}
	refused(403, portal, `{"name":"n","source":"kv"}`, "operate")
	refused(400, operator, `{"name":"n","source":"nowhere"}`, "/source")
	refused(400, operator, `{"name":"n","source":""}`, "/source")
	for _, body := range []string{`{"name":"","source":"kv"}`, `{"name":"","idempotencyKey":"mnemonic-key"}`} {
		refused(400, operator, body, "/name")
	}
	refused(501, operator, `{"name":"n","source":"closed"}`, "create.enabled")

	made := map[string]string{}
	for _, source := range []string{"kv", "whole", ""} {
		body := `{"name":"hot","source":"` + source + `","idempotencyKey":"` + source + `-key"}`
		if source == "" {
			body = `{"name":"hot","idempotencyKey":"mnemonic-key"}`
		}
		resp, text := ask(t, operator, "POST", one+"/v1/keys", body)
		require.Equal(t, 201, resp.StatusCode, text)
		var key struct{ Address, Source, Name string }
		require.NoError(t, json.Unmarshal([]byte(text), &key))
		require.Equal(t, source, key.Source)
		made[source] = key.Address

		resp, again := ask(t, operator, "POST", two+"/v1/keys", body)
		require.Equal(t, 200, resp.StatusCode, again)
		require.JSONEq(t, text, again)
		_, list := ask(t, operator, "GET", two+"/v1/keys", "")
		require.Equal(t, 1, strings.Count(list, key.Address), list)
		_, list = ask(t, theirs, "GET", two+"/v1/keys", "")
		require.NotContains(t, list, key.Address)
	}
	refused(409, operator, `{"name":"hot","source":"whole","idempotencyKey":"kv-key"}`, "idempotency_mismatch")
	_, text := ask(t, operator, "GET", one+"/v1/audit", "")
	require.Contains(t, text, "key.made")
	require.Contains(t, text, made["kv"])

	server.Seal(t)
	refused(503, operator, `{"name":"later","source":"kv","idempotencyKey":"later"}`, "signer_unavailable")
	server.Unseal(t)
	server.Do(t, "GET", "sys/mounts", nil) // it is back
	resp, text := ask(t, operator, "POST", two+"/v1/keys", `{"name":"later","source":"kv","idempotencyKey":"later"}`)
	require.Equal(t, 201, resp.StatusCode, text)

	stop()
	require.NoError(t, <-ended)
	again, stopAgain := context.WithCancel(t.Context())
	url, endedAgain := start(again, program())
	defer func() { stopAgain(); require.NoError(t, <-endedAgain) }()
	send := func(key, url, from, idem string) (int, string) {
		resp, text := ask(t, key, "POST", url+"/v1/transactions", `{"from":"`+from+`","to":"`+bob+`","gasPrice":"0","gas":"21000","idempotencyKey":"`+idem+`"}`)
		return resp.StatusCode, text
	}
	status, text := send(theirs, url, made["kv"], "x")
	require.Equal(t, 422, status, text)
	for source, from := range made {
		at := map[bool]string{true: url, false: two}[source == "kv"]
		status, text = send(operator, at, from, "tx-"+source)
		require.Equal(t, 202, status, text)
	}
	for source := range made {
		require.Eventually(t, func() bool {
			_, text = ask(t, operator, "GET", url+"/v1/transactions?idempotencyKey=tx-"+source, "")
			return strings.Contains(text, `"status":"confirmed"`)
		}, 60*time.Second, 50*time.Millisecond, "%s: %s", source, &text)
	}

	resp, text = ask(t, operator, "POST", url+"/v1/keys/"+made["kv"]+"/disable", "")
	require.Equal(t, 204, resp.StatusCode, text)
	_, text = ask(t, operator, "GET", url+"/v1/keys", "")
	require.Contains(t, text, `{"address":"`+made["kv"]+`","disabled":true}`)
	require.Equal(t, 1, strings.Count(text, made["kv"]))
	resp, text = ask(t, operator, "POST", url+"/v1/sign/message", `{"from":"`+made["kv"]+`","message":"m"}`)
	require.Equal(t, 422, resp.StatusCode, text)

	answer := server.Do(t, "GET", "secret/metadata/slipway?list=true", nil)
	data, _ := answer["data"].(map[string]any)
	require.Len(t, data["keys"], 2)
	listed, _ := data["keys"].([]any)
	for _, id := range listed {
		outer, _ := server.Do(t, "GET", fmt.Sprint("secret/data/slipway/", id), nil)["data"].(map[string]any)
		held, _ := outer["data"].(map[string]any)
		require.Len(t, held["key"], 64)
		require.NotContains(t, log.String(), held["key"])
	}
}
