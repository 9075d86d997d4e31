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

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestTraceOf(t *testing.T) {
	t.Parallel()

	cases := map[string]struct {
		header    http.Header
		requestID string // empty: a new one
		parent    string
		state     string
	}{
		"nothing":             {},
		"request id":          {header: http.Header{"X-Request-Id": {"0b-7/x:y"}}, requestID: "0b-7/x:y"},
		"longest request id":  {header: http.Header{"X-Request-Id": {strings.Repeat("a", 128)}}, requestID: strings.Repeat("a", 128)},
		"too long request id": {header: http.Header{"X-Request-Id": {strings.Repeat("a", 129)}}},
		"request id, a line":  {header: http.Header{"X-Request-Id": {"a\nb"}}},
		"request id, a space": {header: http.Header{"X-Request-Id": {"a b"}}},
		"request id, no text": {header: http.Header{"X-Request-Id": {"\u00e9"}}},
		"two request ids":     {header: http.Header{"X-Request-Id": {"a", "b"}}},
		"trace":               {header: http.Header{"Traceparent": {parent}, "Tracestate": {"a=1"}}, parent: parent, state: "a=1"},
		"state in two lines":  {header: http.Header{"Traceparent": {parent}, "Tracestate": {"a=1", "b=2"}}, parent: parent, state: "a=1,b=2"},
		"state is too long":   {header: http.Header{"Traceparent": {parent}, "Tracestate": {strings.Repeat("a", 513)}}, parent: parent},
		"state is no text":    {header: http.Header{"Traceparent": {parent}, "Tracestate": {"a\r"}}, parent: parent},
		"state alone":         {header: http.Header{"Tracestate": {"a=1"}}},
		"two parents":         {header: http.Header{"Traceparent": {parent, parent}}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got := traceOf(c.header)

			if c.requestID == "" {
				require.Regexp(t, "^[0-9a-f]{16}$", got.RequestID)
				c.requestID = got.RequestID
			}
			require.Equal(t, telemetry.Trace{RequestID: c.requestID, Parent: c.parent, State: c.state}, got)
		})
	}
	first := newRequestID()
	require.NotEqual(t, first, newRequestID())
}

func TestIsTraceparent(t *testing.T) {
	t.Parallel()

	require.True(t, isTraceparent(parent))
	require.True(t, isTraceparent("01"+parent[2:]+"-more"), "a version to come")
	for _, wrong := range []string{
		"", "00", parent + "-more", parent[:54], "ff" + parent[2:], "01" + parent[2:] + "more", "01" + parent[2:] + "-\n",
		strings.ToUpper(parent), strings.ReplaceAll(parent, "-", "_"), "01" + parent[2:] + "-" + strings.Repeat("a", 100),
		"00-" + strings.Repeat("0", 32) + parent[35:], parent[:36] + strings.Repeat("0", 16) + parent[52:],
	} {
		require.False(t, isTraceparent(wrong), wrong)
	}
}

// tracing is a Network that notes the traces of what reaches it.
type tracing struct{ seen []telemetry.Trace }

func (n *tracing) Do(ctx context.Context, _ upstreams.Request) (upstreams.Reply, error) {
	n.seen = append(n.seen, telemetry.TraceFrom(ctx))
	return upstreams.Reply{Result: []byte("1")}, nil
}

func (n *tracing) DoBatch(ctx context.Context, reqs []upstreams.Request) []upstreams.BatchReply {
	n.seen = append(n.seen, telemetry.TraceFrom(ctx))
	return make([]upstreams.BatchReply, len(reqs)-1) // the last one stays open
}

func (n *tracing) Identity() upstreams.Identity { return upstreams.Identity{ChainID: 1} }

func TestTrace_ReachesTheUpstreamTheAnswerAndTheLog(t *testing.T) {
	t.Parallel()

	var network tracing
	var log bytes.Buffer
	gateway, err := New(Default(), []Project{{ProjectConfig: DefaultProject(), Networks: []NetworkParts{{NetworkDeps: NetworkDeps{
		Pool: &network, Tracker: chain.NewTracker(chain.Finality{}), Catalogue: methods.New(), Factory: telemetry.NewFactory(),
		Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}}}}}, Deps{Factory: telemetry.NewFactory(), Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	bodies := map[string]string{
		"a read":  `{"id":1,"method":"eth_gasPrice"}`,
		"a write": `{"id":1,"method":"eth_sendRawTransaction","params":["0x"]}`,
		"a batch": `[{"id":1,"method":"eth_gasPrice"},{"id":2,"method":"eth_blockNumber"}]`,
	}
	for name, body := range bodies {
		network.seen = nil
		log.Reset()
		request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
		request.Header = http.Header{"X-Request-Id": {"mine"}, "Traceparent": {parent}, "Tracestate": {"a=1"}}
		recorder := httptest.NewRecorder()
		gateway.ServeHTTP(recorder, request)

		require.Equal(t, []string{"mine"}, recorder.Header()["X-Request-Id"], name)
		require.Contains(t, log.String(), "request_id=mine", name)
		require.NotEmpty(t, network.seen, name)
		for _, trace := range network.seen {
			require.Equal(t, telemetry.Trace{RequestID: "mine", Parent: parent, State: "a=1"}, trace, name)
		}
	}
}
