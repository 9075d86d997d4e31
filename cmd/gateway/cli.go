package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"github.com/slipwayhq/slipway/internal/cli"
	"github.com/slipwayhq/slipway/internal/config"
	"github.com/slipwayhq/slipway/internal/gatewayapp"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/telemetry"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

// grammar is the command line.
type grammar struct {
	Serve       serveCmd    `cmd:"" default:"withargs" help:"Serve JSON-RPC (default)."`
	CheckConfig checkConfig `cmd:"" help:"Check a configuration file: every problem, and every key without effect."`
	PrintConfig printConfig `cmd:"" help:"Print the configuration with every default, as YAML. Secrets are not shown."`
	Validate    validateCmd `cmd:"" help:"Look at every node: chain, head, state, methods. Exit code 1 when one cannot be used."`
	Schema      struct{}    `cmd:"" help:"Print the JSON Schema of the configuration file, for editors."`
	Version     cli.Version `cmd:"" help:"Print the version."`
}

// settings is what can be set by flags.
type settings struct {
	Config      string   `help:"Configuration file (YAML). Flags win over it." placeholder:"FILE"`
	Upstream    []string `help:"URL of a node, the preferred one first. Repeatable." placeholder:"URL" sep:"none"`
	ChainID     uint64   `name:"chain-id" help:"Chain id the nodes must show. Default: that of the first node reached."`
	Listen      string   `help:"Address for clients. Default: :4000." placeholder:"HOST:PORT"`
	AdminListen string   `help:"Address for metrics and probes. Default: :4001." placeholder:"HOST:PORT"`
	Redis       string   `help:"Redis that keeps answers (env SLIPWAY_REDIS_URL)." placeholder:"URL"`
	LogLevel    string   `help:"debug, info, warn or error. Default: info." placeholder:"LEVEL"`
	LogFormat   string   `help:"json or text. Default: json." placeholder:"FORMAT"`
}

type serveCmd struct{ settings }

type printConfig struct{ settings }

type checkConfig struct {
	File string `arg:"" help:"Configuration file (YAML)."`
}

// run is the whole program. It returns the exit code.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	var c grammar
	program := cli.Program{Name: "gateway", Description: "JSON-RPC gateway for Hyperledger Besu networks.", Stdout: stdout, Stderr: stderr}
	return program.Run(&c, args, func(command string) error {
		switch command {
		case "check-config <file>":
			return c.CheckConfig.run(getenv, stdout, stderr)
		case "validate":
			return c.Validate.run(ctx, getenv, stdout)
		case "schema":
			_, err := io.WriteString(stdout, config.GatewaySchema())
			return err
		case "print-config":
			return c.PrintConfig.run(getenv, stdout)
		default:
			return c.Serve.serve(ctx, getenv, stderr)
		}
	})
}

// run prints every problem in a line of its own, or OK and the warnings.
func (c *checkConfig) run(getenv func(string) string, stdout, stderr io.Writer) error {
	cfg, err := config.LoadGateway(c.File, getenv)
	if err == nil {
		if _, err = gatewayapp.New(cfg.App, gatewayapp.Deps{Log: slog.New(slog.DiscardHandler)}); err != nil {
			err = errors.New(c.File + ": " + strings.ReplaceAll(err.Error(), "\n", "\n"+c.File+": "))
		}
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return fmt.Errorf("%s cannot be used, problems: %d", c.File, strings.Count(err.Error(), "\n")+1)
	}
	for _, warning := range cfg.Warnings {
		fmt.Fprintln(stdout, "warning: "+warning)
	}
	fmt.Fprintln(stdout, "OK")
	return nil
}

func (p *printConfig) run(getenv func(string) string, stdout io.Writer) error {
	cfg, err := p.configuration(getenv)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	text, err := cfg.YAML()
	if err != nil {
		return err
	}
	_, err = stdout.Write(text)
	return err
}

func (s *settings) serve(ctx context.Context, getenv func(string) string, stderr io.Writer) error {
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
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	r := &reloader{settings: s, getenv: getenv, app: app, log: log, started: cfg, hangup: hangup, every: watchEvery}
	watched, stop := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { r.run(watched) })
	defer func() {
		stop()
		watching.Wait()
	}()
	return app.Run(ctx, func() {})
}

// configuration puts together the defaults, the file, the environment and the
// flags; what comes later wins.
func (s *settings) configuration(getenv func(string) string) (config.Gateway, error) {
	cfg := config.DefaultGateway()
	if s.Config != "" {
		var err error
		if cfg, err = config.LoadGateway(s.Config, getenv); err != nil {
			return config.Gateway{}, err
		}
	}
	if err := s.override(&cfg.App, &cfg.Logging, getenv); err != nil {
		return cfg, err
	}
	document, err := cfg.YAML()
	cfg.App.Document = string(document)
	return cfg, err
}

// override sets what the flags and the environment say over the file.
func (s *settings) override(cfg *gatewayapp.Config, logging *telemetry.LogConfig, getenv func(string) string) error {
	if len(s.Upstream) > 0 {
		cfg.Pool().Upstreams = nil
		for _, u := range s.Upstream {
			cfg.Pool().Upstreams = append(cfg.Pool().Upstreams, upstreams.Endpoint{URL: secret.New(u)})
		}
	}
	if s.ChainID != 0 {
		cfg.Pool().ChainID = s.ChainID
	}
	if s.Listen != "" {
		cfg.Listen = s.Listen
	}
	if s.AdminListen != "" {
		cfg.AdminListen = s.AdminListen
	}
	if redis := getenv("SLIPWAY_REDIS_URL"); redis != "" {
		cfg.Cache.Redis.Conn.URL = secret.New(redis)
	}
	if s.Redis != "" {
		cfg.Cache.Redis.Conn.URL = secret.New(s.Redis)
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
