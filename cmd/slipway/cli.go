package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/slipwayhq/slipway/internal/cli"
	"github.com/slipwayhq/slipway/internal/devstack"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/telemetry"
)

// grammar is the command line.
type grammar struct {
	Dev            devCmd            `cmd:"" help:"Run everything on this machine: chain, database, gateway, signer."`
	Network        networkCmd        `cmd:"" help:"Make and check the material of a Besu network, and change its validators."`
	Bootstrap      bootstrapCmd      `cmd:"" help:"Put the material of a network into Kubernetes, once."`
	CompileGenesis compileGenesisCmd `cmd:"" help:"Write the whole genesis file of the network in Kubernetes."`
	DownloadABI    downloadABICmd    `cmd:"" name:"download-abi" help:"Write the ABI files of the network in Kubernetes."`
	HasuraActions  hasuraActionsCmd  `cmd:"" help:"Write the signer's actions into the metadata of a Hasura, and leave everything else in it."`
	Wait           waitCmd           `cmd:"" help:"Wait until ports, pages, databases and nodes can be used."`
	Render         renderCmd         `cmd:"" help:"Print the objects of Kubernetes that an installation would have."`
	Plan           planCmd           `cmd:"" help:"Show what install or upgrade would change, and what speaks against it."`
	Install        installCmd        `cmd:"" help:"Install the whole stack, and wait until it works."`
	Upgrade        upgradeCmd        `cmd:"" help:"Take an installation to other values or this version, one validator after the other."`
	Rollback       rollbackCmd       `cmd:"" help:"Go back to an earlier revision."`
	Roll           rollCmd           `cmd:"" help:"Take one validator after the other to the template that another tool, such as Argo CD, has given it."`
	Status         statusCmd         `cmd:"" help:"Show how an installation is, and what it waits for."`
	Uninstall      uninstallCmd      `cmd:"" help:"Take an installation away, but for its keys and data."`
	Doctor         doctorCmd         `cmd:"" help:"Look for what is wrong with an installation, and say what to do."`
	Backup         backupCmd         `cmd:"" help:"Keep copies of the signer's database in a store with the API of S3."`
	Snapshot       snapshotCmd       `cmd:"" help:"Make snapshots of the nodes' volumes, and take away the ones that are too many."`
	SupportBundle  bundleCmd         `cmd:"" help:"Write a file with all that somebody needs who is to help, without secrets."`
	Images         imagesCmd         `cmd:"" help:"The images of an installation."`
	Gitops         gitopsCmd         `cmd:"" help:"Write an installation for a tool that keeps a cluster like a repository."`
	CopySelf       copySelfCmd       `cmd:"" hidden:"" help:"Write this program to a file."`
	Idle           idleCmd           `cmd:"" hidden:"" help:"Do nothing until ended."`
	Version        cli.Version       `cmd:"" help:"Print the version."`
}

type devCmd struct {
	Upstream         []string      `help:"URL of a node to use instead of the embedded chain. Repeatable." placeholder:"URL" sep:"none"`
	Postgres         string        `help:"PostgreSQL database to use instead of a private one." placeholder:"DSN"`
	Redis            string        `help:"Redis for the gateway's cache." placeholder:"URL"`
	MnemonicFile     string        `help:"File with the BIP-39 mnemonic of the accounts. Default: the public development phrase." placeholder:"FILE"`
	ChainID          uint64        `name:"chain-id" help:"Chain id. Default: 53771311147, or that of the upstreams." placeholder:"ID"`
	BlockTime        time.Duration `default:"1s" help:"Time between blocks of the embedded chain."`
	GatewayPort      int           `default:"4000" help:"Port of the gateway; 0 takes a free one, here and below."`
	GatewayAdminPort int           `default:"4001" help:"Port of the gateway's metrics and probes."`
	SignerPort       int           `default:"3000" help:"Port of the signer."`
	SignerAdminPort  int           `default:"3001" help:"Port of the signer's metrics and probes."`
	ChainPort        int           `default:"8545" help:"HTTP port of the embedded chain."`
	ChainWSPort      int           `name:"chain-ws-port" default:"8546" help:"WebSocket port of the embedded chain."`
	State            string        `default:".slipway" help:"Folder in which everything is kept." placeholder:"DIR"`
	LogLevel         slog.Level    `default:"warn" help:"debug, info, warn or error."`
}

// run is the whole program. It returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var c grammar
	program := cli.Program{Name: "slipway", Description: "The front door of a Hyperledger Besu network.", Stdout: stdout, Stderr: stderr}
	return program.Run(&c, args, func(command string) error { return c.do(ctx, command, stdout, stderr) })
}

// do runs the chosen command; arguments are part of its name.
func (c *grammar) do(ctx context.Context, command string, stdout, stderr io.Writer) error {
	switch command {
	case "dev":
		return c.Dev.run(ctx, stdout, stderr)
	case "network generate":
		return c.Network.Generate.run(stdout)
	case "network verify":
		return c.Network.Verify.run(ctx, stdout)
	case "network validator key":
		return c.Network.Validator.Key.run(stdout)
	case "network validator add <address>":
		return c.Network.Validator.Add.run(ctx, true, stdout)
	case "network validator remove <address>":
		return c.Network.Validator.Remove.run(ctx, false, stdout)
	case "network validator withdraw <address>":
		return c.Network.Validator.Withdraw.withdraw(ctx, stdout)
	case "bootstrap":
		return c.Bootstrap.run(ctx, stdout)
	case "compile-genesis":
		return c.CompileGenesis.run(ctx, stdout)
	case "download-abi":
		return c.DownloadABI.run(ctx, stdout)
	case "hasura-actions":
		return c.HasuraActions.run(ctx, stdout)
	case "copy-self <to>":
		return c.CopySelf.run()
	case "idle":
		return c.Idle.run(ctx)
	case "wait <target>":
		return c.Wait.run(ctx, stdout)
	case "backup push <file>", "backup list", "backup verify <name>", "backup fetch <name>":
		return c.Backup.do(ctx, command, stdout)
	default:
		return c.doRelease(ctx, command, stdout, stderr)
	}
}

// doRelease runs the commands about an installation.
func (c *grammar) doRelease(ctx context.Context, command string, stdout, stderr io.Writer) error {
	switch command {
	case "render":
		return c.Render.run(ctx, stdout)
	case "plan":
		return c.Plan.run(ctx, stdout)
	case "install":
		return c.Install.run(ctx, stdout, stderr)
	case "upgrade":
		return c.Upgrade.run(ctx, stdout, stderr)
	case "rollback":
		return c.Rollback.run(ctx, stdout, stderr)
	case "roll":
		return c.Roll.run(ctx, stdout, stderr)
	case "status":
		return c.Status.run(ctx, stdout)
	case "snapshot":
		return c.Snapshot.run(ctx, stdout)
	case "support-bundle":
		return c.SupportBundle.run(ctx, stdout)
	case "images list":
		return c.Images.List.run(ctx, stdout)
	case "images mirror":
		return c.Images.Mirror.run(ctx, stdout, stderr)
	case "gitops argocd":
		return c.Gitops.Argocd.run(ctx, stdout)
	case "gitops helmfile":
		return c.Gitops.Helmfile.run(ctx, stdout)
	case "doctor":
		return c.Doctor.run(ctx, stdout)
	case "uninstall":
		return c.Uninstall.run(ctx, stdout, stderr)
	default:
		return fmt.Errorf("no such command: %s", command)
	}
}

func (d *devCmd) run(ctx context.Context, stdout, stderr io.Writer) error {
	cfg, err := d.config(stderr)
	if err != nil {
		return err
	}
	stack, err := devstack.New(cfg)
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, "Starting …")
	var printed error
	err = stack.Run(ctx, func() { printed = stack.WriteGuide(stdout) })
	return errors.Join(err, printed)
}

func (d *devCmd) config(stderr io.Writer) (devstack.Config, error) {
	log, err := telemetry.NewLogger(stderr, telemetry.LogConfig{Level: d.LogLevel, Format: "text"})
	if err != nil {
		return devstack.Config{}, err
	}
	mnemonic, err := d.mnemonic()
	if err != nil {
		return devstack.Config{}, err
	}
	return devstack.Config{
		Upstreams: d.Upstream, Postgres: secret.New(d.Postgres), Redis: secret.New(d.Redis), Mnemonic: mnemonic,
		ChainID: d.ChainID, BlockTime: d.BlockTime, State: d.State, Log: log,
		Ports: devstack.Ports{
			Gateway: d.GatewayPort, GatewayAdmin: d.GatewayAdminPort,
			Signer: d.SignerPort, SignerAdmin: d.SignerAdminPort,
			Chain: d.ChainPort, ChainWS: d.ChainWSPort,
		},
	}, nil
}

func (d *devCmd) mnemonic() (secret.String, error) {
	if d.MnemonicFile == "" {
		return secret.String{}, nil
	}
	text, err := os.ReadFile(d.MnemonicFile)
	if err != nil {
		return secret.String{}, fmt.Errorf("mnemonic: %w", err)
	}
	if strings.TrimSpace(string(text)) == "" {
		return secret.String{}, fmt.Errorf("mnemonic: %s is empty", d.MnemonicFile)
	}
	return secret.New(string(text)), nil
}
