package api

import (
	"context"
	"encoding/json"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"

	"github.com/slipwayhq/slipway/internal/queue"
)

// logBody is what a contract logged, as it is in the block.
type logBody struct {
	Address string        `json:"address"`
	Topics  []common.Hash `json:"topics"`
	Data    string        `json:"data"`
	// Index is the place among the logs of the block.
	Index uint64 `json:"index"`
}

// logsOf asks the node for the logs of a transaction, which are not kept: nil where
// it does not answer, or knows of another block than the receipt that is.
func (s *server) logsOf(ctx context.Context, kept *queue.Receipt) []logBody {
	answer := s.ask(ctx, "eth_getTransactionReceipt", kept.Hash.Hex())
	var found *struct {
		BlockHash common.Hash `json:"blockHash"`
		Logs      []struct {
			Address common.Address `json:"address"`
			Topics  []common.Hash  `json:"topics"`
			Data    hexutil.Bytes  `json:"data"`
			Index   hexutil.Uint64 `json:"logIndex"`
		} `json:"logs"`
	}
	if answer.Result == nil || json.Unmarshal(answer.Result, &found) != nil || found == nil || found.BlockHash != kept.BlockHash {
		return nil
	}
	out := make([]logBody, len(found.Logs))
	for i, l := range found.Logs {
		out[i] = logBody{Address: l.Address.Hex(), Topics: append([]common.Hash{}, l.Topics...), Data: l.Data.String(), Index: uint64(l.Index)}
	}
	return out
}
