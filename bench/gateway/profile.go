package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/pprof"

	"github.com/slipwayhq/slipway/internal/gatewayapp"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/telemetry"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

// runProfiledGateway is the gateway as its program runs it, with a CPU profile.
func runProfiledGateway(ctx context.Context, ready func(addr string)) error {
	log, err := telemetry.NewLogger(os.Stderr, telemetry.LogConfig{})
	if err != nil {
		return err
	}
	cfg := gatewayapp.Default()
	cfg.Listen, cfg.AdminListen = os.Getenv(addrVariable), "127.0.0.1:0"
	cfg.Pool().Upstreams = []upstreams.Endpoint{{URL: secret.New("http://" + os.Getenv(upstreamVariable))}}
	app, err := gatewayapp.New(cfg, gatewayapp.Deps{Log: log})
	if err != nil {
		return err
	}
	file, err := os.Create(os.Getenv(profileVariable))
	if err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return errors.Join(err, file.Close())
	}
	err = app.Run(ctx, func() { ready(app.Addr()) })
	pprof.StopCPUProfile()
	return errors.Join(err, file.Close())
}
