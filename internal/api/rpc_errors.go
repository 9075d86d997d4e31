package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/queue"
)

// errGatewayAway is what a call gets that the gateway did not answer.
func errGatewayAway() *jsonrpc.Error {
	return jsonrpc.NewError(jsonrpc.CodeUnavailable, "the gateway cannot be reached")
}

// rpcErrorOf turns a Go error into a JSON-RPC error, with the codes clients of
// Ethereum nodes know. What it does not know stays inside.
func rpcErrorOf(err error) *jsonrpc.Error {
	var bad *invalidError
	var waiting *waitError
	var ended *endedError
	switch {
	case errors.As(err, &bad):
		return jsonrpc.NewError(jsonrpc.CodeInvalidParams, bad.detail)
	case errors.Is(err, errBodyTooLarge):
		return jsonrpc.NewError(jsonrpc.CodeInvalidRequest, "the request body is too large")
	case errors.Is(err, queue.ErrUnknownSender):
		return jsonrpc.NewError(jsonrpc.CodeServer, "unknown account: the signer has no key for from")
	case errors.Is(err, queue.ErrKeyReused):
		return jsonrpc.NewError(jsonrpc.CodeInvalidRequest, queue.ErrKeyReused.Error())
	case errors.As(err, &ended):
		return endedRPCError(ended)
	case errors.As(err, &waiting):
		return waitRPCError(waiting)
	case errors.Is(err, queue.ErrUnavailable):
		return jsonrpc.NewError(jsonrpc.CodeUnavailable, "the database cannot be reached; repeat the call with an idempotency key to be safe")
	default:
		return jsonrpc.NewError(jsonrpc.CodeInternal, "internal error")
	}
}

// waitRPCError says that the transaction goes on: a blind repetition would be a
// second one.
func waitRPCError(e *waitError) *jsonrpc.Error {
	message := fmt.Sprintf("transaction %s is accepted but has no hash yet", e.id)
	if e.why != "" {
		message += " (" + e.why + ")"
	}
	if errors.Is(e.err, context.Canceled) {
		message += "; the caller left"
	}
	return jsonrpc.NewError(jsonrpc.CodeTimeout, message+"; do not send it again, read it at /v1/transactions/"+e.id.String())
}

// endedRPCError repeats what the node said of a transaction that never got a nonce.
func endedRPCError(e *endedError) *jsonrpc.Error {
	if e.reason == nil {
		return jsonrpc.NewError(jsonrpc.CodeServer, "the transaction was "+string(e.status))
	}
	if e.reason.Code != queue.ReasonReverted {
		return jsonrpc.NewError(jsonrpc.CodeServer, e.reason.Message)
	}
	out := jsonrpc.NewError(jsonrpc.CodeReverted, e.reason.Message)
	if e.reason.Data != "" {
		if data, err := json.Marshal(e.reason.Data); err == nil {
			out.Data = data
		}
	}
	return out
}
