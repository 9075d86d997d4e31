package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/slipwayhq/slipway/internal/cli"
	"github.com/slipwayhq/slipway/internal/config"
	"github.com/slipwayhq/slipway/internal/gatewayapp"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/telemetry"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

// grammar is the command line.
type grammar struct {
	Serve   serveCmd    `cmd:"" default:"withargs" help:"Serve JSON-RPC (default)."`
	Version cli.Version `cmd:"" help:"Print the version."`
}

type serveCmd struct {
	Config      string   `help:"Configuration file (YAML). Flags win over it." placeholder:"FILE"`
	Upstream    []string `help:"URL of a node, the preferred one first. Repeatable." placeholder:"URL" sep:"none"`
	ChainID     uint64   `name:"chain-id" help:"Chain id the nodes must show. Default: that of the first node reached."`
	Listen      string   `help:"Address for clients. Default: :4000." placeholder:"HOST:PORT"`
	AdminListen string   `help:"Address for metrics and probes. Default: :4001." placeholder:"HOST:PORT"`
	Redis       string   `help:"Redis that keeps answers (env SLIPWAY_REDIS_URL)." placeholder:"URL"`
	LogLevel    string   `help:"debug, info, warn or error. Default: info." placeholder:"LEVEL"`
	LogFormat   string   `help:"json or text. Default: json." placeholder:"FORMAT"`
}

// run is the whole program. It returns the exit code.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	var c grammar
	program := cli.Program{Name: "gateway", Description: "JSON-RPC gateway for Hyperledger Besu networks.", Stdout: stdout, Stderr: stderr}
	return program.Run(&c, args, func(string) error { return c.Serve.run(ctx, getenv, stderr) })
}

func (s *serveCmd) run(ctx context.Context, getenv func(string) string, stderr io.Writer) error {
	cfg, err := s.configuration(getenv)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	log, err := telemetry.NewLogger(stderr, cfg.Logging)
	if err != nil {
		return err
	}
	for _, warning := range cfg.Warnings {
		log.WarnContext(ctx, "configuration key without effect", "warning", warning)
	}
	app, err := gatewayapp.New(cfg.App, gatewayapp.Deps{Log: log})
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	return app.Run(ctx, func() {})
}

// configuration puts together the defaults, the file, the environment and the
// flags; what comes later wins.
func (s *serveCmd) configuration(getenv func(string) string) (config.Gateway, error) {
	cfg := config.DefaultGateway()
	if s.Config != "" {
		var err error
		if cfg, err = config.LoadGateway(s.Config, getenv); err != nil {
			return config.Gateway{}, err
		}
	}
	return cfg, s.override(&cfg.App, &cfg.Logging, getenv)
}

// override sets what the flags and the environment say over the file.
func (s *serveCmd) override(cfg *gatewayapp.Config, logging *telemetry.LogConfig, getenv func(string) string) error {
	if len(s.Upstream) > 0 {
		cfg.Pool.Upstreams = nil
		for _, u := range s.Upstream {
			cfg.Pool.Upstreams = append(cfg.Pool.Upstreams, upstreams.Endpoint{URL: secret.New(u)})
		}
	}
	if s.ChainID != 0 {
		cfg.Pool.ChainID = s.ChainID
	}
	if s.Listen != "" {
		cfg.Listen = s.Listen
	}
	if s.AdminListen != "" {
		cfg.AdminListen = s.AdminListen
	}
	if redis := getenv("SLIPWAY_REDIS_URL"); redis != "" {
		cfg.Cache.RedisURL = secret.New(redis)
	}
	if s.Redis != "" {
		cfg.Cache.RedisURL = secret.New(s.Redis)
	}
	if s.LogFormat != "" {
		logging.Format = s.LogFormat
	}
	if s.LogLevel == "" {
		return nil
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.LogLevel)); err != nil {
		return fmt.Errorf("log level %q: must be debug, info, warn or error", s.LogLevel)
	}
	logging.Level = level
	return nil
}
