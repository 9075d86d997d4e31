package network

import (
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/common"

	"github.com/slipwayhq/slipway/internal/genesis"
)

// maxNodes bounds the nodes of either role; QBFT's messages grow with the
// square of its validators.
const maxNodes = 100

// Keys are the secret part of a network.
type Keys struct {
	Validators []genesis.NodeKey
	RPCNodes   []genesis.NodeKey
	Faucet     genesis.NodeKey
}

// NewKeys draws the keys of a network.
func NewKeys(validators, rpcNodes int) (Keys, error) {
	if err := checkCounts(validators, rpcNodes); err != nil {
		return Keys{}, err
	}
	var keys Keys
	var err error
	if keys.Validators, err = draw(validators); err != nil {
		return Keys{}, err
	}
	if keys.RPCNodes, err = draw(rpcNodes); err != nil {
		return Keys{}, err
	}
	keys.Faucet, err = genesis.NewNodeKey()
	return keys, err
}

func draw(count int) ([]genesis.NodeKey, error) {
	keys := make([]genesis.NodeKey, count)
	for i := range keys {
		key, err := genesis.NewNodeKey()
		if err != nil {
			return nil, err
		}
		keys[i] = key
	}
	return keys, nil
}

func checkCounts(validators, rpcNodes int) error {
	switch {
	case validators < 1:
		return errors.New("a network needs at least one validator: give --validators 4, or 1 for a trial")
	case rpcNodes < 0:
		return errors.New("the number of RPC nodes is negative")
	case validators > maxNodes || rpcNodes > maxNodes:
		return fmt.Errorf("more than %d nodes of a kind are not supported", maxNodes)
	}
	return nil
}

// check refuses a key set in which two have the same key.
func (k Keys) check(names Names) error {
	if err := checkCounts(len(k.Validators), len(k.RPCNodes)); err != nil {
		return err
	}
	owner := map[common.Address]string{k.Faucet.Address(): names.FaucetPrefix}
	for _, node := range k.nodes(names) {
		address := node.Key.Address()
		if other, taken := owner[address]; taken {
			return fmt.Errorf("%s and %s have the same key, of address %s: every node needs its own", other, node.Name, address)
		}
		owner[address] = node.Name
	}
	return nil
}

// Node is a node with its key.
type Node struct {
	Role  Role
	Name  string // of its pod
	Enode string
	Key   genesis.NodeKey
}

// nodes are all nodes, validators first.
func (k Keys) nodes(names Names) []Node {
	out := make([]Node, 0, len(k.Validators)+len(k.RPCNodes))
	for i, key := range k.Validators {
		out = append(out, NewNode(names, Validator, i, key))
	}
	for i, key := range k.RPCNodes {
		out = append(out, NewNode(names, RPC, i, key))
	}
	return out
}

// NewNode is the node of a role with the ordinal of its pod.
func NewNode(names Names, role Role, ordinal int, key genesis.NodeKey) Node {
	return Node{Role: role, Name: names.Node(role, ordinal), Enode: names.Enode(role, ordinal, key), Key: key}
}
