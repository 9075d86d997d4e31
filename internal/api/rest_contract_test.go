package api

import (
	"bytes"
	"encoding/json"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/labstack/echo/v4"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
)

// contractOf reads openapi.yaml once for all tests.
var contractOf = sync.OnceValues(readContract) //nolint:gochecknoglobals // read only, and slow to read

// contractChecker holds what the server says against openapi.yaml.
type contractChecker struct {
	document map[string]any

	mu       sync.Mutex // guards the fields below
	compiler *jsonschema.Compiler
}

func readContract() (*contractChecker, error) {
	text, err := yaml.YAMLToJSON([]byte(openAPI))
	if err != nil {
		return nil, err
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	c := &contractChecker{compiler: jsonschema.NewCompiler()}
	c.document, _ = document.(map[string]any)
	c.compiler.AssertFormat()
	return c, c.compiler.AddResource("openapi.json", document)
}

func contractFor(t *testing.T) *contractChecker {
	t.Helper()
	c, err := contractOf()
	require.NoError(t, err)
	return c
}

func escapePointer(s string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(s) }

// at follows a pointer and the references on its way; it returns the place where
// the node really stands.
func (c *contractChecker) at(t *testing.T, path ...string) (node any, pointer string) {
	t.Helper()
	node = c.document
	for _, name := range path {
		object, isObject := node.(map[string]any)
		if !isObject || object[name] == nil {
			return nil, ""
		}
		node, pointer = object[name], pointer+"/"+escapePointer(name)
		if object, isObject := node.(map[string]any); isObject {
			if ref, isRef := object["$ref"].(string); isRef {
				pointer = strings.TrimPrefix(ref, "#")
				node, _ = c.at(t, strings.Split(strings.TrimPrefix(pointer, "/"), "/")...)
			}
		}
	}
	return node, pointer
}

// operation finds the path of the document that a request was for.
func (c *contractChecker) operation(t *testing.T, method, path string) string {
	t.Helper()
	path, _, _ = strings.Cut(path, "?")
	paths, _ := c.document["paths"].(map[string]any)
	var found []string
	for template, item := range paths {
		object, _ := item.(map[string]any)
		if object[strings.ToLower(method)] != nil && matches(template, path) {
			found = append(found, template)
		}
	}
	slices.SortFunc(found, func(a, b string) int { return strings.Count(a, "{") - strings.Count(b, "{") })
	if len(found) == 0 {
		return ""
	}
	return found[0]
}

func matches(template, path string) bool {
	a, b := strings.Split(template, "/"), strings.Split(path, "/")
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] && !strings.HasPrefix(a[i], "{") {
			return false
		}
	}
	return true
}

// check validates an answer, and the body of a request that was understood.
func (c *contractChecker) check(t *testing.T, method, path, request string, status int, header http.Header, answer string) {
	t.Helper()
	template := c.operation(t, method, path)
	if template == "" {
		require.Contains(t, []int{404, 405}, status, "%s %s is not in openapi.yaml", method, path)
		template, method = "/v1/keys", "get" // its default is the problem document
	}
	method = strings.ToLower(method)
	if status < 300 && method == "post" && template != "/" && request != "" {
		c.validate(t, request, "paths", template, method, "requestBody", "content", "application/json", "schema")
	}
	code := "default"
	if response, _ := c.at(t, "paths", template, method, "responses", http.StatusText(status)); response != nil {
		code = http.StatusText(status)
	}
	if response, _ := c.at(t, "paths", template, method, "responses", strings.TrimSpace(itoa(status))); response != nil {
		code = itoa(status)
	}
	require.False(t, status < 300 && code == "default", "%s %s does not document status %d", method, template, status)
	content, _ := c.at(t, "paths", template, method, "responses", code, "content")
	if content == nil {
		require.Empty(t, answer)
		return
	}
	media, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	require.NoError(t, err)
	if template == "/" && method == "post" && code == "default" {
		media = "application/json"
	}
	if strings.HasSuffix(media, "json") {
		c.validate(t, answer, "paths", template, method, "responses", code, "content", media, "schema")
	}
}

func itoa(n int) string { b, _ := json.Marshal(n); return string(b) } //nolint:errchkjson // an integer

// compile is for tests that run side by side.
func (c *contractChecker) compile(pointer string) (*jsonschema.Schema, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.compiler.Compile("openapi.json#" + pointer)
}

func (c *contractChecker) validate(t *testing.T, text string, path ...string) {
	t.Helper()
	node, pointer := c.at(t, path...)
	require.NotNil(t, node, "openapi.yaml has no %v", path)
	schema, err := c.compile(pointer)
	require.NoError(t, err)
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	require.NoError(t, err, text)
	require.NoError(t, schema.Validate(value), "%v: %s", path, text)
}

// Every route of the server is in the contract, and the contract has no other.
func TestContract_HasTheRoutesOfTheServer(t *testing.T) {
	t.Parallel()
	f := serve(t)

	var served, described []string
	e, isEcho := f.handler.Handler.(*echo.Echo)
	require.True(t, isEcho)
	for _, r := range e.Routes() {
		parts := strings.Split(r.Path, "/")
		for i, p := range parts {
			if name, isParam := strings.CutPrefix(p, ":"); isParam {
				parts[i] = "{" + name + "}"
			}
		}
		if r.Method != echo.RouteNotFound {
			served = append(served, r.Method+" "+strings.Join(parts, "/"))
		}
	}
	c := contractFor(t)
	ids := map[string]bool{}
	for path, item := range c.document["paths"].(map[string]any) { //nolint:forcetypeassert // a test
		for method, op := range item.(map[string]any) { //nolint:forcetypeassert // a test
			if method == "parameters" {
				continue
			}
			described = append(described, strings.ToUpper(method)+" "+path)
			object, _ := op.(map[string]any)
			id, _ := object["operationId"].(string)
			require.NotEmpty(t, id, "%s %s", method, path)
			require.False(t, ids[id], "operationId %s occurs twice", id)
			ids[id] = true
			require.NotEmpty(t, object["summary"], id)
			require.NotEmpty(t, object["tags"], id)
		}
	}
	slices.Sort(served)
	slices.Sort(described)
	require.Equal(t, served, described)
}

// Every schema and every reference of the contract can be used, every example fits.
func TestContract_IsWhole(t *testing.T) {
	t.Parallel()
	c := contractFor(t)
	schemas, _ := c.at(t, "components", "schemas")
	for name := range schemas.(map[string]any) { //nolint:forcetypeassert // a test
		_, err := c.compile("/components/schemas/" + name)
		require.NoError(t, err, name)
	}
	var walk func(node any)
	walk = func(node any) {
		switch v := node.(type) {
		case map[string]any:
			if ref, isRef := v["$ref"].(string); isRef {
				target, _ := c.at(t, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
				require.NotNil(t, target, ref)
			}
			for _, inner := range v {
				walk(inner)
			}
		case []any:
			for _, inner := range v {
				walk(inner)
			}
		}
	}
	walk(c.document)
	for _, path := range []string{"/v1/transactions", "/v1/sign/message"} {
		examples, _ := c.at(t, "paths", path, "post", "requestBody", "content", "application/json", "examples")
		for name, e := range examples.(map[string]any) { //nolint:forcetypeassert // a test
			text, err := json.Marshal(e.(map[string]any)["value"]) //nolint:forcetypeassert // a test
			require.NoError(t, err)
			c.validate(t, string(text), "paths", path, "post", "requestBody", "content", "application/json", "schema")
			f := serve(t)
			status, _, answer := f.do(t, "POST", path, string(text))
			require.Less(t, status, 300, "%s: %s", name, answer)
		}
	}
}

// A page without anything from elsewhere, that may load nothing from elsewhere.
func TestDocs_StandOnTheirOwn(t *testing.T) {
	t.Parallel()
	f := serve(t)
	for path, kind := range map[string]string{"/docs": "text/html; charset=utf-8", "/docs/docs.css": "text/css; charset=utf-8", "/docs/docs.js": "text/javascript; charset=utf-8", "/openapi.yaml": "application/yaml"} {
		status, header, answer := f.do(t, "GET", path, "")
		require.Equal(t, 200, status)
		require.Equal(t, kind, header.Get("Content-Type"))
		require.Contains(t, header.Get("Content-Security-Policy"), "default-src 'none'")
		require.Equal(t, "nosniff", header.Get("X-Content-Type-Options"))
		require.NotContains(t, answer, "://", "%s refers to another host", path)
		if path == "/docs" {
			require.NotContains(t, answer, "style=", "inline styles do not pass the policy")
			require.NotRegexp(t, `<script[^>]*>[^<]`, answer, "nor do inline scripts")
			require.NotRegexp(t, `\son[a-z]+=`, answer, "nor do handlers")
			for _, p := range ProblemTypes() {
				require.NotEmpty(t, p.Title, p.Code)
			}
			require.Contains(t, answer, `href="#createTransactions"`)
			require.Contains(t, answer, `id="schema-Transaction"`)
		}
	}
}
