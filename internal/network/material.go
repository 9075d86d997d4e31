package network

import (
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"strings"

	"github.com/ethereum/go-ethereum/common"

	"github.com/slipwayhq/slipway/internal/genesis"
)

// Spec is what a network is to be, but for its keys.
type Spec struct {
	Params genesis.Params
	Names  Names
	// FaucetBalance is what the faucet's account begins with, in wei; nil means
	// nothing.
	FaucetBalance *big.Int
	// Alloc is what else is on the chain from the first block on.
	Alloc genesis.Alloc
	ABIs  []ABI
	// Subgraph is the content id of a subgraph; empty means none.
	Subgraph string
}

// ABI is the interface of a contract in the form of a file.
type ABI struct {
	File    string // its name, without a folder
	Content string
}

// Material is everything of a network.
type Material struct {
	Spec    Spec // with defaults filled in
	Keys    Keys
	Nodes   []Node // validators first
	Genesis genesis.File
	Hash    common.Hash // of the genesis block
}

// Derive makes the material. It is a function of its arguments alone.
func Derive(spec Spec, keys Keys) (Material, error) {
	params, err := spec.Params.Complete()
	if err != nil {
		return Material{}, err
	}
	spec.Params = params
	if err := spec.Names.check(); err != nil {
		return Material{}, err
	}
	if err := keys.check(spec.Names); err != nil {
		return Material{}, err
	}
	if err := spec.checkExtras(); err != nil {
		return Material{}, err
	}
	alloc, err := spec.allocWithFaucet(keys.Faucet.Address())
	if err != nil {
		return Material{}, err
	}
	file, err := genesis.Build(params, genesis.Addresses(keys.Validators), alloc)
	if err != nil {
		return Material{}, err
	}
	hash, err := file.Hash()
	if err != nil {
		return Material{}, err
	}
	return Material{Spec: spec, Keys: keys, Nodes: keys.nodes(spec.Names), Genesis: file, Hash: hash}, nil
}

func (s Spec) allocWithFaucet(faucet common.Address) (genesis.Alloc, error) {
	alloc := make(genesis.Alloc, len(s.Alloc)+1)
	for address, account := range s.Alloc {
		alloc[address] = account
	}
	if s.FaucetBalance == nil || s.FaucetBalance.Sign() == 0 {
		return alloc, nil
	}
	if s.FaucetBalance.Sign() < 0 || s.FaucetBalance.BitLen() > 256 {
		return nil, errors.New("the faucet's balance must be from 0 to 2^256-1 wei")
	}
	if _, taken := alloc[faucet]; taken {
		return nil, fmt.Errorf("the allocations have the faucet's account %s: leave it to --faucet-balance", faucet)
	}
	alloc[faucet] = genesis.Account{Balance: genesis.Quantity{Int: *s.FaucetBalance}}
	return alloc, nil
}

// cid is a content id of IPFS, of version 0 or 1 in base 32.
var cid = regexp.MustCompile(`^(Qm[1-9A-HJ-NP-Za-km-z]{44}|b[a-z2-7]{58,})$`)

// subgraphPrefix is the name of the subgraph in front of its content id.
const subgraphPrefix = "kit:"

// abiFile is a name that is a key of a ConfigMap and whose lower case is part
// of a name.
var abiFile = regexp.MustCompile(`^[A-Za-z0-9]([-.A-Za-z0-9]*[A-Za-z0-9])?$`)

func (s Spec) checkExtras() error {
	if s.Subgraph != "" && !cid.MatchString(strings.TrimPrefix(s.Subgraph, subgraphPrefix)) {
		return fmt.Errorf("subgraph %q is not a content id of IPFS", s.Subgraph)
	}
	seen := map[string]string{}
	for _, abi := range s.ABIs {
		if err := abi.Check(); err != nil {
			return err
		}
		if other, taken := seen[abiObject(abi)]; taken {
			return fmt.Errorf("the ABI files %s and %s differ only in upper and lower case", other, abi.File)
		}
		seen[abiObject(abi)] = abi.File
	}
	return nil
}

// Check refuses names that are no keys of a ConfigMap, or that lead out of a
// folder.
func (a ABI) Check() error {
	if !abiFile.MatchString(a.File) {
		return fmt.Errorf("the ABI file %q has a name that cannot be used: letters, digits, - and . only", a.File)
	}
	return nil
}

// Enodes are the static nodes: all nodes of the network.
func (m Material) Enodes() []string {
	out := make([]string, len(m.Nodes))
	for i, node := range m.Nodes {
		out[i] = node.Enode
	}
	return out
}
