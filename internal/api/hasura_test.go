package api

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/queue"
	"github.com/slipwayhq/slipway/internal/secret"
)

const actionSecret = "an action secret"

func act(t *testing.T, url, name, key, body string) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/hasura/actions/"+name, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set(hasuraHeader, key)
	}
	resp, err := (&http.Client{Timeout: 30 * time.Second}).Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	var out map[string]any
	require.NoError(t, json.Unmarshal(text, &out), "%s", text)
	return resp.StatusCode, out
}

func payload(name, input string) string {
	return `{"action":{"name":"` + name + `"},"input":` + input + `,"session_variables":{"x-hasura-role":"admin"},"request_query":""}`
}

func serveHasura(t *testing.T) *fixture {
	t.Helper()
	return serveWith(t, func(_ *Deps, c *Config) { c.HasuraSecret = secret.New(actionSecret) })
}

// The payload is one as graphql-engine v2.48 documents and sends it.
func TestHasura_ARecordedPayload(t *testing.T) {
	t.Parallel()
	url := serveHasura(t).url
	recorded, err := os.ReadFile("testdata/hasura/sendTransaction.json")
	require.NoError(t, err)

	status, first := act(t, url, "sendTransaction", actionSecret, string(recorded))
	require.Equal(t, 200, status, first)
	require.Equal(t, "queued", first["status"])
	require.Equal(t, false, first["replayed"])
	require.Equal(t, "order-4711", first["idempotencyKey"])
	require.Equal(t, "1000000000000000000", first["value"])
	require.Nil(t, first["hash"])

	status, again := act(t, url, "sendTransaction", actionSecret, string(recorded))
	require.Equal(t, 200, status)
	require.Equal(t, true, again["replayed"])
	require.Equal(t, first["id"], again["id"])

	id := first["id"].(string) //nolint:forcetypeassert // a text, or the test fails
	_, got := act(t, url, "transaction", actionSecret, payload("transaction", `{"id":"`+id+`"}`))
	require.Equal(t, id, got["id"])
	_, got = act(t, url, "cancelTransaction", actionSecret, payload("cancelTransaction", `{"id":"`+id+`"}`))
	require.Equal(t, "cancelled", got["status"])
}

// v1 sends no query, and a version to come may send more.
func TestHasura_PayloadsOfOtherVersions(t *testing.T) {
	t.Parallel()
	url := serveHasura(t).url
	input := `{"input":{"idempotencyKey":"k","from":"` + alice + `","to":"` + bob + `"}}`
	for _, text := range []string{
		`{"action":{"name":"sendTransaction"},"input":` + input + `,"session_variables":{"x-hasura-user-id":"1","x-hasura-role":"user"}}`,
		`{"action":{"name":"sendTransaction","more":1},"input":` + input + `,"request_query":"mutation","more":{}}`,
	} {
		status, got := act(t, url, "sendTransaction", actionSecret, text)
		require.Equal(t, 200, status, got)
	}
}

func TestHasura_CallsAndCreations(t *testing.T) {
	t.Parallel()
	f := serveHasura(t)
	call := `{"input":{"idempotencyKey":"k","from":"` + alice + `","to":"` + bob + `","abi":["function mint(uint256 amount)"],"method":"mint","arguments":[1],"data":null,"value":null}}`
	status, got := act(t, f.url, "sendTransaction", actionSecret, payload("sendTransaction", call))
	require.Equal(t, 200, status, got)
	require.Equal(t, "a0712d680000000000000000000000000000000000000000000000000000000000000001", hex.EncodeToString(f.queue.list[0].Request.Data))
	status, got = act(t, f.url, "sendTransaction", actionSecret, payload("sendTransaction", strings.Replace(call, `"method":"mint"`, `"method":"burn"`, 1)))
	require.Equal(t, 400, status)
	require.Contains(t, got["message"], "input.method")

	deploy := `{"input":{"idempotencyKey":"d","from":"` + alice + `","bytecode":"0x60"}}`
	status, got = act(t, f.url, "sendTransaction", actionSecret, payload("sendTransaction", deploy))
	require.Equal(t, 200, status, got)
	require.Nil(t, got["to"])
}

func TestHasura_Errors(t *testing.T) {
	t.Parallel()
	url := serveHasura(t).url
	send := func(fields string) string { return payload("sendTransaction", `{"input":{`+fields+`}}`) }
	good := `"from":"` + alice + `","to":"` + bob + `"`
	_, late := act(t, url, "sendTransaction", actionSecret, send(`"idempotencyKey":"late",`+good))
	act(t, url, "cancelTransaction", actionSecret, payload("cancelTransaction", fmt.Sprintf(`{"id":%q}`, late["id"])))
	cases := map[string]struct {
		action, key, body string
		status            int
		code, message     string
	}{
		"no secret":       {"transaction", "", payload("transaction", `{"id":"x"}`), 401, "unauthorized", "secret"},
		"wrong secret":    {"transaction", "another secret!!", payload("transaction", `{"id":"x"}`), 401, "unauthorized", "secret"},
		"unknown action":  {"explode", actionSecret, payload("explode", `{}`), 404, "no_such_resource", ""},
		"another action":  {"transaction", actionSecret, payload("sendTransaction", `{}`), 400, "invalid_request", "not the one of the path"},
		"no JSON":         {"transaction", actionSecret, `{`, 400, "invalid_request", "no payload"},
		"no input":        {"transaction", actionSecret, `{"action":{"name":"transaction"}}`, 400, "invalid_request", "no input"},
		"unknown field":   {"sendTransaction", actionSecret, send(`"nonce":1`), 400, "invalid_request", "nonce"},
		"no key":          {"sendTransaction", actionSecret, send(good), 400, "invalid_request", "input.idempotencyKey: is missing"},
		"key reused":      {"sendTransaction", actionSecret, send(`"idempotencyKey":"late","data":"0x01",` + good), 409, "idempotency_mismatch", ""},
		"unknown sender":  {"sendTransaction", actionSecret, send(`"idempotencyKey":"k","from":"` + bob + `","to":"` + bob + `"`), 422, "unknown_sender", "0x7099"},
		"bad address":     {"sendTransaction", actionSecret, send(`"idempotencyKey":"k","from":"x"`), 400, "invalid_request", "input.from: must be"},
		"long reference":  {"sendTransaction", actionSecret, send(`"idempotencyKey":"k",` + good + `,"reference":"` + strings.Repeat("x", 300) + `"`), 400, "invalid_request", "reference"},
		"data and method": {"sendTransaction", actionSecret, send(`"idempotencyKey":"k",` + good + `,"data":"0x","method":"m"`), 400, "invalid_request", "input.data: excludes"},
		"no wallets":      {"createWallet", actionSecret, payload("createWallet", `{"input":{"name":"x"}}`), 400, "not_available", "wallets"},
		"not found":       {"transaction", actionSecret, payload("transaction", `{"id":"`+uuid.NewString()+`"}`), 404, "not_found", ""},
		"no id":           {"transaction", actionSecret, payload("transaction", `{"id":"x"}`), 404, "not_found", ""},
		"too late":        {"cancelTransaction", actionSecret, payload("cancelTransaction", fmt.Sprintf(`{"id":%q}`, late["id"])), 409, "wrong_status", "it is cancelled"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, out := act(t, url, c.action, c.key, c.body)
			require.Equal(t, c.status, status, out)
			require.Equal(t, map[string]any{"code": c.code}, out["extensions"])
			require.Contains(t, out["message"], c.message)
			require.NotEmpty(t, out["message"])
			require.Len(t, out, 2, "Hasura's shape")
		})
	}
}

// Hasura shows its client only what comes with 4xx.
func TestHasura_FailuresAreShownAs4xx(t *testing.T) {
	t.Parallel()
	f := serveHasura(t)
	f.queue.err = fmt.Errorf("accept: %w", queue.ErrUnavailable)
	status, out := act(t, f.url, "sendTransaction", actionSecret, payload("sendTransaction", `{"input":{"idempotencyKey":"k","from":"`+alice+`","to":"`+bob+`"}}`))
	require.Equal(t, 400, status)
	require.Equal(t, map[string]any{"code": "database_unavailable"}, out["extensions"])
}

func TestHasura_WithoutASecretOnlyLocally(t *testing.T) {
	t.Parallel()
	body := payload("transaction", `{"id":"x"}`)
	status, _ := act(t, serve(t).url, "transaction", "", body)
	require.Equal(t, 404, status)
	status, _ = act(t, serveWith(t, func(d *Deps, _ *Config) { d.LocalOnly = false }).url, "transaction", "", body)
	require.Equal(t, 401, status)
	require.ErrorContains(t, Config{HasuraSecret: secret.New("short")}.Validate(), "hasuraSecret")
}

func TestHasura_EveryActionOfTheMetadataHasAHandler(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../deploy/hasura/actions.yaml")
	require.NoError(t, err)
	type named struct {
		Name string `yaml:"name"`
	}
	var metadata struct {
		Actions []struct {
			Name       string `yaml:"name"`
			Definition struct {
				Kind    string `yaml:"kind"`
				Handler string `yaml:"handler"`
				Headers []struct {
					Name  string `yaml:"name"`
					Value string `yaml:"value_from_env"` //nolint:tagliatelle // Hasura's name
				} `yaml:"headers"`
			} `yaml:"definition"`
		} `yaml:"actions"`
		Types struct {
			Inputs  []named `yaml:"input_objects"` //nolint:tagliatelle // Hasura's name
			Objects []named `yaml:"objects"`
			Scalars []named `yaml:"scalars"`
		} `yaml:"custom_types"` //nolint:tagliatelle // Hasura's name
	}
	require.NoError(t, yaml.Unmarshal(text, &metadata))
	document := readGraphQL(t)

	handlers := hasuraActions()
	require.Len(t, metadata.Actions, len(handlers))
	operations := map[string]string{}
	for _, kind := range []string{"Mutation", "Query"} {
		for name := range document[kind] {
			operations[name] = kind
		}
	}
	require.Len(t, operations, len(handlers))
	for _, a := range metadata.Actions {
		require.Contains(t, handlers, a.Name)
		require.Equal(t, "{{SLIPWAY_ACTIONS_URL}}/hasura/actions/"+a.Name, a.Definition.Handler)
		require.Len(t, a.Definition.Headers, 1)
		require.Equal(t, hasuraHeader, a.Definition.Headers[0].Name)
		require.NotEmpty(t, a.Definition.Headers[0].Value)
		require.Equal(t, map[string]string{"Mutation": "synchronous", "Query": ""}[operations[a.Name]], a.Definition.Kind, a.Name)
	}
	for _, list := range [][]named{metadata.Types.Inputs, metadata.Types.Objects, metadata.Types.Scalars} {
		for _, n := range list {
			require.Contains(t, document, n.Name)
		}
	}
}

func TestHasura_GraphQLTypesAreTheGoStructs(t *testing.T) {
	t.Parallel()
	document := readGraphQL(t)
	for name, structure := range map[string]any{
		"SendTransactionInput": hasuraSendInput{}, "CreateWalletInput": hasuraWalletInput{},
		"SlipwayTransaction": hasuraTransactionBody{}, "SlipwayWallet": hasuraWalletBody{},
	} {
		want := map[string]string{}
		for f := range fieldsOf(reflect.TypeOf(structure)) {
			want[f.name] = f.kind
		}
		got := map[string]string{}
		for field, kind := range document[name] {
			if strings.HasSuffix(name, "Input") {
				kind = strings.TrimSuffix(kind, "!") // what is missing is refused with a better text
			}
			got[field] = kind
		}
		require.Equal(t, want, got, name)
	}
	require.Equal(t, map[string]string{
		"sendTransaction": "SlipwayTransaction", "createWallet": "SlipwayWallet", "cancelTransaction": "SlipwayTransaction",
	}, document["Mutation"])
	require.Equal(t, map[string]string{"transaction": "SlipwayTransaction"}, document["Query"])
}

type graphQLField struct{ name, kind string }

// fieldsOf lists the fields of a struct as GraphQL has them.
func fieldsOf(structure reflect.Type) map[graphQLField]bool {
	out := map[graphQLField]bool{}
	for i := range structure.NumField() {
		f := structure.Field(i)
		fieldType, suffix := f.Type, "!"
		if fieldType.Kind() == reflect.Pointer {
			fieldType, suffix = fieldType.Elem(), ""
		}
		kind := "String"
		switch {
		case f.Name == "ABI" || f.Name == "Arguments":
			kind = "SlipwayJSON"
		case fieldType.Kind() == reflect.Bool:
			kind = "Boolean"
		}
		if strings.HasPrefix(structure.Name(), "hasura") && strings.HasSuffix(structure.Name(), "Input") {
			suffix = ""
		}
		out[graphQLField{f.Tag.Get("json"), kind + suffix}] = true
	}
	return out
}

// readGraphQL reads the types of actions.graphql: their fields, and of each its
// type. It knows just the lines that are in that file.
func readGraphQL(t *testing.T) map[string]map[string]string {
	t.Helper()
	file, err := os.Open("../../deploy/hasura/actions.graphql")
	require.NoError(t, err)
	defer file.Close()
	out, at := map[string]map[string]string{}, ""
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		words := strings.Fields(line)
		switch {
		case line == "" || strings.HasPrefix(line, `"`):
		case words[0] == "type" || words[0] == "input" || words[0] == "scalar":
			at = words[1]
			if out[at] == nil {
				out[at] = map[string]string{}
			}
		case line == "}":
			at = ""
		default:
			require.NotEmpty(t, at, line)
			cut := strings.LastIndex(line, ":")
			name, _, _ := strings.Cut(line[:cut], "(")
			out[at][name] = strings.TrimSpace(line[cut+1:])
		}
	}
	require.NoError(t, lines.Err())
	return out
}
