package gatewayapp_test

import (
	"context"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/slipwayhq/slipway/internal/gatewayapp"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/telemetry"
	"github.com/slipwayhq/slipway/internal/upstreams/upstreamtest"
)

// receiver is a collector that keeps what it is sent over OTLP/HTTP.
type receiver struct {
	url string

	mu       sync.Mutex
	spans    []*tracepb.Span
	service  string
	key      string
	problems []error
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		var got collector.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &got)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.key = request.Header.Get("X-Key")
		if err != nil || request.URL.Path != "/v1/traces" {
			r.problems = append(r.problems, err)
		}
		for _, of := range got.GetResourceSpans() {
			for _, a := range of.GetResource().GetAttributes() {
				if a.GetKey() == "service.name" {
					r.service = a.GetValue().GetStringValue()
				}
			}
			for _, scope := range of.GetScopeSpans() {
				r.spans = append(r.spans, scope.GetSpans()...)
			}
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

// of lists the spans of a kind.
func (r *receiver) of(kind tracepb.Span_SpanKind) []*tracepb.Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []*tracepb.Span
	for _, s := range r.spans {
		if s.GetKind() == kind {
			out = append(out, s)
		}
	}
	return out
}

func attribute(s *tracepb.Span, name string) string {
	for _, a := range s.GetAttributes() {
		if a.GetKey() == name {
			if text := a.GetValue().GetStringValue(); text != "" {
				return text
			}
			return strings.TrimSpace(a.GetValue().String())
		}
	}
	return ""
}

// runUntil runs a gateway while do works, and until it has stopped.
func runUntil(t *testing.T, cfg gatewayapp.Config, do func(*gatewayapp.App)) {
	t.Helper()
	app, err := gatewayapp.New(cfg, gatewayapp.Deps{Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- app.Run(ctx, func() { close(ready) }) }()
	<-ready
	do(app)
	stop()
	require.NoError(t, <-done)
}

const clientsTrace, clientsSpan = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"

func TestApp_TracesAreExportedAtTheLatestWhenItStops(t *testing.T) {
	t.Parallel()
	for name, detailed := range map[string]bool{"detailed": true, "plain": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var sent []string // traceparent as the node sees it
			node := upstreamtest.New(t)
			node.Answer("eth_getBalance", upstreamtest.Result(`"0x2a"`))
			front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if parent := r.Header.Get("Traceparent"); parent != "" {
					mu.Lock()
					sent = append(sent, parent)
					mu.Unlock()
				}
				node.ServeHTTP(w, r)
			}))
			t.Cleanup(front.Close)
			to := newReceiver(t)
			cfg := config(node)
			cfg.Pool().Upstreams[0].URL, cfg.Pool().Upstreams[0].ID = secret.New(front.URL), "besu-0"
			cfg.Tracing = &telemetry.TracingConfig{
				Endpoint: secret.New(to.url), Protocol: "http", SampleRate: 0, // the client decides for its own
				ServiceName: "edge", Detailed: detailed, Headers: map[string]secret.String{"x-key": secret.New("hidden")},
			}

			runUntil(t, cfg, func(app *gatewayapp.App) {
				request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+app.Addr()+"/main", strings.NewReader(balance))
				require.NoError(t, err)
				request.Header.Set("Content-Type", "application/json")
				request.Header.Set("Traceparent", "00-"+clientsTrace+"-"+clientsSpan+"-01")
				status, _ := do(t, request)
				require.Equal(t, 200, status)
				status, _ = post(t, app, "/main", balance)
				require.Equal(t, 200, status, "is not recorded: the sample rate is 0")
			})

			servers, clients := to.of(tracepb.Span_SPAN_KIND_SERVER), to.of(tracepb.Span_SPAN_KIND_CLIENT)
			require.Empty(t, to.problems)
			require.Equal(t, []string{"edge", "hidden"}, []string{to.service, to.key})
			require.Len(t, servers, 1)
			require.Equal(t, clientsTrace, hex.EncodeToString(servers[0].GetTraceId()))
			require.Equal(t, clientsSpan, hex.EncodeToString(servers[0].GetParentSpanId()))
			require.Equal(t, "eth_getBalance", servers[0].GetName())
			require.Equal(t, "evm:31337", attribute(servers[0], "slipway.network"))
			require.Equal(t, "ok", attribute(servers[0], "slipway.outcome"))
			require.Contains(t, attribute(servers[0], "http.response.status_code"), "200")

			require.Len(t, clients, 1)
			require.Equal(t, "besu-0", attribute(clients[0], "slipway.upstream"))
			require.Equal(t, "jsonrpc", attribute(clients[0], "rpc.system"))
			require.Equal(t, "eth_getBalance", attribute(clients[0], "rpc.method"))
			require.Equal(t, "ok", attribute(clients[0], "slipway.outcome"))
			parentOfAttempt := servers[0].GetSpanId()
			calls := to.of(tracepb.Span_SPAN_KIND_INTERNAL)
			if detailed {
				require.Len(t, calls, 1)
				require.Equal(t, "upstream", attribute(calls[0], "slipway.source"))
				require.Equal(t, parentOfAttempt, calls[0].GetParentSpanId())
				parentOfAttempt = calls[0].GetSpanId()
			}
			require.Equal(t, parentOfAttempt, clients[0].GetParentSpanId())
			require.Len(t, sent, 2)
			require.Equal(t, "00-"+clientsTrace+"-"+hex.EncodeToString(clients[0].GetSpanId())+"-01", sent[0], "the node continues the attempt")
			require.True(t, strings.HasSuffix(sent[1], "-00"), "what is not recorded is said to the node")
		})
	}
}

// A collector that takes connections and never answers is the worst one.
func TestApp_ADeadCollectorIsNotFelt(t *testing.T) {
	t.Parallel()
	quit := make(chan struct{})
	dead := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-quit:
		}
	}))
	t.Cleanup(func() { close(quit); dead.Close() })
	node := upstreamtest.New(t)
	node.Answer("eth_getBalance", upstreamtest.Result(`"0x2a"`))
	for _, protocol := range []string{"http", "grpc"} {
		cfg := config(node)
		tracing := telemetry.DefaultTracing()
		tracing.Endpoint, tracing.Protocol, tracing.Detailed = secret.New(dead.URL), protocol, true
		cfg.Tracing = &tracing

		var stopping time.Time
		runUntil(t, cfg, func(app *gatewayapp.App) {
			begin := time.Now()
			for range 50 {
				status, _ := post(t, app, "/main", balance)
				require.Equal(t, 200, status)
			}
			require.Less(t, time.Since(begin), 3*time.Second)
			stopping = time.Now()
		})
		require.Less(t, time.Since(stopping), 12*time.Second, "the flush is bounded")
	}
}

func TestApp_TracingIsChecked(t *testing.T) {
	t.Parallel()
	cfg := config(upstreamtest.New(t))
	cfg.Tracing = &telemetry.TracingConfig{Protocol: "tcp", SampleRate: 2}
	_, err := gatewayapp.New(cfg, gatewayapp.Deps{Log: slog.New(slog.DiscardHandler)})
	require.ErrorContains(t, err, "tracing endpoint: is needed\ntracing protocol: must be grpc or http\ntracing sample rate: must be between 0 and 1")

	cfg.Tracing = &telemetry.TracingConfig{Endpoint: secret.New("http://127.0.0.1:1"), Protocol: "grpc", TLS: &telemetry.CollectorTLS{CAFile: "/nowhere.crt"}}
	app, err := gatewayapp.New(cfg, gatewayapp.Deps{Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	require.EqualError(t, app.Run(t.Context(), func() {}), "tracing: open /nowhere.crt: no such file or directory")
}
