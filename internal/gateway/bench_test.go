package gateway_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/cache"
	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/gateway"
	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/telemetry"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

// These benchmarks leave out the HTTP server and the nodes: allocations are the
// figure to watch. "make bench-report" prints them.

// instant is a pool that answers at once.
type instant struct{ asked int }

const benchHead = 100

func (p *instant) Do(context.Context, upstreams.Request) (upstreams.Reply, error) {
	p.asked++
	return upstreams.Reply{Result: []byte(`"0x56bc75e2d63100000"`), Upstream: "node", Head: benchHead}, nil
}

func (p *instant) DoBatch(ctx context.Context, reqs []upstreams.Request) []upstreams.BatchReply {
	replies := make([]upstreams.BatchReply, len(reqs))
	for i := range reqs {
		reply, _ := p.Do(ctx, reqs[i])
		replies[i] = upstreams.BatchReply{Reply: reply, IsSettled: true}
	}
	return replies
}

func (*instant) Identity() upstreams.Identity {
	return upstreams.Identity{ChainID: 31337, Genesis: "0x9e"}
}

// quiet is a ResponseWriter that costs nothing itself.
type quiet struct{ header http.Header }

func (q quiet) Header() http.Header         { return q.header }
func (q quiet) Write(b []byte) (int, error) { return len(b), nil }
func (q quiet) WriteHeader(int)             {}

// measure serves the same request again and again, and checks how often the
// nodes were asked for each.
func measure(b *testing.B, body string, nodesAsked int) {
	b.Helper()
	factory, pool, tracker := telemetry.NewFactory(), &instant{}, chain.NewTracker(chain.Finality{Mode: chain.Instant})
	tracker.ObserveLatest(benchHead)
	memory, err := cache.NewMemory(1<<20, cache.NewMetrics(factory))
	require.NoError(b, err)
	parts := gateway.NetworkParts{NetworkDeps: gateway.NetworkDeps{
		Pool: pool, Tracker: tracker, Catalogue: methods.New(), Store: memory, Factory: factory,
		Log: slog.New(slog.DiscardHandler), Name: "evm:31337",
	}}
	handler, err := gateway.New(gateway.Default(), []gateway.Project{{ProjectConfig: gateway.DefaultProject(), Networks: []gateway.NetworkParts{parts}}}, gateway.Deps{Factory: parts.Factory, Log: parts.Log})
	require.NoError(b, err)
	request := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/main/evm/31337", nil)
	reader := strings.NewReader(body)
	request.Body, request.ContentLength = nopCloser{reader}, int64(len(body))
	out := quiet{http.Header{}}
	serve := func() {
		reader.Reset(body)
		handler.ServeHTTP(out, request)
	}
	serve()
	pool.asked = 0
	served := 0
	b.ReportAllocs()
	for b.Loop() {
		served++
		serve()
	}
	require.Equal(b, served*nodesAsked, pool.asked)
}

type nopCloser struct{ *strings.Reader }

func (nopCloser) Close() error { return nil }

func balanceAt(i int, block string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"eth_getBalance","params":["0x%040x",%q]}`, i, i, block)
}

func hundred(block string) string {
	calls := make([]string, 100)
	for i := range calls {
		calls[i] = balanceAt(i, block)
	}
	return "[" + strings.Join(calls, ",") + "]"
}

// BenchmarkHit is a single call answered from memory.
func BenchmarkHit(b *testing.B) { measure(b, balanceAt(7, "0x1"), 0) }

// BenchmarkForward is a single call that a node has to answer.
func BenchmarkForward(b *testing.B) { measure(b, balanceAt(7, "latest"), 1) }

// BenchmarkHitBatch is a batch of 100 calls answered from memory.
func BenchmarkHitBatch(b *testing.B) { measure(b, hundred("0x1"), 0) }

// BenchmarkForwardBatch is a batch of 100 calls that a node has to answer.
func BenchmarkForwardBatch(b *testing.B) { measure(b, hundred("latest"), 100) }
