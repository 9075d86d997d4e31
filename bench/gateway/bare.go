package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"

	"github.com/valyala/fasthttp"

	"github.com/slipwayhq/slipway/internal/lifecycle"
)

// Bare servers read a request and answer a fixed text: the least that either
// engine costs towards clients (docs/adr, "The HTTP engines").
const (
	targetBareNetHTTP  = "bare-net-http"
	targetBareFastHTTP = "bare-fasthttp"

	bareAnswer = `{"jsonrpc":"2.0","id":1,"result":"0x7a69"}`
)

func bareCases() []testCase {
	return []testCase{{"bare server, a fixed text", []string{call(1, "eth_chainId", "")}, []string{targetBareNetHTTP, targetBareFastHTTP}}}
}

func runBareNetHTTP(ctx context.Context, ready func(addr string)) error {
	addr := ""
	server := lifecycle.HTTPServer{
		Addr: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler), OnListen: func(at net.Addr) { addr = at.String() },
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				return // the client is gone
			}
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", strconv.Itoa(len(bareAnswer)))
			_, _ = io.WriteString(w, bareAnswer) // as above
		}),
	}
	return server.Run(ctx, func() { ready(addr) })
}

func runBareFastHTTP(ctx context.Context, ready func(addr string)) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := fasthttp.Server{
		NoDefaultServerHeader: true,
		Handler: func(r *fasthttp.RequestCtx) {
			r.SetContentType("application/json")
			r.SetBodyString(bareAnswer)
		},
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }() // it ends with the listener
	ready(listener.Addr().String())
	<-ctx.Done()
	return errors.Join(listener.Close(), <-done)
}
