package upstreams

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/telemetry"
)

func TestHTTPTransport_CarriesIDAndTrace(t *testing.T) {
	t.Parallel()
	seen := make(chan http.Header, 1)
	node := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header }))
	t.Cleanup(node.Close)
	target, err := url.Parse(node.URL)
	require.NoError(t, err)
	transport := newHTTPTransport(target, 1, 1000)
	t.Cleanup(transport.close)
	send := func(ctx context.Context) http.Header {
		_, err := transport.roundTrip(ctx, []byte("{}"))
		require.NoError(t, err)
		return <-seen
	}

	traced := send(telemetry.WithTrace(t.Context(), telemetry.Trace{RequestID: "r-1", Parent: "00-ab-cd-01", State: "vendor=1"}))
	require.Equal(t, "r-1", traced.Get("X-Request-Id"))
	require.Equal(t, "00-ab-cd-01", traced.Get("Traceparent"))
	require.Equal(t, "vendor=1", traced.Get("Tracestate"))
	require.Equal(t, "application/json", traced.Get("Content-Type"))

	once := send(sendOnce(telemetry.WithTrace(t.Context(), telemetry.Trace{RequestID: "r-2"})))
	require.Equal(t, "r-2", once.Get("X-Request-Id"))
	require.NotContains(t, once, "Traceparent")

	plain := send(t.Context())
	require.NotContains(t, plain, "X-Request-Id", "the shared header was not changed")
}
