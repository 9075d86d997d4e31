package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"

	"github.com/slipwayhq/slipway/internal/lifecycle"
)

// floor is the least that a proxy written with net/http can cost: it moves
// bytes and understands none of them. keeps makes it answer equal requests from
// memory.
type floor struct {
	upstream string
	client   *http.Client
	keeps    bool
	kept     sync.Map // answers, by request without its id
}

func runFloor(keeps bool) func(ctx context.Context, ready func(addr string)) error {
	return func(ctx context.Context, ready func(addr string)) error {
		f := &floor{
			upstream: "http://" + os.Getenv(upstreamVariable), keeps: keeps,
			client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}},
		}
		addr := ""
		server := lifecycle.HTTPServer{
			Addr: "127.0.0.1:0", Handler: f, Log: slog.New(slog.DiscardHandler),
			OnListen: func(at net.Addr) { addr = at.String() },
		}
		return server.Run(ctx, func() { ready(addr) })
	}
}

// ServeHTTP answers one request.
func (f *floor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := make([]byte, max(r.ContentLength, 0))
	if _, err := io.ReadFull(r.Body, body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer, err := f.fetch(r.Context(), body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	_, _ = w.Write(answer) // the client is gone
}

func (f *floor) fetch(ctx context.Context, body []byte) ([]byte, error) {
	if !f.keeps {
		return f.forward(ctx, body)
	}
	before, id, after := cutID(body)
	key := string(before) + string(after)
	kept, ok := f.kept.Load(key)
	if !ok {
		answer, err := f.forward(ctx, body)
		if err != nil {
			return nil, err
		}
		kept, _ = f.kept.LoadOrStore(key, answer)
	}
	before, _, after = cutID(kept.([]byte)) //nolint:forcetypeassert // nothing else is stored
	return bytes.Join([][]byte{before, after}, id), nil
}

// cutID cuts at the first id; the ids within a batch never differ here.
func cutID(text []byte) (before, id, after []byte) {
	const name = `"id":`
	i := bytes.Index(text, []byte(name))
	if i < 0 {
		return text, nil, nil
	}
	i += len(name)
	end := i + max(bytes.IndexAny(text[i:], ",}"), 0)
	return text[:i], text[i:end], text[end:]
}

func (f *floor) forward(ctx context.Context, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.upstream, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.ContentLength < 0 {
		return nil, fmt.Errorf("an answer without a length")
	}
	answer := make([]byte, resp.ContentLength)
	_, err = io.ReadFull(resp.Body, answer)
	return answer, err
}
