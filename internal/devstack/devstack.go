// Package devstack is slipway dev: a chain, a database and Slipway's programs
// on one machine, in one process tree, with everything kept in one folder.
package devstack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"path/filepath"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/devnet"
	"github.com/slipwayhq/slipway/internal/embedpg"
	"github.com/slipwayhq/slipway/internal/gatewayapp"
	"github.com/slipwayhq/slipway/internal/lifecycle"
	"github.com/slipwayhq/slipway/internal/secret"
	"github.com/slipwayhq/slipway/internal/signerapp"
	"github.com/slipwayhq/slipway/internal/signing/local"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

// drainTimeout is short because whoever pressed Ctrl-C is waiting.
const drainTimeout = 2 * time.Second

// Stack is one development stack. New makes it, Run is its whole life; WriteGuide
// may be called once Run has called ready.
type Stack struct {
	cfg      Config
	mnemonic secret.String
	accounts []common.Address

	postgres *embedpg.Server // nil with a database of the user's
	chainID  uint64          // known once Run has probed
	chain    *devnet.Chain   // nil with nodes of the user's
	gateway  *gatewayapp.App
	signer   *signerapp.App
}

// New checks the configuration. It starts nothing.
func New(cfg Config) (*Stack, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Stack{cfg: cfg, mnemonic: cfg.Mnemonic}
	if s.mnemonic.IsEmpty() {
		s.mnemonic = secret.New(developmentMnemonic)
	}
	signers, err := local.Accounts(local.Config{Mnemonic: s.mnemonic, Accounts: accountCount})
	if err != nil {
		return nil, err
	}
	for _, signer := range signers {
		s.accounts = append(s.accounts, signer.Address())
	}
	if cfg.Postgres.IsEmpty() {
		s.postgres, err = embedpg.New(embedpg.Config{Dir: filepath.Join(cfg.State, "postgres"), Log: cfg.Log})
	}
	return s, err
}

// Run starts everything in order, calls ready, waits until ctx ends and stops
// everything in reverse order. It implements lifecycle.Run.
func (s *Stack) Run(ctx context.Context, ready func()) (err error) {
	unlock, err := lockState(s.cfg.State)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if err := s.prepare(ctx); err != nil {
		return err
	}
	return s.group().Run(ctx, ready)
}

// prepare does all that can fail without starting anything.
func (s *Stack) prepare(ctx context.Context) (err error) {
	ports := s.cfg.Ports.ofPrograms()
	if len(s.cfg.Upstreams) == 0 {
		ports = s.cfg.Ports.list()
	}
	if err := checkPorts(ctx, ports); err != nil {
		return err
	}
	if len(s.cfg.Upstreams) > 0 {
		s.chainID, err = probeChainID(ctx, s.cfg.Upstreams, s.cfg.ChainID)
		return err
	}
	s.chainID = s.cfg.ChainID
	if s.chainID == 0 {
		s.chainID = defaultChainID
	}
	s.chain, err = devnet.New(devnet.Config{
		ChainID: s.chainID, BlockTime: s.cfg.BlockTime, Dir: filepath.Join(s.cfg.State, "chain"),
		HTTPAddr: loopback(s.cfg.Ports.Chain), WSAddr: loopback(s.cfg.Ports.ChainWS),
		Alloc: s.alloc(), Log: s.cfg.Log,
	})
	return err
}

// alloc gives every account a million ether.
func (s *Stack) alloc() map[common.Address]*big.Int {
	million := new(big.Int).Exp(big.NewInt(10), big.NewInt(24), nil)
	alloc := make(map[common.Address]*big.Int, len(s.accounts))
	for _, account := range s.accounts {
		alloc[account] = million
	}
	return alloc
}

// group lists the components in the order in which they need each other.
func (s *Stack) group() *lifecycle.Group {
	g := &lifecycle.Group{}
	if s.chain != nil {
		g.Add("chain", s.chain.Run)
	}
	if s.postgres != nil {
		g.Add("postgres", s.postgres.Run)
	}
	g.Add("gateway", s.runGateway)
	g.Add("signer", s.runSigner)
	return g
}

// runGateway makes the gateway only now: with a free port, the chain's URL is
// known once the chain listens.
func (s *Stack) runGateway(ctx context.Context, ready func()) (err error) {
	s.gateway, err = gatewayapp.New(s.gatewayConfig(), gatewayapp.Deps{Log: s.cfg.Log})
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	return s.gateway.Run(ctx, ready)
}

func (s *Stack) gatewayConfig() gatewayapp.Config {
	cfg := gatewayapp.Default()
	cfg.Listen, cfg.AdminListen = loopback(s.cfg.Ports.Gateway), loopback(s.cfg.Ports.GatewayAdmin)
	cfg.DrainTimeout = drainTimeout
	cfg.Cache.Redis.Conn.URL = s.cfg.Redis
	cfg.Pool().ChainID = s.chainID
	for _, url := range s.nodes() {
		cfg.Pool().Upstreams = append(cfg.Pool().Upstreams, upstreams.Endpoint{URL: secret.New(url)})
	}
	if s.chain != nil {
		cfg.Pool().Genesis = s.chain.Genesis().Hex()
		cfg.Pool().Finality = chain.Finality{Mode: chain.Instant}
		cfg.Pool().PollInterval = min(cfg.Pool().PollInterval, max(s.cfg.BlockTime/2, 50*time.Millisecond))
	}
	return cfg
}

// runSigner makes the signer only now: the gateway's and the database's
// addresses are known once they listen.
func (s *Stack) runSigner(ctx context.Context, ready func()) (err error) {
	s.signer, err = signerapp.New(s.signerConfig(), signerapp.Deps{Log: s.cfg.Log}) //nolint:contextcheck // it calls nobody
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	return s.signer.Run(ctx, ready)
}

func (s *Stack) signerConfig() signerapp.Config {
	cfg := signerapp.Default()
	cfg.Listen, cfg.AdminListen = loopback(s.cfg.Ports.Signer), loopback(s.cfg.Ports.SignerAdmin)
	cfg.Dev = true
	cfg.DrainTimeout = drainTimeout
	cfg.GatewayURL = secret.New("http://" + s.gateway.Addr())
	cfg.DatabaseURL = s.cfg.Postgres
	if s.postgres != nil {
		cfg.DatabaseURL = s.postgres.DSN()
	}
	cfg.Queue.ChainID = s.chainID
	// One replica on one machine: after a kill the next start takes over soon.
	cfg.Queue.LeaseTTL = 2 * time.Second
	// A database that was given is there or it is not.
	cfg.DatabaseWait = 2 * time.Second
	cfg.Keys.Mnemonic, cfg.Keys.Accounts = s.mnemonic, accountCount
	return cfg
}

// nodes are the URLs of the nodes behind the gateway.
func (s *Stack) nodes() []string {
	if s.chain != nil {
		return []string{s.chain.HTTPURL()}
	}
	return s.cfg.Upstreams
}
