package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/devnet"
	"github.com/slipwayhq/slipway/internal/gatewayapp"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/signerapp"
	"github.com/slipwayhq/slipway/internal/signing/local"
	"github.com/slipwayhq/slipway/internal/telemetry"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

const (
	// roleVariable, when set, makes this program one of the processes measured.
	roleVariable    = "SLIPWAY_BENCH_ROLE"
	sendersVariable = "SLIPWAY_BENCH_SENDERS"
	// nextVariable is the URL that a role sends its own calls to.
	nextVariable     = "SLIPWAY_BENCH_NEXT"
	databaseVariable = "SLIPWAY_BENCH_DATABASE"
	// profilesVariable is the folder for CPU profiles; empty for none.
	profilesVariable = "SLIPWAY_BENCH_PROFILES"

	phrase   = "test test test test test test test test test test test junk"
	chainID  = 53771311147
	loopback = "127.0.0.1:0"
)

type role = func(ctx context.Context, ready func(url string)) error

func roles() map[string]role {
	return map[string]role{"chain": profiled("chain", runChain), "gateway": profiled("gateway", runGateway), "signer": profiled("signer", runSigner)}
}

func runChain(ctx context.Context, ready func(url string)) error {
	from, err := senders()
	if err != nil {
		return err
	}
	log, err := logger()
	if err != nil {
		return err
	}
	alloc := map[common.Address]*big.Int{}
	for _, a := range from {
		alloc[a] = new(big.Int).Exp(big.NewInt(10), big.NewInt(20), nil)
	}
	c, err := devnet.New(devnet.Config{ChainID: chainID, BlockTime: time.Second, Alloc: alloc, Log: log})
	if err != nil {
		return err
	}
	return c.Run(ctx, func() { ready(c.HTTPURL()) })
}

func runGateway(ctx context.Context, ready func(url string)) error {
	log, err := logger()
	if err != nil {
		return err
	}
	cfg := gatewayapp.Default()
	cfg.Listen, cfg.AdminListen = loopback, loopback
	cfg.Pool().ChainID, cfg.Pool().Finality.Mode = chainID, chain.Instant
	cfg.Pool().Upstreams = []upstreams.Endpoint{{URL: secret.New(os.Getenv(nextVariable))}}
	app, err := gatewayapp.New(cfg, gatewayapp.Deps{Log: log})
	if err != nil {
		return err
	}
	return app.Run(ctx, func() { ready("http://" + app.Addr()) })
}

func runSigner(ctx context.Context, ready func(url string)) error {
	count, err := strconv.Atoi(os.Getenv(sendersVariable))
	if err != nil {
		return fmt.Errorf("number of senders: %w", err)
	}
	log, err := logger()
	if err != nil {
		return err
	}
	cfg := signerapp.Default()
	cfg.Dev, cfg.Listen, cfg.AdminListen = true, loopback, loopback
	cfg.GatewayURL, cfg.DatabaseURL = secret.New(os.Getenv(nextVariable)), secret.New(os.Getenv(databaseVariable))
	cfg.Keys.Mnemonic, cfg.Keys.Accounts = secret.New(phrase), count
	cfg.Queue.ChainID = chainID
	app, err := signerapp.New(cfg, signerapp.Deps{Log: log}) //nolint:contextcheck // it calls nobody
	if err != nil {
		return err
	}
	return app.Run(ctx, func() { ready("http://" + app.Addr()) })
}

// profiled writes a CPU profile of a role's life from its readiness on.
func profiled(name string, run role) role {
	dir := os.Getenv(profilesVariable)
	if dir == "" {
		return run
	}
	return func(ctx context.Context, ready func(url string)) error {
		var stop func() error
		var begun error
		err := run(ctx, func(url string) {
			stop, begun = startProfile(dir, name)
			ready(url)
		})
		if stop != nil {
			err = errors.Join(err, stop())
		}
		return errors.Join(err, begun)
	}
}

// startProfile profiles this process into a file of a folder until stop is called.
func startProfile(dir, name string) (stop func() error, err error) {
	file, err := os.Create(filepath.Join(dir, name+".pprof"))
	if err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, errors.Join(fmt.Errorf("profile: %w", err), file.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return file.Close()
	}, nil
}

// logger logs as the programs do by default; the parent keeps it in a file.
func logger() (*slog.Logger, error) { return telemetry.NewLogger(os.Stderr, telemetry.LogConfig{}) }

// senders are the first accounts of the development phrase.
func senders() ([]common.Address, error) {
	count, err := strconv.Atoi(os.Getenv(sendersVariable))
	if err != nil {
		return nil, fmt.Errorf("number of senders: %w", err)
	}
	return accounts(count)
}

func accounts(count int) ([]common.Address, error) {
	signers, err := local.Accounts(local.Config{Mnemonic: secret.New(phrase), Accounts: count})
	if err != nil {
		return nil, err
	}
	out := make([]common.Address, len(signers))
	for i, s := range signers {
		out[i] = s.Address()
	}
	return out, nil
}
