package gatewayapp_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/slipwayhq/slipway/internal/gatewayapp"
	"github.com/slipwayhq/slipway/internal/upstreams/upstreamtest"
)

const (
	// attackers is how many hostile clients work at a time.
	attackers = 8
	// floodHeap bounds the heap of the whole test process during each flood: eight
	// bodies of the limit of 10 MiB, what their buffers grew out of, and as much
	// again that the collector has not taken yet.
	floodHeap = 384 << 20
	// patience is the time limit for slow clients, where they are what a flood is about.
	patience = 500 * time.Millisecond
	// nodeConnections bounds the connections to the node, which are kept after a
	// flood with two goroutines at the gateway's end and one at the node's.
	nodeConnections = 8
	// release is how long it may take until nothing of an attack is left.
	release = 10 * time.Second
)

// TestHostile_FloodsAreBounded attacks gateways of default configuration, one with
// shortened time limits for slow clients, while a good client goes on getting right
// answers. The floods follow one another: each looks at the whole process.
func TestHostile_FloodsAreBounded(t *testing.T) { //nolint:paralleltest // see above
	node := upstreamtest.New(t)
	node.Answer("eth_getBalance", upstreamtest.Result(`"0x2a"`))
	node.Answer("eth_getCode", upstreamtest.Result(`"0x`+strings.Repeat("60", hugeAnswer/2)+`"`))
	cfg := config(node)
	cfg.Pool().MaxConnections = nodeConnections
	patient := start(t, cfg)
	cfg.ReadTimeout, cfg.Front.AnswerTimeout = patience, patience
	impatient := start(t, cfg)
	for _, flood := range []struct { //nolint:paralleltest // see above
		name   string
		app    *gatewayapp.App
		attack func(t *testing.T, app *gatewayapp.App)
	}{
		{"200 MB announced", patient, announceTooMuch},
		{"200 MB in chunks", patient, sendTooMuch},
		{"a body that does not end", impatient, trickle("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\n \r\n", 408)},
		{"a body that stops", impatient, trickle("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n", "", 408)},
		{"a header that does not end", impatient, trickle("POST / HTTP/1.1\r\nHost: x\r\n", "X: a\r\n", 0)},
		{"connections without a word", impatient, trickle("", "", 0)},
		{"connections that leave", patient, leave},
		{"bombs of gzip", patient, bomb("gzip", gzipBomb(t))},
		{"bombs of zstd", patient, bomb("zstd", zstdBomb(t))},
		{"deep and broad bodies", patient, deepAndBroad()},
		{"answers that are not read", impatient, neverRead},
		{"streams that are reset", patient, resetRapidly},
		{"streams that are never complete", impatient, holdStreams},
		{"a header in endless pieces", patient, continueForever},
		{"pings without an end", patient, pingForever},
	} {
		t.Run(flood.name, func(t *testing.T) {
			runtime.GC()
			before := runtime.NumGoroutine()
			heap, good := watchHeap(t), keepAsking(t, flood.app)
			var all sync.WaitGroup
			for range attackers {
				all.Go(func() { flood.attack(t, flood.app) })
			}
			all.Wait()
			require.NotZero(t, good(), "the good client was not served")
			require.Less(t, heap(), int64(floodHeap), "bytes of heap")
			require.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+3*nodeConnections+attackers }, release, 10*time.Millisecond,
				"goroutines stay: %d before", before)
		})
	}
}

// watchHeap samples the memory in use on the heap. The returned function tells the most seen.
func watchHeap(t *testing.T) (most func() int64) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var peak atomic.Int64
	var done sync.WaitGroup
	done.Go(func() {
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}}
		for ctx.Err() == nil {
			metrics.Read(samples)
			peak.Store(max(peak.Load(), int64(samples[0].Value.Uint64()+samples[1].Value.Uint64())))
			<-ticker.C
		}
	})
	return func() int64 {
		cancel()
		done.Wait()
		t.Logf("at most %d MiB of heap", peak.Load()>>20)
		return peak.Load()
	}
}

// keepAsking is a good client: every answer must be right. The returned function
// ends it and tells how many there were.
func keepAsking(t *testing.T, app *gatewayapp.App) (stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{}}
	var wrong []string
	var count int
	var done sync.WaitGroup
	done.Go(func() {
		for ctx.Err() == nil {
			count++
			body := fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"eth_getBalance","params":["0x%040x","latest"]}`, count, count)
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+app.Addr(), strings.NewReader(body)) //nolint:contextcheck // the last one is answered, too
			if err != nil {
				wrong = append(wrong, err.Error())
				return
			}
			response, err := client.Do(request)
			if err != nil {
				wrong = append(wrong, err.Error())
				continue
			}
			text, err := io.ReadAll(response.Body)
			response.Body.Close()
			if want := fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"result":"0x2a"}`, count); err != nil || string(text) != want {
				wrong = append(wrong, fmt.Sprintf("%d %s %v", response.StatusCode, text, err))
			}
			select {
			case <-ctx.Done():
			case <-time.After(2 * time.Millisecond):
			}
		}
	})
	return func() int {
		cancel()
		done.Wait()
		client.CloseIdleConnections()
		require.Empty(t, wrong)
		t.Logf("%d right answers to the good client", count)
		return count
	}
}

// connect is dialRaw for the goroutines of an attack: what goes wrong is in the error.
func connect(t *testing.T, app *gatewayapp.App) (net.Conn, error) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", app.Addr())
	if err != nil {
		return nil, err
	}
	return conn, conn.SetDeadline(time.Now().Add(30 * time.Second))
}

// firstStatus is the status of the first answer, 0 when there is none.
func firstStatus(t *testing.T, conn net.Conn) int {
	t.Helper()
	answers, _ := readAnswers(t, conn, 1)
	if len(answers) == 0 {
		return 0
	}
	return answers[0].status
}

const tooMuch = 200 << 20

// taken writes until the other side takes no more, and says how much it took.
func taken(conn net.Conn, pieces func() []byte, limit int) int {
	sent := 0
	for sent < limit {
		n, err := conn.Write(pieces())
		sent += n
		if err != nil {
			break
		}
	}
	return sent
}

// kernelBuffers is the most that the kernel may hold of one connection.
const kernelBuffers = 12 << 20

func announceTooMuch(t *testing.T, app *gatewayapp.App) {
	t.Helper()
	conn, err := connect(t, app)
	if !requireInAttack(t, err) {
		return
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", tooMuch)
	var writing sync.WaitGroup
	piece := bytes.Repeat([]byte(" "), 64<<10)
	sent := 0
	writing.Go(func() { sent = taken(conn, func() []byte { return piece }, tooMuch) })
	status := firstStatus(t, conn)
	conn.Close()
	writing.Wait()
	if status != 413 || sent > kernelBuffers {
		t.Errorf("status %d, %d bytes taken", status, sent)
	}
}

func sendTooMuch(t *testing.T, app *gatewayapp.App) {
	t.Helper()
	conn, err := connect(t, app)
	if !requireInAttack(t, err) {
		return
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
	piece := []byte("10000\r\n" + strings.Repeat(" ", 64<<10) + "\r\n")
	var writing sync.WaitGroup
	sent := 0
	writing.Go(func() { sent = taken(conn, func() []byte { return piece }, tooMuch) })
	status := firstStatus(t, conn)
	conn.Close()
	writing.Wait()
	if status != 413 || sent > 11<<20+kernelBuffers {
		t.Errorf("status %d, %d bytes taken", status, sent)
	}
}

func requireInAttack(t *testing.T, err error) bool {
	t.Helper()
	if err != nil {
		t.Errorf("attack: %v", err)
	}
	return err == nil
}

// trickle begins and then sends piece after piece, slowly. The gateway must end
// the connection in time, with the given status or without one.
func trickle(begin, piece string, status int) func(*testing.T, *gatewayapp.App) {
	return func(t *testing.T, app *gatewayapp.App) {
		t.Helper()
		conn, err := connect(t, app)
		if !requireInAttack(t, err) {
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, begin)
		began := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		var writing sync.WaitGroup
		writing.Go(func() {
			for ctx.Err() == nil && piece != "" {
				fmt.Fprint(conn, piece)
				<-time.After(20 * time.Millisecond)
			}
		})
		got := firstStatus(t, conn)
		took := time.Since(began)
		cancel()
		writing.Wait()
		if got != status || took > release {
			t.Errorf("status %d after %s", got, took)
		}
	}
}

// leave opens connections and closes them, or half of them, at every point.
func leave(t *testing.T, app *gatewayapp.App) {
	t.Helper()
	whole := rawPost(balance)
	for at := 0; at <= len(whole); at += 8 {
		for _, half := range []bool{true, false} {
			conn, err := connect(t, app)
			if !requireInAttack(t, err) {
				return
			}
			fmt.Fprint(conn, whole[:at])
			if half {
				closeWrite(conn)
				_, _ = io.Copy(io.Discard, conn)
			}
			conn.Close()
		}
	}
}

// A bomb is so many pieces of a megabyte of zeros, which gzip makes a kilobyte of.
const bombPieces = 1 << 10

func gzipBomb(t *testing.T) []byte {
	t.Helper()
	var one bytes.Buffer
	w, err := gzip.NewWriterLevel(&one, gzip.BestCompression)
	require.NoError(t, err)
	_, err = w.Write(make([]byte, 1<<20))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return bytes.Repeat(one.Bytes(), bombPieces) // members on end are one text
}

func zstdBomb(t *testing.T) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	require.NoError(t, err)
	return bytes.Repeat(w.EncodeAll(make([]byte, 1<<20), nil), bombPieces) // so are frames
}

func bomb(coding string, body []byte) func(*testing.T, *gatewayapp.App) {
	return func(t *testing.T, app *gatewayapp.App) {
		t.Helper()
		head := fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n", coding, len(body))
		if status := send(t, app, head, body); status != 413 {
			t.Errorf("status %d", status)
		}
	}
}

// send sends a request on a connection of its own and returns the status. The
// gateway need not read the request to its end.
func send(t *testing.T, app *gatewayapp.App, head string, body []byte) int {
	t.Helper()
	conn, err := connect(t, app)
	if !requireInAttack(t, err) {
		return 0
	}
	var writing sync.WaitGroup
	writing.Go(func() {
		_, _ = io.WriteString(conn, head) // as above
		_, _ = conn.Write(body)
	})
	status := firstStatus(t, conn)
	conn.Close()
	writing.Wait()
	return status
}

// deepAndBroad sends bodies that cost most to look at, one each attacker.
func deepAndBroad() func(*testing.T, *gatewayapp.App) {
	const size = 4 << 20
	bodies := [][]byte{
		[]byte(strings.Repeat("[", size)),
		[]byte("[" + strings.Repeat("1,", size/2)),
		[]byte(`{"id":1,"method":"eth_call","params":` + strings.Repeat(`{"a":`, size/5)),
		[]byte(`{"id":1,"method":"eth_call"` + strings.Repeat(`,"a":1`, size/6)),
		[]byte(`"` + strings.Repeat(`\u0000`, size/6) + `"`),
	}
	var turn atomic.Int64
	return func(t *testing.T, app *gatewayapp.App) {
		t.Helper()
		body := bodies[int(turn.Add(1))%len(bodies)]
		head := fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", len(body))
		if status := send(t, app, head, body); status != 400 {
			t.Errorf("status %d for %.40s", status, body)
		}
	}
}

// hugeAnswer is the size of the node's answer that nobody reads, in bytes: more
// than the kernel's buffers take.
const hugeAnswer = 20 << 20

// neverRead asks for an answer of 20 MB and does not take it.
func neverRead(t *testing.T, app *gatewayapp.App) {
	t.Helper()
	conn, err := connect(t, app)
	if !requireInAttack(t, err) {
		return
	}
	defer conn.Close()
	fmt.Fprint(conn, rawPost(`{"jsonrpc":"2.0","id":1,"method":"eth_getCode","params":["0x0000000000000000000000000000000000000001","latest"]}`))
	begin := make([]byte, 1)
	_, err = conn.Read(begin) // the answer is there
	if !requireInAttack(t, err) {
		return
	}
	<-time.After(2 * patience)
	if n, err := io.Copy(io.Discard, conn); n >= hugeAnswer {
		t.Errorf("%d bytes came, %v", n, err)
	}
}

// h2 is a connection of HTTP/2 without TLS that is ready for frames.
type h2 struct {
	*http2.Framer

	conn net.Conn
}

func dialH2(t *testing.T, app *gatewayapp.App) (*h2, error) {
	t.Helper()
	conn, err := connect(t, app)
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		return nil, err
	}
	c := &h2{http2.NewFramer(conn, conn), conn}
	return c, c.WriteSettings()
}

// fields are those of a request, coded.
func (c *h2) fields() []byte {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, f := range []hpack.HeaderField{{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "http"}, {Name: ":path", Value: "/"}, {Name: ":authority", Value: "x"}} {
		_ = encoder.WriteField(f) // a buffer takes everything
	}
	return block.Bytes()
}

// drain takes what comes until the connection ends.
func (c *h2) drain() {
	for {
		if _, err := c.ReadFrame(); err != nil {
			return
		}
	}
}

// resetRapidly opens streams and resets them at once (CVE-2023-44487).
func resetRapidly(t *testing.T, app *gatewayapp.App) {
	t.Helper()
	c, err := dialH2(t, app)
	if !requireInAttack(t, err) {
		return
	}
	defer c.conn.Close()
	go c.drain()
	body := []byte(balance)
	for i := range uint32(500) {
		id := 2*i + 1
		block := c.fields()
		if c.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndHeaders: true}) != nil ||
			c.WriteData(id, true, body) != nil || c.WriteRSTStream(id, http2.ErrCodeCancel) != nil {
			return // the gateway has had enough
		}
	}
}

// holdStreams opens more streams than one connection may have and completes none.
func holdStreams(t *testing.T, app *gatewayapp.App) {
	t.Helper()
	c, err := dialH2(t, app)
	if !requireInAttack(t, err) {
		return
	}
	defer c.conn.Close()
	var refused, ended atomic.Int64
	var reading sync.WaitGroup
	reading.Go(func() {
		for ended.Load()+refused.Load() < 300 {
			frame, err := c.ReadFrame()
			if err != nil {
				return
			}
			switch f := frame.(type) {
			case *http2.RSTStreamFrame:
				refused.Add(1)
			case *http2.DataFrame:
				if f.StreamEnded() {
					ended.Add(1)
				}
			}
		}
	})
	for i := range uint32(300) {
		if c.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: c.fields(), EndHeaders: true}) != nil {
			break
		}
	}
	reading.Wait()
	if refused.Load() < 50 {
		t.Errorf("%d of 300 streams refused", refused.Load())
	}
}

// continueForever sends a header whose end never comes (CVE-2023-45288).
func continueForever(t *testing.T, app *gatewayapp.App) {
	t.Helper()
	c, err := dialH2(t, app)
	if !requireInAttack(t, err) {
		return
	}
	defer c.conn.Close()
	if c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.fields()}) != nil {
		return
	}
	var writing sync.WaitGroup
	sent := 0
	writing.Go(func() {
		var block bytes.Buffer
		encoder := hpack.NewEncoder(&block)
		_ = encoder.WriteField(hpack.HeaderField{Name: "x", Value: strings.Repeat("a", 8<<10), Sensitive: true}) // as above
		for sent = 0; sent < tooMuch; sent += block.Len() {
			if c.WriteContinuation(1, false, block.Bytes()) != nil {
				return
			}
		}
	})
	c.drain()
	c.conn.Close()
	writing.Wait()
	if sent >= tooMuch {
		t.Errorf("%d bytes of header were taken", sent)
	}
}

// pingForever asks for signs of life without reading them.
func pingForever(t *testing.T, app *gatewayapp.App) {
	t.Helper()
	c, err := dialH2(t, app)
	if !requireInAttack(t, err) {
		return
	}
	defer c.conn.Close()
	_ = c.conn.SetWriteDeadline(time.Now().Add(4 * patience))
	for range 50_000 {
		if c.WritePing(false, [8]byte{1}) != nil {
			return
		}
	}
}
