package api

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"

	"github.com/slipwayhq/slipway/internal/contract"
	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/queue"
)

// reasonBody is why a transaction ended without having been executed.
type reasonBody struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	// Data is the revert data of a simulation, as 0x hex.
	Data   string           `json:"data,omitempty"`
	Revert *contract.Revert `json:"revert,omitempty"`
}

// revertBody is why a transaction in a block did not succeed.
type revertBody struct {
	contract.Revert
	// Source is how the reason was found: "receipt" is the chain's own word;
	// "replay" is what the same call says at the state before its block, which
	// earlier transactions of the block may have changed.
	Source queue.RevertSource `json:"source"`
}

// abiOf reads what was kept of an ABI.
func abiOf(e queue.Explanation) contract.ABI {
	text, err := json.Marshal(e.ABI)
	if err != nil {
		return contract.ABI{}
	}
	known, err := contract.Parse(text, "")
	if err != nil { // written by an older or newer version
		return contract.ABI{}
	}
	return known
}

// explain finds out why a transaction reverted. Receipts of the chain have no
// reason, so that the node is asked once, and its answer kept. It returns nil
// when there is no reason to be had.
func (s *server) explain(ctx context.Context, t queue.Transaction) (*revertBody, error) {
	known, err := s.queue.Explanation(ctx, t.Request.Tenant, t.ID)
	if err != nil {
		return nil, err
	}
	found := known.Revert
	if found == nil {
		if found = s.askWhy(ctx, t); found == nil {
			return nil, nil
		}
		if err := s.queue.NoteRevert(ctx, t.Request.Tenant, t.ID, *found); err != nil {
			s.log.WarnContext(ctx, "a revert reason is not kept", slog.Any("tx_id", t.ID), slog.Any("err", err))
		}
	}
	return &revertBody{abiOf(known).Reverted(found.Data), found.Source}, nil
}

// askWhy asks the node: for the reason in the receipt, which Besu puts there
// with --revert-reason-enabled, and else for what the same call says at the
// block before.
func (s *server) askWhy(ctx context.Context, t queue.Transaction) *queue.RevertData {
	answer := s.ask(ctx, "eth_getTransactionReceipt", t.Receipt.Hash.Hex())
	var receipt struct {
		RevertReason string `json:"revertReason"`
	}
	if answer.Result != nil && json.Unmarshal(answer.Result, &receipt) == nil {
		if data, err := hexBytes("", receipt.RevertReason); err == nil && len(data) > 0 {
			return &queue.RevertData{Data: data, Source: queue.RevertFromReceipt}
		}
	}
	call := map[string]string{"from": t.Request.Sender.Hex(), "value": fmt.Sprintf("0x%x", t.Request.Value), "data": "0x" + hex.EncodeToString(t.Request.Data)}
	if t.Request.To != nil {
		call["to"] = t.Request.To.Hex()
	}
	if t.Request.Gas > 0 {
		call["gas"] = fmt.Sprintf("0x%x", t.Request.Gas)
	}
	answer = s.ask(ctx, "eth_call", call, fmt.Sprintf("0x%x", max(t.Receipt.BlockNumber, 1)-1))
	if answer.Error == nil {
		return nil
	}
	refused := jsonrpc.DecodeError(answer.Error)
	data, err := hexBytes("", strings.Trim(string(refused.Data), `"`))
	if err != nil || (refused.Code != jsonrpc.CodeReverted && len(data) == 0) {
		return nil // out of gas, or a state that the node no longer has
	}
	return &queue.RevertData{Data: data, Source: queue.RevertFromReplay}
}

// ask makes one call to the node. What fails has neither result nor error.
func (s *server) ask(ctx context.Context, method string, params ...any) jsonrpc.Response {
	text, err := json.Marshal(params)
	if err != nil {
		return jsonrpc.Response{}
	}
	body, status, err := s.node.Forward(ctx, jsonrpc.AppendRequest(nil, jsonrpc.ID("1"), method, text))
	if err != nil || status != 200 {
		return jsonrpc.Response{}
	}
	answer, err := jsonrpc.ScanResponse(body)
	if err != nil {
		return jsonrpc.Response{}
	}
	return answer
}
