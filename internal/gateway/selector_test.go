package gateway_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/upstreams/upstreamtest"
)

func TestGateway_UseUpstream(t *testing.T) {
	t.Parallel()

	w := newWorld(t, 2, nil)
	hosts := make([]string, 2)
	for i, n := range w.nodes {
		hosts[i] = strings.TrimPrefix(n.URL(), "http://")
		n.Answer("eth_gasPrice", upstreamtest.Result([]string{`"0xa"`, `"0xb"`}[i]))
	}
	const call = `{"jsonrpc":"2.0","id":1,"method":"eth_gasPrice","params":[]}`
	ask := func(selector, body string) *httptest.ResponseRecorder {
		recorder := httptest.NewRecorder()
		request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
		request.Header.Set("X-ERPC-Use-Upstream", selector)
		w.gateway.ServeHTTP(recorder, request)
		return recorder
	}
	require.Contains(t, ask(hosts[1], call).Body.String(), `"0xb"`)
	require.Contains(t, ask("!"+hosts[1], call).Body.String(), `"0xa"`)
	require.Equal(t, 2, strings.Count(ask(hosts[1], "["+call+","+call+"]").Body.String(), `"0xb"`), "batches, too")
	require.Equal(t, http.StatusServiceUnavailable, ask("nobody", call).Code)
	wrong := ask("(", call)
	require.Equal(t, http.StatusBadRequest, wrong.Code)
	require.Contains(t, wrong.Body.String(), "selector of upstreams: ")

	release := make(chan struct{})
	w.nodes[0].AnswerFunc("eth_gasPrice", func(string) upstreamtest.Answer {
		<-release
		return upstreamtest.Result(`"0xa"`)
	})
	var group sync.WaitGroup
	group.Go(func() { require.Contains(t, ask(hosts[0], call).Body.String(), `"0xa"`) })
	require.Eventually(t, func() bool { return w.nodes[0].Calls("eth_gasPrice") >= 2 }, 5*time.Second, time.Millisecond)
	require.Contains(t, ask(hosts[1], call).Body.String(), `"0xb"`, "it does not share the answer of another node")
	close(release)
	group.Wait()
}
