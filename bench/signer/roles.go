package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"runtime/pprof"
	"strconv"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/devnet"
	"github.com/slipwayhq/slipway/internal/gatewayapp"
	"github.com/slipwayhq/slipway/internal/lifecycle"
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
	profileVariable  = "SLIPWAY_BENCH_PROFILE"

	phrase   = "test test test test test test test test test test test junk"
	chainID  = 53771311147
	loopback = "127.0.0.1:0"
)

type role = func(ctx context.Context, ready func(url string)) error

func roles() map[string]role {
	return map[string]role{"chain": runChain, "gateway": runGateway, "signer": runSigner}
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
	return profiled(os.Getenv(profileVariable), app.Run)(ctx, func() { ready("http://" + app.Addr()) })
}

// profiled writes a CPU profile of a component's life from its readiness on.
func profiled(path string, run lifecycle.Run) lifecycle.Run {
	if path == "" {
		return run
	}
	return func(ctx context.Context, ready func()) error {
		file, err := os.Create(path)
		if err != nil {
			return fmt.Errorf("profile: %w", err)
		}
		var begun error
		err = run(ctx, func() {
			begun = pprof.StartCPUProfile(file)
			ready()
		})
		pprof.StopCPUProfile()
		return errors.Join(err, begun, file.Close())
	}
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
