package api

import (
	"context"
	"encoding/json"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"

	"github.com/slipwayhq/slipway/internal/contract"
	"github.com/slipwayhq/slipway/internal/queue"
)

// logBody is what a contract logged, as it is in the block.
type logBody struct {
	Address string        `json:"address"`
	Topics  []common.Hash `json:"topics"`
	Data    string        `json:"data"`
	// Index is the place among the logs of the block.
	Index uint64 `json:"index"`
	// Event is the log decoded by the ABI of the request, nil where that does not
	// explain it. Any contract can log what looks like an event of another: who did
	// is Address.
	Event *contract.Log `json:"event,omitempty"`
}

// maxDecodedLogs bounds the data of one receipt's logs that is decoded, in bytes.
// Those behind it stay as they are.
const maxDecodedLogs = 64 << 10

// decodeLogs fills in the events that the ABI of the request knows.
func (s *server) decodeLogs(ctx context.Context, t queue.Transaction, logs []logBody) error {
	if len(logs) == 0 {
		return nil
	}
	kept, err := s.queue.Explanation(ctx, t.Request.Tenant, t.ID)
	if err != nil {
		return err
	}
	known, room := abiOf(kept), maxDecodedLogs
	for i := range logs {
		data := common.FromHex(logs[i].Data)
		if room -= len(data) + (len(logs[i].Topics)+1)*common.HashLength; room < 0 {
			break
		}
		logs[i].Event = known.Logged(logs[i].Topics, data)
	}
	return nil
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
