package upstreams

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/telemetry"
)

// Both engines send the same fields.
func TestFields_GoOnUnlessTheNodeHasItsOwn(t *testing.T) {
	t.Parallel()

	fields := []Field{{"X-Tenant", "a"}, {"X-Tenant", "b"}, {"X-Key", "client"}, {"Authorization", "client"}}
	u, err := url.Parse("http://user:pass@node")
	require.NoError(t, err)

	plain := newHTTP1Transport(u, 1, 1)
	plain.add(http.Header{"x-key": {"ours"}})
	head := string(plain.appendHead(nil, telemetry.Trace{}, fields, 1))
	require.Contains(t, head, "\r\nX-Tenant: a\r\nX-Tenant: b\r\n")
	require.Contains(t, head, "x-key: ours\r\n")
	require.NotContains(t, head, "client")

	secured := newHTTPTransport(u, 1, 1)
	secured.header.Set("X-Key", "ours")
	header := secured.headerFor(WithFields(t.Context(), fields))
	require.Equal(t, []string{"a", "b"}, header["X-Tenant"])
	require.Equal(t, []string{"ours"}, header["X-Key"])
	require.NotContains(t, header["Authorization"], "client")
	require.NotContains(t, secured.header, "X-Tenant", "the shared one stays as it is")
}
