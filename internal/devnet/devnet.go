// Package devnet is the embedded chain of slipway dev and of the tests:
// go-ethereum in this process behind real HTTP and WebSocket ports. It stands
// in for a permissioned Besu network: gas is free, one block follows the other
// at a fixed pace whether or not there are transactions, and a block is final
// once it is there. It is not Besu: error texts and the QBFT methods differ.
package devnet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"
	gethlog "github.com/ethereum/go-ethereum/log"
)

const (
	defaultBlockTime = time.Second
	// defaultGasLimit is the one customary for free-gas Besu networks. It is so
	// large that no block is ever half full: the block after a half-full one
	// would have a base fee of 1 wei, from which it never returns to 0.
	defaultGasLimit = 0x1fffffffffffff
)

// Manual as Config.BlockTime means that only Commit makes blocks.
const Manual = time.Duration(-1)

// Config describes one chain.
type Config struct {
	ChainID uint64
	// BlockTime is the time between blocks; zero means one second, Manual none.
	// It may be below a second, although the time stamps of blocks then run
	// ahead of the clock: each is at least one second after its parent's.
	BlockTime time.Duration
	// Dir keeps the chain across restarts; empty keeps it in memory.
	Dir string
	// HTTPAddr and WSAddr are host:port; empty means a free port of 127.0.0.1.
	HTTPAddr, WSAddr string
	// Alloc is what accounts own in the genesis block, in wei.
	Alloc map[common.Address]*big.Int
	// GasLimit of a block; zero means a practically unlimited one.
	GasLimit uint64
	// BaseFee is that of the genesis block, in wei per gas; nil makes gas free. Blocks
	// that are not half full lower it by an eighth each, never below 7 wei.
	BaseFee *big.Int
	// Genesis, where it is given, is block 0 in place of what Alloc, GasLimit and
	// BaseFee would make. Of its configuration only the chain id counts.
	Genesis *core.Genesis
	Log     *slog.Logger
}

// Chain is one embedded chain. New makes it, Run is its whole life; the URLs
// are valid and Commit may be called once Run has called ready.
type Chain struct {
	cfg              Config
	httpAddr, wsAddr *net.TCPAddr
	genesis          *core.Genesis
	genesisHash      common.Hash

	mu   sync.Mutex // one block at a time
	node *runningNode
}

// New checks the configuration. It starts nothing.
func New(cfg Config) (*Chain, error) {
	if cfg.ChainID == 0 {
		return nil, errors.New("embedded chain: no chain id given")
	}
	if cfg.BlockTime == 0 {
		cfg.BlockTime = defaultBlockTime
	}
	if cfg.GasLimit == 0 {
		cfg.GasLimit = defaultGasLimit
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	httpAddr, err := parseAddr(cfg.HTTPAddr)
	if err != nil {
		return nil, fmt.Errorf("embedded chain: HTTP address: %w", err)
	}
	wsAddr, err := parseAddr(cfg.WSAddr)
	if err != nil {
		return nil, fmt.Errorf("embedded chain: WebSocket address: %w", err)
	}
	genesis := newGenesis(cfg)
	return &Chain{cfg: cfg, httpAddr: httpAddr, wsAddr: wsAddr, genesis: genesis, genesisHash: genesis.ToBlock().Hash()}, nil
}

func parseAddr(addr string) (*net.TCPAddr, error) {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("port %q: must be a number up to 65535", port)
	}
	ip := net.ParseIP(host)
	if ip == nil {
		return nil, fmt.Errorf("host %q: must be an IP address", host)
	}
	return &net.TCPAddr{IP: ip, Port: int(n)}, nil
}

// Genesis is the hash of block 0. It depends on everything in the
// configuration that makes a chain another chain, the chain id included.
func (c *Chain) Genesis() common.Hash { return c.genesisHash }

// HTTPURL is where the chain answers JSON-RPC over HTTP.
func (c *Chain) HTTPURL() string { return c.running().stack.HTTPEndpoint() }

// WSURL is where the chain answers JSON-RPC over WebSocket.
func (c *Chain) WSURL() string { return c.running().stack.WSEndpoint() }

func (c *Chain) running() *runningNode {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.node
}

// Run starts the chain, calls ready when its ports answer, makes blocks until
// ctx ends and stops. It implements lifecycle.Run.
func (c *Chain) Run(ctx context.Context, ready func()) error {
	// go-ethereum logs through a logger of the whole process, and its fatal
	// errors end the process: without this they would end it silently.
	gethlog.SetDefault(gethlog.NewLogger(quiet(c.cfg.Log)))

	if err := checkIdentity(c.cfg.Dir, c.cfg.ChainID, c.genesisHash); err != nil {
		return err
	}
	node, err := openNode(c.nodeConfig(), c.genesis)
	if err != nil {
		return fmt.Errorf("embedded chain: %w", err)
	}
	c.setRunning(node)
	c.cfg.Log.InfoContext(ctx, "embedded chain is up", slog.Uint64("chain_id", c.cfg.ChainID),
		slog.Uint64("block", node.head()), slog.String("url", c.HTTPURL()))
	ready()

	err = c.makeBlocks(ctx)
	c.setRunning(nil)
	return errors.Join(err, node.close())
}

// setRunning waits for a block that is being made.
func (c *Chain) setRunning(node *runningNode) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.node = node
}

func (c *Chain) makeBlocks(ctx context.Context) error {
	if c.cfg.BlockTime < 0 {
		<-ctx.Done()
		return nil
	}
	ticker := time.NewTicker(c.cfg.BlockTime)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if _, err := c.commit(ctx); err != nil {
				return err
			}
		}
	}
}

// Commit makes a block of the transactions that wait, at once, and returns its
// hash.
func (c *Chain) Commit() (common.Hash, error) {
	return c.commit(context.Background()) // go-ethereum uses it for traces alone
}

func (c *Chain) commit(ctx context.Context) (common.Hash, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.node == nil {
		return common.Hash{}, errNotRunning
	}
	hash, err := c.node.seal(ctx, time.Now())
	if err != nil {
		return common.Hash{}, fmt.Errorf("embedded chain: make a block: %w", err)
	}
	return hash, nil
}

func newGenesis(cfg Config) *core.Genesis {
	if cfg.Genesis != nil {
		genesis := *cfg.Genesis
		genesis.Config = chainConfig(cfg.ChainID)
		return &genesis
	}
	alloc := make(types.GenesisAlloc, len(cfg.Alloc))
	for address, balance := range cfg.Alloc {
		alloc[address] = types.Account{Balance: balance}
	}
	return &core.Genesis{
		Config: chainConfig(cfg.ChainID),
		// The chain id is no part of a genesis block; here it is, so that two
		// chains never share one.
		ExtraData: fmt.Appendf(nil, "slipway %d", cfg.ChainID),
		GasLimit:  cfg.GasLimit,
		BaseFee:   cmp.Or(cfg.BaseFee, new(big.Int)),
		Alloc:     alloc,
	}
}
