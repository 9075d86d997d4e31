package gateway

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/telemetry"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

// panicking is a pool with a mistake in it.
type panicking struct{}

func (panicking) Do(context.Context, upstreams.Request) (upstreams.Reply, error) {
	panic("a mistake")
}

func (panicking) DoBatch(_ context.Context, reqs []upstreams.Request) []upstreams.BatchReply {
	return make([]upstreams.BatchReply, len(reqs))
}

func (panicking) Identity() upstreams.Identity { return upstreams.Identity{ChainID: 1} }

func TestServeHTTP_APanicEndsOneRequest(t *testing.T) {
	t.Parallel()
	const call = `{"jsonrpc":"2.0","id":1,"method":"eth_gasPrice"}`
	for name, c := range map[string]struct {
		body, want, scope string
		status            int
	}{
		"single": {call, `{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"internal error"}}`, "request", 500},
		"batch":  {"[" + call + "]", `[{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"internal error"}}]`, "batch", 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var logged bytes.Buffer
			log, factory := slog.New(slog.NewTextHandler(&logged, nil)), telemetry.NewFactory()
			gateway, err := New(Default(), []Project{{ProjectConfig: DefaultProject(), Networks: []NetworkParts{{NetworkDeps: NetworkDeps{
				Pool: panicking{}, Tracker: chain.NewTracker(chain.Finality{Mode: chain.Instant}), Catalogue: methods.New(), Factory: factory, Log: log,
			}}}}}, Deps{Factory: factory, Log: log})
			require.NoError(t, err)
			answer := httptest.NewRecorder()

			gateway.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/main", strings.NewReader(c.body)))

			require.Equal(t, c.status, answer.Code)
			require.Equal(t, c.want, answer.Body.String())
			require.Contains(t, logged.String(), "a mistake")
			require.Contains(t, logged.String(), "panic_test.go", "the stack")
			metrics := httptest.NewRecorder()
			telemetry.NewAdminHandler(factory.Gatherer()).ServeHTTP(metrics, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
			require.Contains(t, metrics.Body.String(), `gateway_panics_total{scope="`+c.scope+`"} 1`)
		})
	}
}
