package deploy

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestRedactor_LeavesNoFormOfASecret(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringMatching(`[a-zA-Z0-9/+&"' ]{8,40}`).Draw(t, "secret")
		if len(strings.TrimSpace(secret)) < leastSecret {
			return
		}
		r := newRedactor([]string{secret})
		for _, form := range []string{
			secret, "x" + secret + "y", base64.StdEncoding.EncodeToString([]byte(secret)), url.QueryEscape(secret), url.PathEscape(secret),
			`{"a":"` + secret + `"}`, "postgres://u:" + url.QueryEscape(secret) + "@db/x", "line\n" + secret + "\nline",
		} {
			out := string(r.text([]byte(form)))
			if strings.Contains(out, secret) || strings.Contains(out, url.QueryEscape(secret)) {
				t.Fatalf("%q is left in %q", secret, out)
			}
		}
	})
}

func TestRedactor_KnowsSecretsByTheirLook(t *testing.T) {
	t.Parallel()
	r := newRedactor(nil)
	for text, hidden := range map[string]string{
		"dial postgres://u:hunter2@db:5432/x":                                   "hunter2",
		"Authorization: Bearer abcdefghijkl.mno":                                "abcdefghijkl",
		`{"password":"hunter2","x":1}`:                                          "hunter2",
		"PGPASSWORD=hunter2 psql":                                               "hunter2",
		"mnemonic: hunter2":                                                     "hunter2",
		"https://rpc.example/?apikey=hunter2&x=1":                               "hunter2",
		"-----BEGIN EC PRIVATE KEY-----\nhunter2\n-----END EC PRIVATE KEY-----": "hunter2",
		"eyJhbGciOiJub25l.eyJzdWIiOiJ4eHh4.hunter2":                             "hunter2",
	} {
		require.NotContains(t, string(r.text([]byte(text))), hidden, text)
	}
	const harmless = "block 17 of chain 1337: 4 peers, https://gateway.example:4000/path"
	require.Equal(t, harmless, string(r.text([]byte(harmless))))
}

func TestRedactor_LooksIntoJSON(t *testing.T) {
	t.Parallel()
	r := newRedactor([]string{`{"keys":{"validators":["0xdeadbeefcafe"]},"auths":{"r":{"password":"hunter22"}}}`})
	require.NotContains(t, string(r.text([]byte("key deadbeefcafe and hunter22"))), "deadbeef")
	require.NotContains(t, string(r.text([]byte("key deadbeefcafe and hunter22"))), "hunter22")
}

func TestRedactValues(t *testing.T) {
	t.Parallel()
	out := redactValues(map[string]any{
		"global": map[string]any{"datastores": map[string]any{"default": map[string]any{"postgresql": map[string]any{"host": "db", "password": "hunter2", "existingSecret": "login"}}}},
		"signer": map[string]any{"mnemonic": map[string]any{"value": "word word"}, "extraEnv": []any{
			map[string]any{"name": "API_TOKEN", "value": "hunter2"}, map[string]any{"name": "LOG_LEVEL", "value": "debug"},
		}},
	})
	require.Equal(t, map[string]any{
		"global": map[string]any{"datastores": map[string]any{"default": map[string]any{"postgresql": map[string]any{"host": "db", "password": redacted, "existingSecret": "login"}}}},
		"signer": map[string]any{"mnemonic": map[string]any{"value": redacted}, "extraEnv": []any{
			map[string]any{"name": "API_TOKEN", "value": redacted}, map[string]any{"name": "LOG_LEVEL", "value": "debug"},
		}},
	}, out)
}
