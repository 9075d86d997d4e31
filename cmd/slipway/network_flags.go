package main

import (
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"

	"github.com/slipwayhq/slipway/internal/genesis"
	"github.com/slipwayhq/slipway/internal/network"
)

// specFlags say what network is wanted, but for the number of its nodes.
type specFlags struct {
	Consensus         string `default:"qbft" help:"qbft or ibft2."`
	Profile           string `default:"steady" help:"steady: a block every period. quiet: one a minute while nobody sends anything, and more than a minute lost when a proposer is dead."`
	Fork              string `default:"cancun" help:"Newest hard fork from the first block on: london, shanghai or cancun."`
	ChainID           uint64 `name:"chain-id" default:"53771311147" help:"Chain id."`
	BlockPeriod       uint64 `aliases:"seconds-per-block" default:"2" help:"Seconds between blocks."`
	EmptyBlockPeriod  uint64 `help:"Seconds between blocks without transactions. Default: 60 with --profile quiet." placeholder:"SECONDS"`
	RequestTimeout    uint64 `help:"Seconds that round 0 waits for its proposer. Default: two block periods; quiet: 65 with blocks of 2 s." placeholder:"SECONDS"`
	EpochLength       uint64 `default:"30000" help:"Blocks after which votes on validators begin anew."`
	GasLimit          uint64 `default:"9007199254740991" help:"Gas limit of a block."`
	GasPrice          uint64 `default:"0" help:"In wei; 0 makes a network on which gas is free, otherwise the base fee begins at 1 gwei."`
	ContractSizeLimit uint64 `default:"2147483647" help:"Largest contract, in bytes."`
	EVMStackSize      uint64 `name:"evm-stack-size" default:"2048" help:"Depth of the EVM's stack."`
	Timestamp         uint64 `default:"0" help:"Time of the genesis block, in seconds since 1970."`
	FaucetBalance     string `default:"100000000000000000000000000000000000000000000000000" help:"What the faucet's account begins with; 0 is nothing. Default: 10^50." placeholder:"WEI"`
	Allocations       string `short:"a" help:"JSON file with accounts and contracts that are there from the first block on." placeholder:"FILE"`
	ABIDirectory      string `name:"abi-directory" help:"Folder with ABI files (*.json)." placeholder:"DIR"`
	Subgraph          string `help:"Content id of the subgraph." placeholder:"CID" xor:"subgraph"`
	SubgraphHashFile  string `help:"File with the content id of the subgraph." placeholder:"FILE" xor:"subgraph"`
}

// nameFlags say under which names the material is found.
type nameFlags struct {
	Domain               string `aliases:"static-node-domain" default:"svc.cluster.local" help:"End of the names of Services in the enode URLs."`
	GenesisConfigMap     string `name:"genesis-configmap-name" default:"besu-genesis" help:"ConfigMap of the genesis file."`
	StaticNodesConfigMap string `name:"static-nodes-configmap-name" default:"besu-static-nodes" help:"ConfigMap of the static nodes."`
	SubgraphConfigMap    string `name:"subgraph-configmap-name" default:"besu-subgraph" help:"ConfigMap of the subgraph."`
	FaucetPrefix         string `aliases:"faucet-artifact-prefix" default:"besu-faucet" help:"Beginning of the names of the faucet's objects."`
	ValidatorPrefix      string `aliases:"static-node-pod-prefix" default:"besu-node-validator" help:"Validators' pods are NAME-0, NAME-1 and so on."`
	ValidatorService     string `aliases:"static-node-service-name" default:"besu-node" help:"Headless Service of the validators; empty where each has one of its own, with its name."`
	RPCPrefix            string `aliases:"rpc-node-pod-prefix" name:"rpc-prefix" default:"besu-node-rpc" help:"RPC nodes' pods are NAME-0, NAME-1 and so on."`
	RPCService           string `aliases:"rpc-node-service-name" name:"rpc-service" default:"besu-node-rpc" help:"Headless Service of the RPC nodes; empty where each has one of its own."`
	P2PPort              uint16 `aliases:"static-node-port" name:"p2p-port" default:"30303" help:"Port of the nodes for each other."`
	DiscoveryPort        uint16 `aliases:"static-node-discovery-port" default:"30303" help:"Port of the nodes' discovery."`
}

// nodeFlags say how many nodes there are.
type nodeFlags struct {
	Validators int    `short:"v" default:"4" help:"Number of validators."`
	RPCNodes   int    `name:"rpc-nodes" short:"r" default:"2" help:"Number of RPC nodes."`
	Keys       string `help:"Folder with the keys to use, as --output folder writes it. Default: new keys." placeholder:"DIR"`
}

func (f nameFlags) names(namespace string) network.Names {
	return network.Names{
		Namespace: namespace, Domain: f.Domain, GenesisConfigMap: f.GenesisConfigMap, StaticNodesConfigMap: f.StaticNodesConfigMap,
		SubgraphConfigMap: f.SubgraphConfigMap, FaucetPrefix: f.FaucetPrefix, ValidatorPrefix: f.ValidatorPrefix,
		ValidatorService: f.ValidatorService, RPCPrefix: f.RPCPrefix, RPCService: f.RPCService, P2PPort: f.P2PPort, DiscoveryPort: f.DiscoveryPort,
	}
}

func (f specFlags) spec(names network.Names) (network.Spec, error) {
	if f.ChainID == 0 {
		return network.Spec{}, errors.New("chain id: must not be 0: signatures would hold on every network")
	}
	if f.BlockPeriod == 0 {
		return network.Spec{}, errors.New("block period: must be at least 1 second")
	}
	balance, ok := new(big.Int).SetString(f.FaucetBalance, 10)
	if !ok {
		return network.Spec{}, fmt.Errorf("faucet balance: %q is not a number of wei", f.FaucetBalance)
	}
	spec := network.Spec{
		Params: genesis.Params{
			Consensus: consensusOf(f.Consensus), Profile: genesis.Profile(f.Profile), Fork: genesis.Fork(f.Fork), ChainID: f.ChainID,
			BlockPeriod: f.BlockPeriod, EmptyBlockPeriod: f.EmptyBlockPeriod, RequestTimeout: f.RequestTimeout, EpochLength: f.EpochLength,
			GasLimit: f.GasLimit, GasPrice: f.GasPrice, ContractSizeLimit: f.ContractSizeLimit, EVMStackSize: f.EVMStackSize, Timestamp: f.Timestamp,
		},
		Names: names, FaucetBalance: balance, Subgraph: f.Subgraph,
	}
	if f.Allocations != "" {
		text, err := os.ReadFile(f.Allocations)
		if err != nil {
			return network.Spec{}, fmt.Errorf("allocations: %w", err)
		}
		if spec.Alloc, err = genesis.ParseAlloc(text); err != nil {
			return network.Spec{}, fmt.Errorf("allocations: %s: %w", f.Allocations, err)
		}
	}
	if f.SubgraphHashFile != "" {
		text, err := os.ReadFile(f.SubgraphHashFile)
		if err != nil {
			return network.Spec{}, fmt.Errorf("subgraph: %w", err)
		}
		spec.Subgraph = strings.TrimSpace(string(text))
	}
	var err error
	spec.ABIs, err = readABIs(f.ABIDirectory)
	return spec, err
}

// consensusOf takes the names that Besu's own tools use too.
func consensusOf(name string) genesis.Consensus {
	name = strings.ToLower(name)
	if name == "ibftv2" {
		return genesis.IBFT2
	}
	return genesis.Consensus(name)
}

// readABIs reads the JSON files of a folder.
func readABIs(dir string) ([]network.ABI, error) {
	if dir == "" {
		return nil, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("ABI folder: %w", err)
	}
	var out []network.ABI
	for _, entry := range entries {
		if entry.IsDir() || !strings.HasSuffix(entry.Name(), ".json") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("ABI folder: %w", err)
		}
		out = append(out, network.ABI{File: entry.Name(), Content: string(text)})
	}
	return out, nil
}

// given are the keys of the folder that was named, or nil.
func (f nodeFlags) given(names network.Names) (*network.Keys, error) {
	if f.Keys == "" {
		return nil, nil //nolint:nilnil // no folder was named
	}
	keys, err := network.ReadKeys(f.Keys, names)
	if err != nil {
		return nil, err
	}
	return &keys, nil
}
