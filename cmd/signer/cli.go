package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/slipwayhq/slipway/internal/buildinfo"
	"github.com/slipwayhq/slipway/internal/config"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/signerapp"
	"github.com/slipwayhq/slipway/internal/telemetry"
)

// cli is the command line. What is secret has no flag, since every user of a
// machine can read the arguments of its processes.
type cli struct {
	Serve   serveCmd   `cmd:"" default:"withargs" help:"Serve REST and JSON-RPC (default)."`
	Version versionCmd `cmd:"" help:"Print the version."`
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

type versionCmd struct{}

// run is the whole program. It returns the exit code.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	var c cli
	exited, code := false, 0 // --help wants to end the program while parsing
	parser, err := kong.New(&c, kong.Name("signer"), kong.Description("Exactly-once transaction signer for Hyperledger Besu networks."),
		kong.Writers(stdout, stderr), kong.Exit(func(wish int) {
			if !exited {
				exited, code = true, wish
			}
		}))
	if err != nil {
		return fail(stderr, err)
	}
	command, err := parser.Parse(args)
	switch {
	case exited:
		return code
	case err != nil:
		return fail(stderr, err)
	case command.Command() == "version":
		fmt.Fprintf(stdout, "signer %s (%s)\n", buildinfo.Version(), buildinfo.Commit())
		return 0
	}
	if err := c.Serve.run(ctx, getenv, stderr); err != nil {
		return fail(stderr, err)
	}
	return 0
}

// fail prints an error in one line.
func fail(stderr io.Writer, err error) int {
	fmt.Fprintf(stderr, "signer: %s\n", strings.ReplaceAll(err.Error(), "\n", "; "))
	return 1
}

func (s *serveCmd) run(ctx context.Context, getenv func(string) string, stderr io.Writer) error {
	file, err := config.LoadSigner(s.Config, getenv)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	s.override(&file)
	logging, err := file.Logging()
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	log, err := telemetry.NewLogger(stderr, logging)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	app, err := signerapp.New(file.App, signerapp.Deps{Log: log})
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	return app.Run(ctx, func() {
		log.InfoContext(ctx, "signer listens", "addr", app.Addr(), "admin_addr", app.AdminAddr(), "chain_id", file.App.Queue.ChainID)
	})
}

// override sets what the flags say.
func (s *serveCmd) override(file *config.SignerFile) {
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
