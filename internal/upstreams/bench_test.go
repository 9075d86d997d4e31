package upstreams

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/telemetry"
)

// echoing answers at once, with the id of the request.
type echoing struct{ n uint64 }

func (e *echoing) roundTrip(context.Context, time.Time, []byte) (httpReply, error) {
	e.n++
	return httpReply{status: http.StatusOK, body: fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%d,"result":"0x1"}`, e.n)}, nil
}

func (*echoing) close()                        {}
func (*echoing) isAlive() (alive, isTold bool) { return true, true }
func (*echoing) opened() uint64                { return 1 }

// BenchmarkDo is the way of a call through the attempt loop, without HTTP.
func BenchmarkDo(b *testing.B) {
	catalogue, cfg := methods.New(), Default()
	cfg.Upstreams = []Endpoint{{URL: secret.New("http://node:1")}}
	pool, err := NewPool(cfg, chain.NewTracker(cfg.Finality), catalogue, telemetry.NewFactory(), slog.New(slog.DiscardHandler))
	require.NoError(b, err)
	pool.upstreams[0].transport = &echoing{}
	pool.upstreams[0].state.Store(uint32(Serving))
	params := []byte(`["0x0000000000000000000000000000000000000001","latest"]`)
	req := Request{Method: "eth_getBalance", Params: params, Facts: catalogue.Describe("eth_getBalance", params)}
	b.ReportAllocs()
	for b.Loop() {
		_, err = pool.Do(b.Context(), req)
	}
	require.NoError(b, err)
}

// BenchmarkReadAnswer is reading an answer's head and body alone.
func BenchmarkReadAnswer(b *testing.B) {
	const text = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: Sat, 21 Nov 2026 12:00:00 GMT\r\nContent-Length: 39\r\n\r\n" +
		`{"jsonrpc":"2.0","id":1,"result":"0x1"}`
	from := strings.NewReader(text)
	b.Run("http1", func(b *testing.B) {
		conn := newHTTP1Conn(nil)
		b.ReportAllocs()
		for b.Loop() {
			from.Reset(text)
			conn.in.Reset(from)
			_, _, err := conn.receive(1000)
			require.NoError(b, err)
		}
	})
	b.Run("net-http", func(b *testing.B) {
		in := bufio.NewReaderSize(nil, readBuffer)
		b.ReportAllocs()
		for b.Loop() {
			from.Reset(text)
			in.Reset(from)
			answer, err := http.ReadResponse(in, nil)
			require.NoError(b, err)
			_, err = readLimited(answer.Body, answer.ContentLength, 1000)
			require.NoError(b, errors.Join(err, answer.Body.Close()))
		}
	})
}

// BenchmarkRoundTrip is one exchange with a server on this machine, whose own
// cost is part of the figures.
func BenchmarkRoundTrip(b *testing.B) {
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"jsonrpc":"2.0","id":1,"result":"0x1"}`))
	}))
	b.Cleanup(node.Close)
	target, err := url.Parse(node.URL)
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(b.Context())
	b.Cleanup(cancel)
	for _, engine := range []struct {
		name string
		transport
	}{{"http1", newHTTP1Transport(target, 1, 1000)}, {"net-http", newHTTPTransport(target, 1, 1000)}} {
		b.Run(engine.name, func(b *testing.B) {
			b.Cleanup(engine.close)
			b.ReportAllocs()
			for b.Loop() {
				_, err = engine.roundTrip(ctx, time.Now().Add(time.Minute), []byte("{}"))
			}
			require.NoError(b, err)
		})
	}
}
