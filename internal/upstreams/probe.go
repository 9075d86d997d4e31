package upstreams

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/slipwayhq/slipway/internal/chain"
	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/secret"
)

// ChainInfo is what a node says about itself.
type ChainInfo struct {
	ChainID       uint64
	GenesisHash   string // 0x…, lower case
	Head          uint64
	ClientVersion string // empty when the node does not tell
}

// Probe asks the node at url which chain it shows. The caller bounds it with
// ctx. Its errors never show the URL.
func Probe(ctx context.Context, url secret.String) (ChainInfo, error) {
	target, err := parseURL(url)
	if err != nil {
		return ChainInfo{}, err
	}
	t := newTransport(target, 1, maxProbeBytes, nil)
	defer t.close()
	identity, err := identify(ctx, t)
	if err != nil {
		return ChainInfo{}, err
	}
	head, err := quantity(ctx, t, "eth_blockNumber")
	if err != nil {
		return ChainInfo{}, err
	}
	info := ChainInfo{ChainID: identity.ChainID, GenesisHash: identity.Genesis, Head: head}
	if version, err := call(ctx, t, "web3_clientVersion", `[]`); err == nil {
		if text, err := strconv.Unquote(string(version.Result)); err == nil {
			info.ClientVersion = text
		}
	}
	return info, nil
}

// identify asks a node for what makes its chain this chain.
func identify(ctx context.Context, t asker) (Identity, error) {
	chainID, err := quantity(ctx, t, "eth_chainId")
	if err != nil {
		return Identity{}, err
	}
	genesis, err := call(ctx, t, "eth_getBlockByNumber", `["0x0",false]`)
	if err != nil {
		return Identity{}, fmt.Errorf("eth_getBlockByNumber of block 0: %w", err)
	}
	hash := jsonrpc.Member(genesis.Result, "hash")
	if len(hash) != len(`"0x"`)+64 {
		return Identity{}, errors.New("eth_getBlockByNumber of block 0: no block with a hash")
	}
	return Identity{ChainID: chainID, Genesis: strings.ToLower(string(hash[1 : len(hash)-1]))}, nil
}

// quantity calls a method without parameters that answers with a quantity.
func quantity(ctx context.Context, t asker, method string) (uint64, error) {
	response, err := call(ctx, t, method, `[]`)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", method, err)
	}
	if response.Error != nil {
		return 0, fmt.Errorf("%s: %w", method, jsonrpc.DecodeError(response.Error))
	}
	n, ok := methods.ParseQuantity(response.Result)
	if !ok {
		return 0, fmt.Errorf("%s: the answer is not a quantity", method)
	}
	return n, nil
}

// detectFinality finds out which kind of network a node belongs to, and why it
// is taken to be so: one that knows the tag "finalized", one with instant
// finality (Besu with QBFT or IBFT2, which knows its validators and not the
// tag), or neither.
func detectFinality(ctx context.Context, t transport, depth uint64) (found chain.Finality, why string, err error) {
	tagged, err := call(ctx, t, "eth_getBlockByNumber", `["finalized",false]`)
	if err != nil {
		return chain.Finality{}, "", fmt.Errorf("ask for the finalized block: %w", err)
	}
	if jsonrpc.Member(tagged.Result, "number") != nil {
		return chain.Finality{Mode: chain.ByTag}, "knows the tag finalized", nil
	}
	for _, method := range []string{"qbft_getValidatorsByBlockNumber", "ibft_getValidatorsByBlockNumber"} {
		validators, err := call(ctx, t, method, `["latest"]`)
		if err != nil {
			return chain.Finality{}, "", fmt.Errorf("%s: %w", method, err)
		}
		if len(validators.Result) > 0 && validators.Result[0] == '[' {
			return chain.Finality{Mode: chain.Instant}, "answers " + method, nil
		}
	}
	return chain.Finality{Mode: chain.ByDepth, Depth: depth}, "knows neither the tag finalized nor validators of QBFT or IBFT2", nil
}
