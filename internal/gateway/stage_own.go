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
	pool    Pool
	version []byte // a JSON string
}

func newOwnStage(pool Pool, version string) *ownStage {
	return &ownStage{pool: pool, version: strconv.AppendQuote(nil, "slipway/"+version)}
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
	chainID := s.pool.Identity().ChainID
	if chainID == 0 {
		return nil, upstreams.ErrNoUpstream // neither configured nor seen yet
	}
	if method == "net_version" {
		return strconv.AppendQuote(nil, strconv.FormatUint(chainID, 10)), nil
	}
	return methods.AppendQuantity(nil, chainID), nil
}
