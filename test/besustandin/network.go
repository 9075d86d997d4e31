package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core"

	"github.com/slipwayhq/slipway/internal/genesis"
)

// network is what a node knows of its network before it starts.
type network struct {
	chainID     uint64
	genesis     *core.Genesis
	validators  []common.Address // the first ones
	epoch       uint64           // blocks after which votes begin anew
	own         peer             // this node, as others reach it
	peers       []peer           // all static nodes but this one
	period      time.Duration
	emptyPeriod time.Duration // between blocks without transactions
	timeout     time.Duration // of round 0
}

func readNetwork(set settings) (network, error) {
	key, err := readKey(set.keyFile)
	if err != nil {
		return network{}, err
	}
	text, err := os.ReadFile(set.genesisFile)
	if err != nil {
		return network{}, fmt.Errorf("Unable to load genesis file: %w", err) //nolint:staticcheck // Besu's text
	}
	out, err := readGenesis(text)
	if err != nil {
		return network{}, fmt.Errorf("Unable to load genesis file %s: %w", set.genesisFile, err) //nolint:staticcheck // Besu's text
	}
	out.own = peer{id: key.ID(), address: key.Address(), url: "http://" + net.JoinHostPort(set.p2pHost, strconv.Itoa(int(set.p2pPort)))}
	text, err = os.ReadFile(set.staticNodesFile)
	if err != nil {
		return network{}, fmt.Errorf("Static nodes file: %w", err) //nolint:staticcheck // Besu's text
	}
	nodes, err := readStaticNodes(text, set.namesAllowed)
	if err != nil {
		return network{}, fmt.Errorf("Static nodes file %s: %w", set.staticNodesFile, err) //nolint:staticcheck // Besu's text
	}
	for _, one := range nodes {
		if one.id != key.ID() {
			out.peers = append(out.peers, one)
		}
	}
	if len(nodes) == len(out.peers) {
		return network{}, fmt.Errorf("the key of this node, %s, is that of no static node: it belongs to another network", key.Address())
	}
	return out, checkValidators(out.validators, nodes)
}

func readKey(path string) (genesis.NodeKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return genesis.NodeKey{}, fmt.Errorf("node private key file: %w", err)
	}
	key, err := genesis.ParseNodeKey(string(text))
	if err != nil {
		return genesis.NodeKey{}, fmt.Errorf("node private key file %s: %w", path, err)
	}
	return key, nil
}

func readGenesis(text []byte) (network, error) {
	file, err := genesis.Parse(text)
	if err != nil {
		return network{}, err
	}
	if file.Config.QBFT == nil {
		return network{}, errors.New("its consensus is not qbft, the only one that this stand-in has")
	}
	if missing := file.Missing(); len(missing) > 0 {
		return network{}, fmt.Errorf("accounts have only a placeholder: %v", missing)
	}
	out := network{chainID: uint64(file.Config.ChainID), genesis: new(core.Genesis)}
	if err := json.Unmarshal(text, out.genesis); err != nil {
		return network{}, err
	}
	if out.validators, err = genesis.Validators(genesis.QBFT, file.ExtraData); err != nil {
		return network{}, err
	}
	seconds := func(n genesis.Number) time.Duration { return time.Duration(n) * time.Second }
	out.period, out.timeout = seconds(file.Config.QBFT.BlockPeriodSeconds), seconds(file.Config.QBFT.RequestTimeoutSeconds)
	out.emptyPeriod, out.epoch = out.period, uint64(file.Config.QBFT.EpochLength)
	if empty := file.Config.QBFT.EmptyBlockPeriodSeconds; empty != nil {
		out.emptyPeriod = max(out.period, seconds(*empty))
	}
	if out.period == 0 || out.timeout == 0 || out.epoch == 0 {
		return network{}, errors.New("blockperiodseconds, requesttimeoutseconds and epochlength must be above 0")
	}
	return out, nil
}

// readStaticNodes reads the file, and refuses names where Besu would: it looks
// them up again only with both DNS options.
func readStaticNodes(text []byte, namesAllowed bool) ([]peer, error) {
	enodes, err := genesis.ParseStaticNodes(text)
	if err != nil {
		return nil, err
	}
	var out []peer
	for _, enode := range enodes {
		at, err := url.Parse(enode)
		if err != nil {
			return nil, fmt.Errorf("%q is no enode URL: %w", enode, err)
		}
		address, err := genesis.AddressOfEnode(enode)
		if err != nil {
			return nil, err
		}
		if net.ParseIP(at.Hostname()) == nil && !namesAllowed {
			return nil, fmt.Errorf("Invalid ip address in enode URL '%s': names need --Xdns-enabled and --Xdns-update-enabled", enode) //nolint:staticcheck // Besu's text
		}
		out = append(out, peer{id: at.User.Username(), address: address, url: "http://" + at.Host})
	}
	return out, nil
}

// checkValidators refuses a network of which a validator could never be found:
// extraData and keys were not made together.
func checkValidators(validators []common.Address, nodes []peer) error {
	for _, validator := range validators {
		known := slices.ContainsFunc(nodes, func(node peer) bool { return node.address == validator })
		if !known {
			return fmt.Errorf("extraData names validator %s, which is no static node: genesis file and keys are not of one network", validator)
		}
	}
	return nil
}
