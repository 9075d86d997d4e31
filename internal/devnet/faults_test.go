package devnet

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/stretchr/testify/require"
)

func startProxy(t *testing.T, target string) *Proxy {
	t.Helper()
	proxy, err := NewProxy(target)
	require.NoError(t, err)
	_, err = run(t, proxy.Run)
	require.NoError(t, err)
	return proxy
}

func get(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	// A transport of its own: the shared one would retry on a cut connection.
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return http.StatusText(response.StatusCode) + " " + string(body), err
}

func TestProxy_Modes(t *testing.T) {
	t.Parallel()
	var forwarded atomic.Int64
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		forwarded.Add(1)
		_, _ = io.WriteString(w, "hello")
	}))
	t.Cleanup(target.Close)
	proxy := startProxy(t, target.URL)

	got, err := get(t.Context(), proxy.URL())
	require.NoError(t, err)
	require.Equal(t, "OK hello", got)
	require.EqualValues(t, 1, forwarded.Load())

	proxy.Set(Refuse)
	_, err = get(t.Context(), proxy.URL())
	require.Error(t, err)
	require.EqualValues(t, 1, forwarded.Load())

	proxy.Set(DropReply)
	_, err = get(t.Context(), proxy.URL())
	require.Error(t, err)
	require.EqualValues(t, 2, forwarded.Load())

	proxy.Set(Hang)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = get(ctx, proxy.URL())
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.EqualValues(t, 2, forwarded.Load())

	proxy.Set(ServeError)
	got, err = get(t.Context(), proxy.URL())
	require.NoError(t, err)
	require.Contains(t, got, "Service Unavailable")

	proxy.SetDelay(30 * time.Millisecond)
	began := time.Now()
	got, err = get(t.Context(), proxy.URL())
	require.NoError(t, err)
	require.Equal(t, "OK hello", got)
	require.GreaterOrEqual(t, time.Since(began), 30*time.Millisecond)
}

func TestProxy_ForwardsToTheChain(t *testing.T) {
	t.Parallel()
	chain, _, _ := start(t, testConfig(t))
	proxy := startProxy(t, chain.HTTPURL())

	client, err := ethclient.DialContext(t.Context(), proxy.URL())
	require.NoError(t, err)
	t.Cleanup(client.Close)
	id, err := client.ChainID(t.Context())

	require.NoError(t, err)
	require.EqualValues(t, testChainID, id.Uint64())
}
