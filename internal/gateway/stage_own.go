package gateway

import (
	"context"
	"strconv"

	"github.com/slipwayhq/slipway/internal/methods"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

// ownStage answers what the gateway knows itself. The chain id is the pinned
// one, which every upstream in use was checked against.
type ownStage struct {
	network Network
	version []byte // a JSON string
}

func newOwnStage(network Network, version string) *ownStage {
	return &ownStage{network: network, version: strconv.AppendQuote(nil, "slipway/"+version)}
}

func (s *ownStage) Wrap(next Handler) Handler {
	return func(ctx context.Context, call *Call) (*Result, error) {
		if call.Facts.Method.Kind != methods.Local {
			return next(ctx, call)
		}
		value, err := s.answer(call.Method)
		if err != nil {
			return nil, err
		}
		return &Result{Value: value, Source: FromGateway}, nil
	}
}

func (s *ownStage) answer(method string) ([]byte, error) {
	switch method {
	case "web3_clientVersion":
		return s.version, nil
	case "eth_accounts":
		return []byte("[]"), nil // the nodes of this network hold no keys
	}
	chainID := s.network.Identity().ChainID
	if chainID == 0 {
		return nil, upstreams.ErrNoUpstream // neither configured nor seen yet
	}
	if method == "net_version" {
		return strconv.AppendQuote(nil, strconv.FormatUint(chainID, 10)), nil
	}
	return methods.AppendQuantity(nil, chainID), nil
}
