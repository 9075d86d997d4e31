package signerapp

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/pgtest"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/webhooks"
)

// start runs a signer that the test can stop.
func start(t *testing.T, cfg Config) (url string, stop func()) {
	t.Helper()
	app, err := New(cfg, Deps{Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- app.Run(ctx, func() { close(ready) }) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-done)
	})
	t.Cleanup(stop)
	select {
	case <-ready:
	case err := <-done:
		t.Fatal(err)
	}
	return "http://" + app.Addr(), stop
}

// follow reads a stream of events until it ends: ids and types of those that
// were told, the last id, and why it ended.
func follow(ctx context.Context, url, lastID string, told chan<- string) (last, reason string) {
	last = lastID
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/v1/events", nil)
	if err != nil {
		return last, err.Error()
	}
	req.Header.Set("Last-Event-ID", lastID)
	resp, err := (&http.Client{}).Do(req)
	if err != nil {
		return last, err.Error()
	}
	defer resp.Body.Close()
	event := ""
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "id":
			last = value
		case "event":
			event = value
		case "data":
			if event == "end" {
				return last, value
			}
			told <- last + " " + event
		}
	}
	return last, resp.Status
}

func TestApp_TellsWhatBecomesOfTransactions(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var got []string
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if err := webhooks.Verify("whsec_a-secret-of-the-receiver", r.Header, body, time.Now(), time.Minute); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		got = append(got, r.Header.Get(webhooks.HeaderEvent))
	}))
	t.Cleanup(receiver.Close)
	cfg := config(t, chain(t).HTTPURL(), pgtest.DSN(t))
	cfg.Webhooks.AllowNetworks, cfg.Webhooks.AllowHTTP = []string{"127.0.0.1/32"}, true
	cfg.DatabasePooler, cfg.MigrateURL = true, cfg.DatabaseURL // statements as for a pooler
	url, stop := start(t, cfg)

	status, answer := call(t, "POST", url+"/v1/webhooks", `{"url":"`+receiver.URL+`","secret":"whsec_a-secret-of-the-receiver"}`)
	require.Equal(t, 201, status, answer)
	require.NotContains(t, answer, "a-secret-of")

	told := make(chan string, 100)
	type end struct{ last, reason string }
	ended := make(chan end, 1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	go func() {
		last, reason := follow(ctx, url, "0", told)
		ended <- end{last, reason}
	}()
	send := func(key string) {
		status, answer := call(t, "POST", url+"/v1/transactions", fmt.Sprintf(`{"from":"%s","to":"%s","value":"7","idempotencyKey":"%s"}`, alice, bob, key))
		require.Equal(t, 202, status, answer)
	}
	until := func(event string) string {
		for {
			select {
			case one := <-told:
				if strings.HasSuffix(one, " "+event) {
					return one
				}
			case <-ctx.Done():
				t.Fatal("no " + event)
			}
		}
	}
	send("one")
	until("queued")
	until("signed")
	until("confirmed")
	require.Eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(got) >= 4 && got[0] == "queued" && got[len(got)-1] == "confirmed"
	}, 20*time.Second, 5*time.Millisecond)

	// The stop sends listeners away at once, with a hint.
	before := time.Now()
	stop()
	require.Less(t, time.Since(before), 10*time.Second, "nobody waited for the stream to end by itself")
	one := <-ended
	require.JSONEq(t, `{"reason":"stopping","lastEventId":"`+one.last+`"}`, one.reason)

	// Another process continues where this one was.
	url, _ = start(t, cfg)
	go func() {
		last, reason := follow(ctx, url, one.last, told)
		ended <- end{last, reason}
	}()
	send("two")
	require.Contains(t, <-told, " queued", "nothing of the first transaction is repeated")
	until("confirmed")
	cancel()
}

func TestApp_HasurasActions(t *testing.T) {
	t.Parallel()
	cfg := config(t, chain(t).HTTPURL(), pgtest.DSN(t))
	url, _ := start(t, cfg)
	act := func(name, input string) map[string]any {
		_, answer := call(t, "POST", url+"/hasura/actions/"+name, `{"action":{"name":"`+name+`"},"input":`+input+`,"session_variables":{},"request_query":""}`)
		var out map[string]any
		require.NoError(t, json.Unmarshal([]byte(answer), &out), answer)
		return out
	}

	sent := act("sendTransaction", fmt.Sprintf(`{"input":{"from":"%s","to":"%s","value":"7","idempotencyKey":"a"}}`, alice, bob))
	require.Equal(t, false, sent["replayed"], sent)
	require.Eventually(t, func() bool { return act("transaction", fmt.Sprintf(`{"id":%q}`, sent["id"]))["status"] == "confirmed" }, 20*time.Second, 20*time.Millisecond)
	late := act("cancelTransaction", fmt.Sprintf(`{"id":%q}`, sent["id"]))
	require.Equal(t, map[string]any{"code": "wrong_status"}, late["extensions"])
	wallet := act("createWallet", `{"input":{"name":"jane"}}`)
	require.Equal(t, "jane", wallet["name"], wallet)
	require.NotEqual(t, alice, wallet["address"])
	bad := act("createWallet", `{"input":{"name":"jane\u0000"}}`)
	require.Equal(t, map[string]any{"code": "invalid_request"}, bad["extensions"], bad)
}

func TestLoadWebhookKey(t *testing.T) {
	t.Parallel()
	cfg := config(t, "http://127.0.0.1:1", "postgres://x")
	ofPhrase, err := loadWebhookKey(cfg)
	require.NoError(t, err)
	require.Len(t, ofPhrase, 32)

	hex := strings.Repeat("ab", 32)
	cfg.Wallets.EncryptionKey = secret.New(hex)
	ofKey, err := loadWebhookKey(cfg)
	require.NoError(t, err)
	require.Len(t, ofKey, 32)
	require.NotEqual(t, ofPhrase, ofKey)
	require.NotEqual(t, strings.Repeat("\xab", 32), string(ofKey), "wallets and webhooks do not share a key")

	file := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(file, []byte(hex+"\n"), 0o600))
	cfg.Wallets.EncryptionKey, cfg.Wallets.EncryptionKeyFile = secret.String{}, file
	ofFile, err := loadWebhookKey(cfg)
	require.NoError(t, err)
	require.Equal(t, ofKey, ofFile)

	none, err := loadWebhookKey(Config{})
	require.NoError(t, err)
	require.Nil(t, none)
}
