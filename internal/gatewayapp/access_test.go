package gatewayapp_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/auth"
	"github.com/slipwayhq/slipway/internal/secret"
)

func TestApp_Access(t *testing.T) {
	t.Parallel()

	cfg := config(saying(t, "0x1"))
	cfg.Projects[0].Auth.Strategies = []auth.Strategy{
		{Kind: auth.KindSecret, Secret: &auth.Secret{ID: "reader", Value: secret.New("open-sesame")}, IgnoreMethods: []string{"eth_sendRawTransaction"}},
		{Kind: auth.KindSecret, Secret: &auth.Secret{ID: "writer", Value: secret.New("abracadabra")}},
	}
	app := start(t, cfg)
	ask := func(body string, header ...string) (int, string, http.Header) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+app.Addr()+"/main", strings.NewReader(body))
		require.NoError(t, err)
		for i := 0; i < len(header); i += 2 {
			request.Header.Set(header[i], header[i+1])
		}
		response, err := http.DefaultClient.Do(request) //nolint:forbidigo // a test's client
		require.NoError(t, err)
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return response.StatusCode, string(text), response.Header
	}

	status, text, header := ask(balance)
	require.Equal(t, 401, status)
	require.Equal(t, `{"jsonrpc":"2.0","id":null,"error":{"code":-32016,"message":"not authenticated: no credentials"}}`, text)
	require.Equal(t, "Bearer", header.Get("WWW-Authenticate"))
	status, text, _ = ask(balance, "X-ERPC-Secret-Token", "wrong")
	require.Equal(t, 401, status)
	require.NotContains(t, text, "wrong\"")
	status, text, _ = ask(balance, "X-ERPC-Secret-Token", "open-sesame")
	require.Equal(t, 200, status, text)
	send := `{"id":1,"method":"eth_sendRawTransaction","params":["0x01"]}`
	_, text, _ = ask("["+balance+","+send+"]", "X-ERPC-Secret-Token", "open-sesame")
	require.Contains(t, text, `"0x1"`)
	require.Contains(t, text, "these credentials do not permit it")
	_, text, _ = ask(send, "X-ERPC-Secret-Token", "abracadabra")
	require.NotContains(t, text, "permit")

	status, _ = get(t, "http://"+app.Addr()+"/main")
	require.Equal(t, 200, status, "health is open")

	changed := config()
	changed.Projects[0] = cfg.Projects[0]
	changed.Projects[0].Auth = auth.Config{Strategies: cfg.Projects[0].Auth.Strategies[1:]}
	require.NoError(t, app.Reload(t.Context(), changed))
	status, _, _ = ask(balance, "X-ERPC-Secret-Token", "open-sesame")
	require.Equal(t, 401, status, "the secret was withdrawn")
}
