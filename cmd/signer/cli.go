package main

import (
	"context"
	"fmt"
	"io"

	"github.com/slipwayhq/slipway/internal/cli"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/signerapp"
	"github.com/slipwayhq/slipway/internal/signerconfig"
	"github.com/slipwayhq/slipway/internal/telemetry"
)

// grammar is the command line. What is secret has no flag, since every user of a
// machine can read the arguments of its processes.
type grammar struct {
	Serve   serveCmd    `cmd:"" default:"withargs" help:"Serve REST and JSON-RPC (default)."`
	Keys    keysCmd     `cmd:"" help:"Manage the API keys of callers."`
	Audit   auditCmd    `cmd:"" help:"Verify and prune the audit log."`
	Senders sendersCmd  `cmd:"" help:"Pause the accounts that send."`
	Version cli.Version `cmd:"" help:"Print the version."`
}

type serveCmd struct {
	Config       string `help:"Configuration file (YAML). The environment and flags win over it." placeholder:"FILE"`
	Dev          bool   `help:"Run without authentication, on a loopback address."`
	Gateway      string `help:"JSON-RPC endpoint of the gateway." placeholder:"URL"`
	ChainID      uint64 `name:"chain-id" help:"Chain every transaction is signed for."`
	MnemonicFile string `help:"File with the BIP-39 phrase of the accounts." placeholder:"FILE"`
	Accounts     int    `help:"Number of accounts."`
	Listen       string `help:"Address of REST and JSON-RPC. Default: :3000." placeholder:"HOST:PORT"`
	AdminListen  string `help:"Address of metrics and probes. Default: :3001." placeholder:"HOST:PORT"`
	LogLevel     string `help:"debug, info, warn or error. Default: info." placeholder:"LEVEL"`
	LogFormat    string `help:"json or text. Default: json." placeholder:"FORMAT"`
}

// run is the whole program. It returns the exit code.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	var c grammar
	program := cli.Program{Name: "signer", Description: "Exactly-once transaction signer for Hyperledger Besu networks.", Stdout: stdout, Stderr: stderr}
	return program.Run(&c, args, func(command string) error {
		if command == "serve" {
			return c.Serve.run(ctx, getenv, stderr)
		}
		return c.administer(ctx, command, getenv, stdout)
	})
}

func (s *serveCmd) run(ctx context.Context, getenv func(string) string, stderr io.Writer) error {
	file, err := signerconfig.Load(s.Config, getenv)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	s.override(&file)
	file.Complete()
	logging, err := file.Logging()
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	log, err := telemetry.NewLogger(stderr, logging)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	for _, warning := range file.Warnings() {
		log.WarnContext(ctx, "configuration", "warning", warning)
	}
	app, err := signerapp.New(file.App, signerapp.Deps{Log: log}) //nolint:contextcheck // it calls nobody
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	return app.Run(ctx, func() {
		log.InfoContext(ctx, "signer listens", "addr", app.Addr(), "admin_addr", app.AdminAddr(), "chain_id", file.App.Queue.ChainID)
	})
}

// override sets what the flags say.
func (s *serveCmd) override(file *signerconfig.File) {
	app := &file.App
	app.Dev = app.Dev || s.Dev
	if s.Gateway != "" {
		app.GatewayURL = secret.New(s.Gateway)
	}
	if s.ChainID != 0 {
		app.Queue.ChainID = s.ChainID
	}
	if s.Accounts != 0 {
		app.Keys.Accounts = s.Accounts
	}
	for _, f := range []struct{ flag, target *string }{
		{&s.MnemonicFile, &app.Keys.MnemonicFile},
		{&s.Listen, &app.Listen},
		{&s.AdminListen, &app.AdminListen},
		{&s.LogLevel, &file.LogLevel},
		{&s.LogFormat, &file.LogFormat},
	} {
		if *f.flag != "" {
			*f.target = *f.flag
		}
	}
}
