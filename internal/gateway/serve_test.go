package gateway_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/gateway"
	"github.com/slipwayhq/slipway/internal/upstreams/upstreamtest"
)

// post sends a request with header fields, given as names and values.
func (w *world) post(t *testing.T, body string, fields ...string) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
	for i := 0; i < len(fields); i += 2 {
		request.Header.Set(fields[i], fields[i+1])
	}
	recorder := httptest.NewRecorder()
	w.gateway.ServeHTTP(recorder, request)
	return recorder
}

func gzipText(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	writer := gzip.NewWriter(&out)
	_, err := io.WriteString(writer, text)
	require.NoError(t, err)
	require.NoError(t, writer.Close())
	return out.String()
}

func TestCompression_BothWays(t *testing.T) {
	t.Parallel()

	w := newWorld(t, 1, func(c *worldConfig) { c.MaxBodyBytes = 10_000 })
	large := `"0x` + strings.Repeat("ab", 100_000) + `"`
	w.nodes[0].Answer("eth_getCode", upstreamtest.Result(large))
	w.nodes[0].Answer("eth_call", upstreamtest.Result(`"0x`+strings.Repeat("ab", 1000)+`"`))
	const code = `{"id":1,"method":"eth_getCode","params":["0xab","0x1"]}`
	zstdWriter, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	bodies := map[string]string{"gzip": gzipText(t, code), "zstd": string(zstdWriter.EncodeAll([]byte(code), nil)), "": code}
	for name, body := range bodies {
		for _, sent := range []string{body, body} { // the second with pooled readers and writers
			got := w.post(t, sent, "Content-Encoding", name, "Accept-Encoding", name)
			require.Equal(t, 200, got.Code)
			require.Equal(t, name, got.Header().Get("Content-Encoding"))
			require.Equal(t, "Accept-Encoding", got.Header().Get("Vary"))
			require.Equal(t, name != "", got.Header().Get("Content-Length") == "", "a coded answer's length is not known")
			text := io.Reader(got.Body)
			switch name {
			case "gzip":
				text, err = gzip.NewReader(got.Body)
			case "zstd":
				text, err = zstd.NewReader(got.Body)
			}
			require.NoError(t, err)
			plain, err := io.ReadAll(text)
			require.NoError(t, err)
			require.Equal(t, `{"jsonrpc":"2.0","id":1,"result":`+large+`}`, string(plain))
		}
	}

	small := w.post(t, `{"id":1,"method":"eth_chainId"}`, "Accept-Encoding", "gzip")
	require.Empty(t, small.Header().Get("Content-Encoding"), "small answers are sent as they are")
	batch := w.post(t, `[`+strings.Replace(code, "eth_getCode", "eth_call", 1)+`]`, "Accept-Encoding", "gzip")
	require.Equal(t, "gzip", batch.Header().Get("Content-Encoding"))

	require.Equal(t, 413, w.post(t, gzipText(t, strings.Repeat(" ", 10_001)), "Content-Encoding", "gzip").Code)
	require.Equal(t, 200, w.post(t, gzipText(t, strings.Repeat(" ", 10_000-len(code))+code), "Content-Encoding", "gzip").Code)
	require.Equal(t, 400, w.post(t, code, "Content-Encoding", "gzip").Code)
	unknown := w.post(t, code, "Content-Encoding", "br")
	require.Equal(t, 415, unknown.Code)
	require.Equal(t, "zstd, gzip, identity", unknown.Header().Get("Accept-Encoding"))
}

func TestCompression_Off(t *testing.T) {
	t.Parallel()

	w := newWorld(t, 1, func(c *worldConfig) { c.Compression = false })
	w.nodes[0].Answer("eth_getCode", upstreamtest.Result(`"0x`+strings.Repeat("ab", 100_000)+`"`))
	const code = `{"id":1,"method":"eth_getCode","params":["0xab","0x1"]}`
	got := w.post(t, code, "Accept-Encoding", "gzip, zstd")
	require.Equal(t, 200, got.Code)
	require.NotContains(t, got.Header(), "Content-Encoding")
	require.NotContains(t, got.Header(), "Vary")
	got = w.post(t, gzipText(t, code), "Content-Encoding", "gzip")
	require.Equal(t, 415, got.Code)
	require.Equal(t, "identity", got.Header().Get("Accept-Encoding"))
}

func (w *world) options(t *testing.T, origin string) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodOptions, "/main/evm/31337", nil)
	request.Header.Set("Origin", origin)
	request.Header.Set("Access-Control-Request-Method", "POST")
	recorder := httptest.NewRecorder()
	w.gateway.ServeHTTP(recorder, request)
	return recorder
}

func TestCORS_EveryPageByDefault(t *testing.T) {
	t.Parallel()

	w := newWorld(t, 1, nil)
	preflight := w.options(t, "https://app.example.org")
	require.Equal(t, 204, preflight.Code)
	require.Equal(t, http.Header{
		"Allow":                         {"GET, HEAD, OPTIONS, POST"},
		"Access-Control-Allow-Origin":   {"*"},
		"Access-Control-Allow-Methods":  {"GET, HEAD, POST"},
		"Access-Control-Allow-Headers":  {"*, Authorization"},
		"Access-Control-Expose-Headers": {"*"},
		"Access-Control-Max-Age":        {"7200"},
	}, preflight.Header())

	got := w.post(t, `{"id":1,"method":"eth_chainId"}`, "Origin", "https://app.example.org")
	require.Equal(t, "*", got.Header().Get("Access-Control-Allow-Origin"))
	require.Empty(t, got.Header().Get("Vary"))
	require.Equal(t, "*", w.post(t, `{`, "Origin", "null").Header().Get("Access-Control-Allow-Origin"), "pages can read errors")
	require.Empty(t, w.post(t, `{"id":1,"method":"eth_chainId"}`).Header().Get("Access-Control-Allow-Origin"))
}

func TestCORS_SomePages(t *testing.T) {
	t.Parallel()

	w := newWorld(t, 1, func(c *worldConfig) { c.project.CORS.AllowedOrigins = []string{"https://*.example.org"} })
	w.nodes[0].Answer("eth_getCode", upstreamtest.Result(`"0x`+strings.Repeat("ab", 1000)+`"`))
	const chainID, code = `{"id":1,"method":"eth_chainId"}`, `{"id":1,"method":"eth_getCode","params":["0xab","0x1"]}`
	require.Equal(t, "https://app.example.org", w.options(t, "https://app.example.org").Header().Get("Access-Control-Allow-Origin"))
	got := w.post(t, chainID, "Origin", "https://app.example.org")
	require.Equal(t, "https://app.example.org", got.Header().Get("Access-Control-Allow-Origin"))
	require.Equal(t, "Origin", got.Header().Get("Vary"))
	require.Equal(t, "Origin", w.post(t, chainID).Header().Get("Vary"), "caches must not give this answer to a page")
	require.Equal(t, "Origin, Accept-Encoding", w.post(t, code).Header().Get("Vary"))

	refused := w.options(t, "https://example.com")
	require.Equal(t, 204, refused.Code)
	require.Equal(t, http.Header{"Allow": {"GET, HEAD, OPTIONS, POST"}, "Vary": {"Origin"}}, refused.Header())
}

// origin is what an answer's header tells about where it came from.
func origin(answer *httptest.ResponseRecorder) map[string]string {
	told := map[string]string{}
	for name, values := range answer.Header() {
		if rest, ok := strings.CutPrefix(name, "X-Erpc-"); ok {
			told[rest] = values[0]
		}
	}
	return told
}

func TestExecutionHeaders(t *testing.T) {
	t.Parallel()

	const final, other = `{"id":1,"method":"eth_getCode","params":["0xab","0x1"]}`, `{"id":1,"method":"eth_getCode","params":["0xac","0x1"]}`
	const own, denied, broken = `{"id":1,"method":"eth_chainId"}`, `{"id":1,"method":"admin_peers"}`, `{"id":1,"method":"eth_gasPrice"}`
	type told = map[string]string
	steps := []struct {
		body         string
		all, summary told
	}{
		{final, told{"Cache": "MISS", "Upstream": "?", "Attempts": "1", "Finality": "finalized", "Version": "test", "Duration": "?"}, told{"Cache": "MISS", "Version": "test"}},
		{final, told{"Cache": "HIT", "Age": "0", "Finality": "finalized", "Version": "test", "Duration": "?"}, told{"Cache": "HIT", "Version": "test"}},
		{own, told{"Version": "test", "Duration": "?"}, told{"Version": "test"}},
		{denied, told{"Version": "test", "Duration": "?"}, told{"Version": "test"}},
		{broken, told{"Cache": "MISS", "Upstream": "?", "Attempts": "1", "Version": "test", "Duration": "?"}, told{"Cache": "MISS", "Version": "test"}},
		{"[" + final + "," + other + "]", told{"Cache": "PARTIAL:1", "Version": "test", "Duration": "?"}, told{"Cache": "PARTIAL:1", "Version": "test"}},
		{"[" + final + "," + other + "," + own + "]", told{"Cache": "HIT", "Version": "test", "Duration": "?"}, told{"Cache": "HIT", "Version": "test"}},
		{"[" + broken + "]", told{"Cache": "MISS", "Version": "test", "Duration": "?"}, told{"Cache": "MISS", "Version": "test"}},
		{"[" + denied + "]", told{"Version": "test", "Duration": "?"}, told{"Version": "test"}},
	}
	for _, level := range []gateway.ExecutionHeaders{gateway.ExecutionAll, gateway.ExecutionSummary, gateway.ExecutionOff} {
		w := newWorld(t, 1, func(c *worldConfig) { c.ExecutionHeaders = level })
		w.nodes[0].Answer("eth_getCode", upstreamtest.Result(`"0xab"`))
		w.nodes[0].Answer("eth_gasPrice", upstreamtest.Answer{Error: `{"code":3,"message":"execution reverted"}`})
		for i, step := range steps {
			got := origin(w.post(t, step.body))
			want := map[gateway.ExecutionHeaders]told{gateway.ExecutionAll: step.all, gateway.ExecutionSummary: step.summary, gateway.ExecutionOff: {}}[level]
			for _, name := range []string{"Upstream", "Duration"} {
				if value, isTold := got[name]; isTold {
					require.NotEmpty(t, value)
					require.NotContains(t, value, "://")
					got[name] = "?"
				}
			}
			require.Equal(t, want, got, "%s, step %d", level, i)
		}
	}
}

func TestExecutionHeaders_AttemptsAndFinality(t *testing.T) {
	t.Parallel()

	w := newWorld(t, 2, func(c *worldConfig) {
		c.pool.Finality = chain.Finality{Mode: chain.ByDepth, Depth: 10}
		c.pool.PollInterval = time.Hour
	})
	w.nodes[0].SetFault("eth_getBalance", upstreamtest.ServerDown)
	w.nodes[1].Answer("eth_getBalance", upstreamtest.Result(`"0x5"`))
	stateAt(w.nodes[1])
	final, newest := fmt.Sprintf("0x%x", upstreamtest.Head-11), fmt.Sprintf("0x%x", upstreamtest.Head)
	receipt := func(block string) string {
		return `{"transactionHash":"0xaa","blockHash":"0x` + strings.Repeat("b", 64) + `","blockNumber":"` + block + `"}`
	}
	for _, node := range w.nodes {
		node.AnswerFunc("eth_getTransactionReceipt", func(params string) upstreamtest.Answer {
			switch {
			case strings.Contains(params, "0xf"):
				return upstreamtest.Result(receipt(final))
			case strings.Contains(params, "0xe"):
				return upstreamtest.Result(receipt(newest))
			default:
				return upstreamtest.Result("null")
			}
		})
	}

	hash := func(digit string) string { return `["0x` + strings.Repeat(digit, 64) + `"]` }
	cases := map[string]struct{ method, params, attempts, finality string }{
		"another node":                 {"eth_getBalance", `["0xab","` + newest + `"]`, "2", "unfinalized"},
		"a final answer by hash":       {"eth_getTransactionReceipt", hash("f"), "1", "finalized"},
		"one that may go":              {"eth_getTransactionReceipt", hash("e"), "1", "unfinalized"},
		"one that says no block":       {"eth_getTransactionReceipt", hash("d"), "", "unknown"},
		"one of the newest block":      {"eth_getBlockByNumber", `["latest",false]`, "1", "realtime"},
		"one of the pending block":     {"eth_getBlockByNumber", `["pending",false]`, "", ""},
		"what is no read, so has none": {"eth_sendRawTransaction", `["0x01"]`, "", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			request := `{"id":1,"method":"` + c.method + `","params":` + c.params + `}`
			got := origin(w.post(t, request))
			require.Equal(t, c.finality, got["Finality"])
			require.Equal(t, c.finality, origin(w.post(t, request))["Finality"], "from the cache")
			if c.attempts != "" {
				require.Equal(t, c.attempts, got["Attempts"])
			}
		})
	}
}
