package signerapp

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/access"
	"github.com/slipwayhq/slipway/internal/lifecycle/lifecycletest"
	"github.com/slipwayhq/slipway/internal/pgtest"
)

// The response to a challenge is used up by the first request. The same request of the
// same caller under the same idempotency key gets the same answer, also when many come at
// once; nothing else does.
func TestApp_AProvedRequestIsRepeated(t *testing.T) {
	t.Parallel()
	cfg := config(t, chain(t).HTTPURL(), pgtest.DSN(t))
	cfg.Dev, cfg.Access.APIKeys = false, true
	app, err := New(cfg, Deps{Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	lifecycletest.Start(t, app.Run)
	admin, err := OpenAdmin(t.Context(), cfg)
	require.NoError(t, err)
	defer admin.Close()
	url := "http://" + app.Addr()
	portal := newKey(t, admin, "acme", "portal", access.RoleSubmit, access.RoleWallets)
	other := newKey(t, admin, "acme", "other", access.RoleSubmit)
	const wallet = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
	rpc := func(method, params string) json.RawMessage {
		_, text := ask(t, portal, "POST", url, `{"jsonrpc":"2.0","id":1,"method":"`+method+`","params":[`+params+`]}`)
		var got struct{ Result json.RawMessage }
		require.NoError(t, json.Unmarshal([]byte(text), &got))
		require.NotNil(t, got.Result, text)
		return got.Result
	}
	require.Contains(t, string(rpc("user_createWallet", `"vault",{"name":"Ann"}`)), wallet)
	rpc("user_createWalletVerification", `"`+wallet+`",{"name":"pin","verificationType":"PINCODE","pincode":"123456"}`)
	prove := func() map[string]string {
		var c []struct {
			ID        string
			Challenge struct{ Salt, Secret string }
		}
		require.NoError(t, json.Unmarshal(rpc("user_createWalletVerificationChallenges", `"`+wallet+`"`), &c))
		h := func(s string) string { sum := sha256.Sum256([]byte(s)); return hex.EncodeToString(sum[:]) }
		return map[string]string{"X-Auth-Challenge-Id": c[0].ID, "X-Auth-Challenge-Response": h(h(c[0].Challenge.Salt+"123456") + "_" + c[0].Challenge.Secret)}
	}
	post := func(path, key, idempotency, body string, proof map[string]string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+path, strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("X-Api-Key", key)
		req.Header.Set("Idempotency-Key", idempotency)
		for name, value := range proof {
			req.Header.Set(name, value)
		}
		resp, err := (&http.Client{Timeout: 30 * time.Second}).Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(answer)
	}
	send := func(value string) string {
		return `{"jsonrpc":"2.0","id":1,"method":"eth_sendTransaction","params":[{"from":"` + wallet + `","to":"` + bob + `","data":"` + value + `"}]}`
	}

	proof := prove()
	answers := make([]string, 8)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() { _, answers[i] = post("/", portal, "a", send("0x01"), proof) })
	}
	all.Wait()
	for _, answer := range answers {
		require.Contains(t, answer, `"result":"0x`)
		require.Equal(t, answers[0], answer)
	}
	const used = "the challenge response is wrong"
	for name, c := range map[string][]string{
		"something else": {portal, "a", "0x02"}, "under another key": {portal, "b", "0x01"}, "without a key": {portal, "", "0x01"}, "another caller": {other, "a", "0x01"},
	} {
		_, answer := post("/", c[0], c[1], send(c[2]), proof)
		require.Contains(t, answer, used, name)
	}

	// REST, a list of two: one response for both, and again for both.
	proof = prove()
	one := `{"from":"` + wallet + `","to":"` + bob + `","data":"0x03"}`
	list := `[` + one + `,` + one + `]`
	status, answer := post("/v1/transactions", portal, "list", list, proof)
	require.Equal(t, 202, status, answer)
	status, answer = post("/v1/transactions", portal, "list", list, proof)
	require.Equal(t, 200, status, answer)
	require.Equal(t, 2, strings.Count(answer, `"replayed":true`), answer)
	status, answer = post("/v1/transactions", portal, "list", `[`+one+`]`, proof)
	require.Equal(t, 403, status, answer)

	_, answer = ask(t, portal, "GET", url+"/v1/transactions?from="+wallet, "")
	var got struct{ Items []struct{ ID string } }
	require.NoError(t, json.Unmarshal([]byte(answer), &got))
	require.Len(t, got.Items, 3, fmt.Sprint(got))
}
