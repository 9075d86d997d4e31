package devnet

import (
	"errors"
	"fmt"
	"math/big"
	"os"

	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/rawdb"
	"github.com/ethereum/go-ethereum/eth"
	"github.com/ethereum/go-ethereum/eth/ethconfig"
	"github.com/ethereum/go-ethereum/eth/filters"
	"github.com/ethereum/go-ethereum/node"
	"github.com/ethereum/go-ethereum/p2p"
	"github.com/ethereum/go-ethereum/params"
	"github.com/ethereum/go-ethereum/rpc"
)

const (
	mib = 1 << 20
	// poolSlots is how many transactions the pool takes: far above what a load
	// test sends, because a Besu node of a permissioned network is sized so.
	poolSlots        = 200_000
	poolAccountSlots = 4096
	batchLimit       = 10_000
)

// runningNode is an open go-ethereum node.
type runningNode struct {
	stack *node.Node
	eth   *eth.Ethereum
}

// openNode opens the database, repairs what a kill may have left half done and
// opens the ports.
func openNode(cfg *node.Config, genesis *core.Genesis) (*runningNode, error) {
	stack, err := node.New(cfg)
	if errors.Is(err, node.ErrDatadirUsed) {
		return nil, fmt.Errorf("the chain in %s is in use by another process", cfg.DataDir)
	}
	if err != nil {
		return nil, fmt.Errorf("open the chain in %s: %w", cfg.DataDir, err)
	}
	n := &runningNode{stack: stack}
	if err := n.start(genesis); err != nil {
		return nil, errors.Join(err, n.close())
	}
	return n, nil
}

func (n *runningNode) start(genesis *core.Genesis) error {
	cfg := ethConfig(genesis)
	backend, err := eth.New(n.stack, cfg)
	if err != nil {
		return fmt.Errorf("open the chain in %s: %w", n.stack.DataDir(), err)
	}
	n.eth = backend
	// eth.New raises a minimum price of zero to its own. The miner and the
	// price oracle (eth_gasPrice) share this number with the configuration.
	cfg.Miner.GasPrice.SetInt64(0)

	filterSystem := filters.NewFilterSystem(backend.APIBackend, filters.Config{})
	n.stack.RegisterAPIs([]rpc.API{{Namespace: "eth", Service: filters.NewFilterAPI(filterSystem)}})
	if err := n.adoptSealed(); err != nil {
		return err
	}
	backend.SetSynced() // there is nobody to wait for
	if err := n.stack.Start(); err != nil {
		return fmt.Errorf("open the ports of the chain: %w", err)
	}
	return nil
}

func (n *runningNode) close() error {
	if err := n.stack.Close(); err != nil && !errors.Is(err, node.ErrNodeStopped) {
		return fmt.Errorf("close the chain: %w", err)
	}
	return nil
}

func (n *runningNode) head() uint64 { return n.eth.BlockChain().CurrentBlock().Number.Uint64() }

// adoptSealed makes a block canonical that was sealed before the process was
// killed but is not the head: see seal. Its state may be missing, when the
// kill came before it was sealed; then nobody has seen it and it is dropped.
func (n *runningNode) adoptSealed() error {
	chain := n.eth.BlockChain()
	for {
		head := chain.CurrentBlock()
		next := head.Number.Uint64() + 1
		adopted := false
		for _, hash := range rawdb.ReadAllHashes(n.eth.ChainDb(), next) {
			block := chain.GetBlock(hash, next)
			if block == nil || block.ParentHash() != head.Hash() || !chain.HasState(block.Root()) {
				continue
			}
			if _, err := chain.SetCanonical(block); err != nil {
				return fmt.Errorf("take over block %d: %w", next, err)
			}
			adopted = true
			break
		}
		if !adopted {
			return nil
		}
	}
}

func (c *Chain) nodeConfig() *node.Config {
	return &node.Config{
		Name:                 "slipway-devnet",
		DataDir:              c.cfg.Dir,
		KeyStoreDir:          os.TempDir(), // there are no keys; must be named, or a folder is made for each run
		P2P:                  p2p.Config{NoDiscovery: true, NoDial: true},
		HTTPHost:             c.httpAddr.IP.String(),
		HTTPPort:             c.httpAddr.Port,
		HTTPModules:          []string{"eth", "net", "web3", "debug", "txpool"},
		HTTPVirtualHosts:     []string{"localhost"},
		HTTPTimeouts:         rpc.DefaultHTTPTimeouts,
		WSHost:               c.wsAddr.IP.String(),
		WSPort:               c.wsAddr.Port,
		WSModules:            []string{"eth", "net", "web3", "debug", "txpool"},
		BatchRequestLimit:    batchLimit,
		BatchResponseMaxSize: 256 * mib,
		HTTPBodyLimit:        64 * mib,
	}
}

// ethConfig: hash scheme and no pruning put the state of each block on disk,
// which debug_trace of old blocks and the recovery after a kill need.
func ethConfig(genesis *core.Genesis) *ethconfig.Config {
	cfg := ethconfig.Defaults
	cfg.Genesis = genesis
	cfg.SyncMode = ethconfig.FullSync
	cfg.StateScheme = rawdb.HashScheme
	cfg.NoPruning = true
	cfg.TransactionHistory = 0 // find every transaction, however old
	cfg.SnapshotCache = 0      // a snapshot would be rebuilt after each kill
	cfg.LogNoHistory = true    // the chain is short: logs are searched without an index
	cfg.DatabaseCache, cfg.TrieCleanCache, cfg.TrieDirtyCache = 64, 32, 0
	cfg.DatabaseHandles = 256
	cfg.RPCTxFeeCap = 0
	cfg.Miner.GasCeil = genesis.GasLimit
	cfg.Miner.GasPrice = big.NewInt(1) // becomes 0: see start
	cfg.TxPool.PriceLimit = 0
	cfg.TxPool.NoLocals = true
	cfg.TxPool.Journal = ""
	cfg.TxPool.AccountSlots, cfg.TxPool.AccountQueue = poolAccountSlots, poolAccountSlots
	cfg.TxPool.GlobalSlots, cfg.TxPool.GlobalQueue = poolSlots, poolSlots
	cfg.BlobPool.Datadir = "" // no blobs
	return &cfg
}

// chainConfig has the forks of the Besu networks that Slipway launches: all up
// to Cancun. The terminal difficulty of zero is go-ethereum's way to say that
// blocks are not mined by work.
func chainConfig(chainID uint64) *params.ChainConfig {
	zero, now := new(big.Int), uint64(0)
	return &params.ChainConfig{
		ChainID:        new(big.Int).SetUint64(chainID),
		HomesteadBlock: zero, EIP150Block: zero, EIP155Block: zero, EIP158Block: zero,
		ByzantiumBlock: zero, ConstantinopleBlock: zero, PetersburgBlock: zero, IstanbulBlock: zero,
		MuirGlacierBlock: zero, BerlinBlock: zero, LondonBlock: zero, ArrowGlacierBlock: zero, GrayGlacierBlock: zero,
		ShanghaiTime: &now, CancunTime: &now,
		TerminalTotalDifficulty: zero,
		BlobScheduleConfig:      &params.BlobScheduleConfig{Cancun: params.DefaultCancunBlobConfig},
	}
}
