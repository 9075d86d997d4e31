package config

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
)

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(GatewaySchema()))
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	require.NoError(t, compiler.AddResource("gateway.schema.json", document))
	out, err := compiler.Compile("gateway.schema.json")
	require.NoError(t, err)
	return out
}

// asEditorsSeeIt reads a file without variables being replaced; ok is false for
// what is not YAML, or has no JSON.
func asEditorsSeeIt(t *testing.T, path string) (value any, ok bool) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	if err := yaml.Unmarshal(text, &value); err != nil {
		return nil, false
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return nil, false // such as .nan
	}
	value, err = jsonschema.UnmarshalJSON(strings.NewReader(string(encoded)))
	require.NoError(t, err)
	return value, true
}

// What the loader takes, the schema takes. What is wrong with a file whatever
// its values mean, both tell.
func TestGatewaySchema_AgreesWithTheLoader(t *testing.T) {
	t.Parallel()
	schema := compiled(t)
	shape := regexp.MustCompile(`unknown key|must be (true or false|a whole number$|a number|a duration|a list|a section|a single value)`)
	refusals := 0
	for _, path := range files(t) {
		value, ok := asEditorsSeeIt(t, path)
		if strings.HasPrefix(path, filepath.Join("testdata", "good")) {
			require.True(t, ok, path)
			require.NoError(t, schema.Validate(value), path)
			continue
		}
		said, err := os.ReadFile(strings.TrimSuffix(path, ".yaml") + ".txt")
		require.NoError(t, err)
		if ok && shape.Match(said) {
			require.Error(t, schema.Validate(value), path)
			refusals++
		}
	}
	require.Greater(t, refusals, 10)
}

func TestGatewaySchema_Values(t *testing.T) {
	t.Parallel()
	schema := compiled(t)
	for text, isGood := range map[string]bool{
		`{"server":{"maxTimeout":"1m30s"}}`: true, `{"server":{"maxTimeout":"30"}}`: false, `{"server":{"maxTimeout":30}}`: false, `{"server":{"maxTimeout":"${T}"}}`: true,
		`{"server":{"maxBodySize":"10MB"}}`: true, `{"server":{"maxBodySize":"10TB"}}`: false, `{"server":{"httpPort":"4000"}}`: true,
		`{"server":{"httpPort":"many"}}`: false, `{"server":null}`: true, `{"server":[]}`: false, `{"server":{"enableGzip":"True"}}`: true,
		`{"projects":[{"networks":[{"failsafe":{"timeout":{"duration":"1s"}}}]}]}`: true, `{"projects":[{"networks":[{"failsafe":[{"timeout":{"duration":{"base":"1s"}}}]}]}]}`: true,
		`{"projects":[{"networks":[{"failsafe":[{"timeout":{"duration":{"bass":"1s"}}}]}]}]}`: false, `{"projects":{}}`: false,
	} {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		require.NoError(t, err)
		require.Equal(t, isGood, schema.Validate(value) == nil, text)
	}
}

func TestGatewaySchema_Explains(t *testing.T) {
	t.Parallel()
	var got struct {
		Defs map[string]struct {
			Properties map[string]struct {
				Description, Default string
				Deprecated           bool
			}
		} `json:"$defs"`
	}
	require.NoError(t, json.Unmarshal([]byte(GatewaySchema()), &got))
	require.Equal(t, "Port to listen on.", got.Defs["Server"].Properties["httpPort"].Description)
	require.Equal(t, "4000", got.Defs["Server"].Properties["httpPort"].Default)
	require.Equal(t, "Without effect: nodes are reached directly.", got.Defs["Config"].Properties["proxyPools"].Description)
	require.Contains(t, got.Defs["TimeoutPolicy"].Properties["quantile"].Description, "Older form of duration.quantile. Checked, without effect yet: ")
	require.True(t, got.Defs["TimeoutPolicy"].Properties["quantile"].Deprecated)
	require.True(t, got.Defs["Project"].Properties["routingStrategy"].Deprecated)
	require.False(t, got.Defs["Project"].Properties["id"].Deprecated)
}
