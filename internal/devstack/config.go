package devstack

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/slipwayhq/slipway/internal/secret"
)

const (
	// defaultChainID is that of the asset tokenisation kit's network.
	defaultChainID = 53771311147
	// developmentMnemonic is the phrase of Hardhat and anvil. Everybody has its
	// keys: it is a default because nothing of value can be behind it.
	developmentMnemonic = "test test test test test test test test test test test junk"
	// accountCount is how many accounts of the mnemonic are funded and shown.
	accountCount = 10
)

// Config is what can be chosen about a stack.
type Config struct {
	// Upstreams are nodes to use instead of an embedded chain.
	Upstreams []string
	// Postgres is a database to use instead of a private server.
	Postgres secret.String
	// Redis, if given, keeps the gateway's cache.
	Redis secret.String
	// Mnemonic of the accounts; empty means the public development phrase.
	Mnemonic secret.String
	// ChainID; zero means that of the upstreams, or a default for an embedded chain.
	ChainID uint64
	// BlockTime of the embedded chain.
	BlockTime time.Duration

	Ports Ports
	// State is the folder in which everything is kept.
	State string
	Log   *slog.Logger
}

// Ports are all at 127.0.0.1. Zero takes a free one.
type Ports struct {
	Gateway, GatewayAdmin int
	Signer, SignerAdmin   int
	Chain, ChainWS        int
}

// Validate reports everything that is wrong.
func (c Config) Validate() error {
	var errs []error
	if c.State == "" {
		errs = append(errs, errors.New("state folder: must be named"))
	}
	if c.BlockTime <= 0 {
		errs = append(errs, errors.New("block time: must be more than zero"))
	}
	for _, p := range c.Ports.list() {
		if p.number < 0 || p.number > 65535 {
			errs = append(errs, fmt.Errorf("port of %s: %d is not between 0 and 65535", p.owner, p.number))
		}
	}
	return errors.Join(errs...)
}

type port struct {
	owner  string
	number int
}

func (p Ports) list() []port {
	return append(p.ofChain(), p.ofPrograms()...)
}

func (p Ports) ofChain() []port {
	return []port{{"the chain", p.Chain}, {"the chain's WebSocket", p.ChainWS}}
}

func (p Ports) ofPrograms() []port {
	return []port{
		{"the gateway", p.Gateway},
		{"the gateway's administration", p.GatewayAdmin},
		{"the signer", p.Signer},
		{"the signer's administration", p.SignerAdmin},
	}
}
