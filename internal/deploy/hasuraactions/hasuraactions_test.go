package hasuraactions

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/secret"
)

// fakeHasura is as much of one as is asked here: metadata that are read and replaced.
type fakeHasura struct {
	mu       sync.Mutex
	version  int64
	metadata json.RawMessage
	writes   int
	between  func(h *fakeHasura) // somebody else, before the next write
}

func start(t *testing.T, metadata string) (*fakeHasura, Config) {
	t.Helper()
	h := &fakeHasura{version: 7, metadata: json.RawMessage(metadata)}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return h, Config{URL: server.URL + "/", AdminSecret: secret.New("s3cret")}
}

func (h *fakeHasura) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var request struct {
		Type    string `json:"type"`
		Version int64  `json:"resource_version"` //nolint:tagliatelle // Hasura's name
		Args    struct {
			Metadata json.RawMessage `json:"metadata"`
		} `json:"args"`
	}
	text, _ := io.ReadAll(r.Body) // an empty one is no request
	err := json.Unmarshal(text, &request)
	switch {
	case err != nil || r.URL.Path != "/v1/metadata":
		w.WriteHeader(http.StatusNotFound)
	case r.Header.Get("X-Hasura-Admin-Secret") != "s3cret":
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"error":"invalid x-hasura-admin-secret","code":"access-denied"}`)
	case request.Type == "export_metadata":
		_ = json.NewEncoder(w).Encode(map[string]any{"resource_version": h.version, "metadata": h.metadata})
	default:
		if h.between != nil {
			h.between(h)
		}
		if request.Version != h.version {
			w.WriteHeader(http.StatusConflict)
			_, _ = io.WriteString(w, `{"error":"metadata resource version referenced (7) did not match current version","code":"conflict"}`)
			return
		}
		h.metadata, h.version, h.writes = request.Args.Metadata, h.version+1, h.writes+1
		_, _ = io.WriteString(w, `{"is_consistent":true,"inconsistent_objects":[]}`)
	}
}

func (h *fakeHasura) read(t *testing.T) object {
	t.Helper()
	var out object
	require.NoError(t, json.Unmarshal(h.metadata, &out))
	return out
}

func TestApply_WritesOnce(t *testing.T) {
	t.Parallel()
	h, config := start(t, `{"version":3,"sources":[]}`)
	for _, wanted := range []bool{true, false, false} {
		written, err := Apply(t.Context(), config)
		require.NoError(t, err)
		require.Equal(t, wanted, written)
	}
	require.Equal(t, 1, h.writes)
	actions, _ := h.read(t)["actions"].([]any)
	send := named(actions, "sendTransaction")
	definition, _ := send["definition"].(object)
	require.Equal(t, "mutation", definition["type"])
	require.Equal(t, "synchronous", definition["kind"])
	require.Equal(t, "{{SLIPWAY_ACTIONS_URL}}/hasura/actions/sendTransaction", definition["handler"])
	require.Equal(t, []any{object{"name": "input", "type": "SendTransactionInput!"}}, definition["arguments"])
	require.Equal(t, "SlipwayTransaction", definition["output_type"])
	query, _ := named(actions, "transaction")["definition"].(object)
	require.Equal(t, "query", query["type"])
	require.NotContains(t, query, "kind")
}

func TestApply_LeavesWhatOthersHave(t *testing.T) {
	t.Parallel()
	h, config := start(t, `{
		"version": 3, "big": 12345678901234567890,
		"sources": [{"name": "default", "kind": "postgres", "tables": [{"table": {"schema": "public", "name": "order"}}]}],
		"actions": [
			{"name": "theirs", "definition": {"handler": "https://theirs.example"}},
			{"name": "createWallet", "definition": {"handler": "old"}, "permissions": [{"role": "backend"}]}
		],
		"custom_types": {"scalars": [{"name": "Theirs"}], "enums": [{"name": "E", "values": [{"value": "A"}]}]}
	}`)
	_, err := Apply(t.Context(), config)
	require.NoError(t, err)
	require.Contains(t, string(h.metadata), "12345678901234567890", "no number loses digits")
	after := h.read(t)
	require.Len(t, after["sources"], 1)
	actions, _ := after["actions"].([]any)
	require.Len(t, actions, 5)
	require.NotNil(t, named(actions, "theirs"))
	wallet := named(actions, "createWallet")
	require.Equal(t, []any{object{"role": "backend"}}, wallet["permissions"])
	require.NotContains(t, wallet["definition"], "old")
	custom, _ := after["custom_types"].(object)
	scalars, _ := custom["scalars"].([]any)
	require.Len(t, scalars, 2)
	require.Len(t, custom["enums"], 1)
}

func TestApply_BeginsAgainWhenOthersWrite(t *testing.T) {
	t.Parallel()
	h, config := start(t, `{"version":3}`)
	h.between = func(h *fakeHasura) {
		h.between, h.version, h.metadata = nil, h.version+1, json.RawMessage(`{"version":3,"theirs":true}`)
	}
	written, err := Apply(t.Context(), config)
	require.NoError(t, err)
	require.True(t, written)
	require.Equal(t, true, h.read(t)["theirs"])
	h.metadata = json.RawMessage(`{"version":3}`)
	h.between = func(h *fakeHasura) { h.version++ }
	_, err = Apply(t.Context(), config)
	require.ErrorIs(t, err, errChanged)
}

func TestApply_SaysWhatHasuraSays(t *testing.T) {
	t.Parallel()
	_, config := start(t, `{}`)
	config.AdminSecret = secret.New("wrong")
	_, err := Apply(t.Context(), config)
	require.EqualError(t, err, "read the metadata: invalid x-hasura-admin-secret (access-denied)")
	config.URL += "elsewhere"
	_, err = Apply(t.Context(), config)
	require.ErrorContains(t, err, "the status is 404")
}

func TestOurs_EveryTypeIsThere(t *testing.T) {
	t.Parallel()
	actions, types, err := ours()
	require.NoError(t, err)
	require.Len(t, actions, 4)
	require.Len(t, types["input_objects"], 2)
	require.Len(t, types["objects"], 2)
	require.Len(t, types["scalars"], 1)
	for _, list := range types {
		for _, custom := range list {
			if fields, has := custom["fields"].([]field); has {
				require.NotEmpty(t, fields, custom["name"])
			}
		}
	}
}

func TestParse_SaysWhatItDoesNotUnderstand(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"enum Colour {", "type A {\n  b\n}", "type Query {\n  a(b): C\n}", "stray: Text"} {
		_, err := parse(text)
		require.ErrorContains(t, err, "actions.graphql:", text)
	}
}
