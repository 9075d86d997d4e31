package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/gatewayapp"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

// measure lets the clients ask a new gateway, before a new node.
func measure(ctx context.Context, o options, maxAge time.Duration) (r *report, err error) {
	c := clock{start: time.Now(), blockTime: o.blockTime}
	n, err := startNode(ctx, c, o.latency)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, n.stop()) }()
	app, stop, err := startGateway(ctx, n.url, maxAge)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()

	before, _ := n.counts()
	crowd := crowd{url: "http://" + app.Addr(), clock: c, oldest: maxAge + o.slack, poll: o.poll, tally: newTally()}
	asking, cancel := context.WithTimeout(ctx, o.duration)
	defer cancel()
	first := c.head(time.Now())
	crowd.ask(asking, o.clients)
	last := c.head(time.Now())
	after, popular := n.counts()
	sources, err := readSources(ctx, "http://"+app.AdminAddr()+"/metrics")
	if err != nil {
		return nil, err
	}
	for method := range after {
		after[method] -= before[method]
	}
	return &report{maxAge: maxAge, allowed: crowd.oldest, sources: sources, nodeCalls: after, popular: popular, blocks: last - first + 1, tally: crowd.tally}, context.Cause(ctx)
}

const startTimeout = 20 * time.Second

// startGateway runs a gateway with its defaults until stop.
func startGateway(ctx context.Context, node string, maxAge time.Duration) (app *gatewayapp.App, stop func() error, err error) {
	cfg := gatewayapp.Default()
	cfg.Listen, cfg.AdminListen, cfg.WaitBeforeShutdown = "127.0.0.1:0", "127.0.0.1:0", 0
	cfg.Pool().ChainID = chainID
	cfg.Pool().Finality = chain.Finality{Mode: chain.Instant}
	cfg.Pool().Upstreams = []upstreams.Endpoint{{URL: secret.New(node)}}
	cfg.Projects[0].Networks[0].LatestMaxAge = maxAge
	if app, err = gatewayapp.New(cfg, gatewayapp.Deps{Log: slog.New(slog.DiscardHandler)}); err != nil {
		return nil, nil, fmt.Errorf("make the gateway: %w", err)
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- app.Run(running, func() { close(ready) }) }() // stop waits for it
	stop = func() error {
		cancel()
		return <-done
	}
	select {
	case <-ready:
		return app, stop, nil
	case <-time.After(startTimeout):
		return nil, nil, errors.Join(errors.New("the gateway does not become ready"), stop())
	case err := <-done:
		cancel()
		return nil, nil, fmt.Errorf("run the gateway: %w", err)
	}
}

// readSources reads who gave the answers off the gateway's page of metrics.
func readSources(ctx context.Context, url string) (sources, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("make a request: %w", err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return nil, fmt.Errorf("read the metrics: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("read the metrics: %w", err)
	}
	return parseSources(string(text))
}
