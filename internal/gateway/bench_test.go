package gateway_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/slipwayhq/slipway/internal/upstreams/upstreamtest"
)

// quiet is a ResponseWriter that costs nothing itself.
type quiet struct{ header http.Header }

func (q quiet) Header() http.Header         { return q.header }
func (q quiet) Write(b []byte) (int, error) { return len(b), nil }
func (q quiet) WriteHeader(int)             {}

// BenchmarkHit measures a single call answered from memory, without the HTTP
// server around it. Allocations are the figure to watch.
func BenchmarkHit(b *testing.B) {
	w := newWorld(b, 1, nil)
	w.nodes[0].Answer("eth_getBalance", upstreamtest.Result(`"0x1"`))
	const body = `{"jsonrpc":"2.0","id":7,"method":"eth_getBalance","params":["0x0000000000000000000000000000000000000001","0x1"]}`
	w.send(b.Context(), "POST", "/", body)
	request := httptest.NewRequestWithContext(b.Context(), "POST", "/main/evm/31337", nil)
	reader := strings.NewReader(body)
	request.Body, request.ContentLength = nopCloser{reader}, int64(len(body))
	out := quiet{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		reader.Reset(body)
		w.gateway.ServeHTTP(out, request)
	}
}

type nopCloser struct{ *strings.Reader }

func (nopCloser) Close() error { return nil }
