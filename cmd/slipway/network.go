package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/slipwayhq/slipway/internal/genesis"
	"github.com/slipwayhq/slipway/internal/network"
	"github.com/slipwayhq/slipway/internal/network/validators"
	"github.com/slipwayhq/slipway/internal/nodeclient"
	"github.com/slipwayhq/slipway/internal/secret"
)

type networkCmd struct {
	Generate  generateCmd `cmd:"" help:"Make keys, genesis file and static nodes."`
	Verify    verifyCmd   `cmd:"" help:"Recompute extraData, addresses and the genesis hash, and say what differs."`
	Validator struct {
		Key      keyCmd    `cmd:"" help:"Make the key of one more node in a network's folder."`
		Add      changeCmd `cmd:"" help:"Make a running node a validator, by the votes of the validators."`
		Remove   changeCmd `cmd:"" help:"Take a validator out of the set, by the votes of the validators."`
		Withdraw changeCmd `cmd:"" help:"Take back votes for or against an address."`
	} `cmd:"" help:"Change the validators of a running network."`
}

// exitError ends the program with a code of its own.
type exitError struct {
	error
	code int
}

// ExitCode implements what the command line asks for.
func (e exitError) ExitCode() int { return e.code }

// Unwrap gives the error itself.
func (e exitError) Unwrap() error { return e.error }

// exitDiffers is the exit code when something is there and is not as it should be.
const exitDiffers = 3

type generateCmd struct {
	nodeFlags
	specFlags
	nameFlags
	Namespace string `aliases:"static-node-namespace" default:"default" help:"Namespace in the enode URLs and the manifest."`
	Output    string `short:"o" enum:"screen,folder,manifest" default:"screen" help:"screen, folder, or manifest (Kubernetes objects as JSON, with private keys)."`
	To        string `help:"The folder, or the file of the manifest. Default of the manifest: standard output." placeholder:"PATH"`
	ShowKeys  bool   `help:"Print the private keys to the screen."`
}

func (c *generateCmd) run(stdout io.Writer) error {
	names := c.names(c.Namespace)
	spec, err := c.spec(names)
	if err != nil {
		return err
	}
	keys, err := c.given(names)
	if err != nil {
		return err
	}
	if keys == nil {
		drawn, err := network.NewKeys(c.Validators, c.RPCNodes)
		if err != nil {
			return err
		}
		keys = &drawn
	}
	material, err := network.Derive(spec, *keys)
	if err != nil {
		return err
	}
	switch c.Output {
	case "folder":
		if c.To == "" {
			return errors.New("--output folder needs --to DIR")
		}
		if err := material.WriteFolder(c.To); err != nil {
			return err
		}
		fmt.Fprintf(stdout, "Network %d in %s: %d validators, %d RPC nodes.\nGenesis hash: %s\n", spec.Params.ChainID, c.To, len(keys.Validators), len(keys.RPCNodes), material.Hash)
		return nil
	case "manifest":
		return writeManifest(material, c.To, stdout)
	default:
		return material.WriteScreen(stdout, c.ShowKeys)
	}
}

func writeManifest(material network.Material, path string, stdout io.Writer) error {
	if path == "" {
		return material.WriteManifest(stdout)
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	return errors.Join(material.WriteManifest(file), file.Close())
}

type verifyCmd struct {
	Folder    string   `help:"A network's folder: everything in it is compared with its keys." placeholder:"DIR" xor:"what" required:""`
	Genesis   string   `help:"A genesis file." placeholder:"FILE" xor:"what" required:""`
	Validator []string `help:"A validator that the genesis file must have: address, public key or enode URL. Repeatable; then there must be no others." placeholder:"WHO" sep:"none"`
	Hash      string   `help:"The genesis hash that is expected." placeholder:"HASH"`
	ChainID   uint64   `name:"chain-id" help:"The chain id that is expected." placeholder:"ID"`
	Node      []string `help:"URL of a running node whose block 0 must be the same. Repeatable." placeholder:"URL" sep:"none"`
}

func (c *verifyCmd) run(ctx context.Context, stdout io.Writer) error {
	found, err := c.found()
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "Genesis hash: %s\nValidators: %d\n", found.Hash, len(found.Validators))
	for _, address := range found.Validators {
		fmt.Fprintf(stdout, "  %s\n", address)
	}
	for _, address := range c.Node {
		hash, err := genesisOf(ctx, address)
		switch {
		case err != nil:
			return err
		case hash != found.Hash:
			found.Differences = append(found.Differences, fmt.Sprintf("the genesis hash of %s is %s", host(address), hash))
		default:
			fmt.Fprintf(stdout, "%s has the same genesis.\n", host(address))
		}
	}
	if len(found.Differences) > 0 {
		return exitError{fmt.Errorf("%d differences: %s", len(found.Differences), strings.Join(found.Differences, "; ")), exitDiffers}
	}
	fmt.Fprintln(stdout, "Nothing differs.")
	return nil
}

func (c *verifyCmd) found() (network.Found, error) {
	if c.Folder != "" {
		return network.VerifyFolder(c.Folder)
	}
	text, err := os.ReadFile(c.Genesis)
	if err != nil {
		return network.Found{}, fmt.Errorf("genesis: %w", err)
	}
	claims := network.Claims{ChainID: c.ChainID}
	for _, who := range c.Validator {
		address, err := addressOf(who)
		if err != nil {
			return network.Found{}, fmt.Errorf("validator: %w", err)
		}
		claims.Validators = append(claims.Validators, address)
	}
	if c.Hash != "" {
		hash := common.HexToHash(c.Hash)
		if !strings.EqualFold(hash.Hex(), "0x"+strings.TrimPrefix(c.Hash, "0x")) {
			return network.Found{}, fmt.Errorf("hash: %q is not 64 hex digits", c.Hash)
		}
		claims.Hash = &hash
	}
	return network.VerifyGenesis(text, claims)
}

func addressOf(who string) (common.Address, error) {
	switch {
	case strings.HasPrefix(who, "enode:"):
		return genesis.AddressOfEnode(who)
	case common.IsHexAddress(who):
		return common.HexToAddress(who), nil
	default:
		return genesis.AddressOfID(who)
	}
}

// host is a URL without credentials and path, for messages.
func host(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return "the node"
	}
	return u.Host
}

func clientOf(text string) (*nodeclient.Client, error) {
	client, err := nodeclient.New(nodeclient.Config{URL: secret.New(text)})
	if err != nil {
		return nil, fmt.Errorf("--node: %w", err)
	}
	return client, nil
}

func genesisOf(ctx context.Context, text string) (common.Hash, error) {
	client, err := clientOf(text)
	if err != nil {
		return common.Hash{}, err
	}
	defer client.Close()
	hash, err := client.GenesisHash(ctx)
	if err != nil {
		return common.Hash{}, fmt.Errorf("%s: %w", host(text), err)
	}
	return hash, nil
}

type keyCmd struct {
	Folder string `required:"" help:"The network's folder." placeholder:"DIR"`
	Role   string `enum:"validator,rpc" default:"validator" help:"validator or rpc."`
}

func (c *keyCmd) run(stdout io.Writer) error {
	node, err := network.AddNode(c.Folder, network.Role(c.Role))
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s\n  address %s\n  enode   %s\nStart it with the genesis file of the network", node.Name, node.Key.Address(), node.Enode)
	if c.Role == string(network.Validator) {
		fmt.Fprintf(stdout, ", then: slipway network validator add %s --node URL …", node.Key.Address())
	}
	fmt.Fprintln(stdout, ".")
	return nil
}

type changeCmd struct {
	targetFlags

	Address                string        `arg:"" help:"Address of the validator, or its name in the release: besu-node-validator-1."`
	Node                   []string      `help:"URL of a node, with the API QBFT or IBFT enabled: of every validator, and of the new one. Repeatable. Default: the validators of the release, through the API server." placeholder:"URL" sep:"none"`
	Consensus              string        `enum:"qbft,ibft2" default:"qbft" help:"qbft or ibft2."`
	Timeout                time.Duration `default:"10m" help:"How long to wait for the blocks with the votes."`
	Poll                   time.Duration `default:"2s" help:"Time between looks."`
	Majority               bool          `help:"Go on when some validators cannot be asked, as long as more than half can."`
	AcceptNoFaultTolerance bool          `help:"Allow a network in which no validator may fail."`
}

func (c *changeCmd) run(ctx context.Context, add bool, stdout io.Writer) error {
	return c.atNodes(ctx, stdout, func(address common.Address, nodes []validators.Node, options validators.Options) error {
		change := validators.Change{Address: address, Add: add, Majority: c.Majority, AcceptNoFaultTolerance: c.AcceptNoFaultTolerance}
		return validators.Apply(ctx, nodes, change, options, lines(stdout))
	})
}

func (c *changeCmd) withdraw(ctx context.Context, stdout io.Writer) error {
	return c.atNodes(ctx, stdout, func(address common.Address, nodes []validators.Node, options validators.Options) error {
		return validators.Withdraw(ctx, nodes, address, options, lines(stdout))
	})
}

// atNodes finds out whom the change is about and who is asked.
func (c *changeCmd) atNodes(ctx context.Context, stdout io.Writer, use func(common.Address, []validators.Node, validators.Options) error) error {
	options := validators.Options{API: nodeclient.QBFT, Timeout: c.Timeout, Poll: c.Poll}
	if c.Consensus == string(genesis.IBFT2) {
		options.API = nodeclient.IBFT
	}
	address, err := addressOf(c.Address)
	if len(c.Node) > 0 {
		if err != nil {
			return fmt.Errorf("address: %q is not 40 hex digits", c.Address)
		}
		nodes, err := c.given()
		if err != nil {
			return err
		}
		return use(address, nodes, options)
	}
	cluster, unreachable := c.connect(ctx)
	if unreachable != nil {
		return fmt.Errorf("%w; without a cluster give the URL of every validator: --node http://validator-0:8545 --node …", unreachable)
	}
	if err != nil {
		if address, err = cluster.NodeAddress(ctx, c.Address); err != nil {
			return err
		}
	}
	return cluster.AtValidators(ctx, c.Release, lines(stdout), func(nodes []validators.Node) error { return use(address, nodes, options) })
}

// given are the nodes whose URLs were given.
func (c *changeCmd) given() ([]validators.Node, error) {
	nodes := make([]validators.Node, len(c.Node))
	for i, text := range c.Node {
		client, err := clientOf(text)
		if err != nil {
			return nil, err
		}
		nodes[i] = validators.Node{URL: host(text), Client: client}
	}
	return nodes, nil
}

func lines(w io.Writer) func(line string) {
	return func(line string) { fmt.Fprintln(w, line) }
}
