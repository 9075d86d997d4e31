package gatewayapp_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/auth"
	"github.com/slipwayhq/slipway/internal/gatewayapp"
	"github.com/slipwayhq/slipway/internal/secret"
)

// operate sends a body to the admin endpoint, as the operator.
func operate(t *testing.T, address, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+"/admin", strings.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("X-ERPC-Secret-Token", "operator-secret")
	return do(t, request)
}

func operated(cfg gatewayapp.Config) gatewayapp.Config {
	cfg.Admin.Auth.Strategies = []auth.Strategy{{Kind: auth.KindSecret, Secret: &auth.Secret{ID: "ops", Value: secret.New("operator-secret")}}}
	cfg.Document = "the document"
	return cfg
}

func TestAdmin_TellsWhatIsServed(t *testing.T) {
	t.Parallel()

	app := start(t, operated(config(saying(t, "0x1"))))
	for name, address := range map[string]string{"the clients' port": app.Addr(), "the operators' port": app.AdminAddr()} {
		status, text := operate(t, address, `{"id":1,"method":"erpc_taxonomy"}`)
		require.Equal(t, 200, status, name)
		require.Contains(t, text, `"projects":[{"id":"main","networks":[{"id":"evm:31337","upstreams":[{"id":"127.0.0.1:`, name)
	}
	_, text := operate(t, app.Addr(), `[{"id":1,"method":"erpc_config"},{"id":2,"method":"erpc_project","params":["main"]},{"id":3,"method":"slipway_upstreams","params":[{"method":"eth_getLogs"}]},7]`)
	for _, part := range []string{`"yaml":"the document"`, `"finality":"instant"`, `"place":1`, `"code":-32600`} {
		require.Contains(t, text, part)
	}
	for body, want := range map[string]string{
		`{"id":1,"method":"eth_chainId"}`:                                    "the admin endpoint has no such method",
		`{"id":1,"method":"erpc_project","params":["other"]}`:                "there is no such project or network",
		`{"id":1,"method":"slipway_upstreams","params":[7]}`:                 "the parameter must be an object",
		`{"id":1,"method":"slipway_upstreams","params":{"network":"evm:1"}}`: "there is no such project or network",
		`{`: "parse error",
	} {
		_, text := operate(t, app.Addr(), body)
		require.Contains(t, text, want)
	}
}

func TestAdmin_IsOffOrAsksWhoIsThere(t *testing.T) {
	t.Parallel()

	off := start(t, config(saying(t, "0x1")))
	status, text := operate(t, off.Addr(), `{"id":1,"method":"erpc_taxonomy"}`)
	require.Equal(t, 404, status, text)
	status, text = operate(t, off.AdminAddr(), `{"id":1,"method":"erpc_taxonomy"}`)
	require.Equal(t, 404, status)
	require.Contains(t, text, "configure admin.auth")

	cfg := operated(config(saying(t, "0x1")))
	cfg.Admin.DenyMethods = []string{"erpc_config"}
	on := start(t, cfg)
	status, text = post(t, on, "/admin", `{"id":1,"method":"erpc_taxonomy"}`)
	require.Equal(t, 401, status)
	require.Contains(t, text, "-32016")
	_, text = operate(t, on.Addr(), `{"id":1,"method":"erpc_config"}`)
	require.Contains(t, text, "do not permit it")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+on.Addr()+"/admin", nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request) //nolint:forbidigo // a test's client
	require.NoError(t, err)
	defer response.Body.Close()
	_, err = io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, 405, response.StatusCode)
	require.Equal(t, "OPTIONS, POST", response.Header.Get("Allow"))

	cfg.Projects[0].ID = "admin"
	require.ErrorContains(t, cfg.Validate(), "paths of the gateway's own")
}
