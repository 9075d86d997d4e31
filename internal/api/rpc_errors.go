package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/queue"
	"github.com/slipwayhq/slipway/internal/wallets"
)

// errGatewayAway is what a call gets that the gateway did not answer.
func errGatewayAway() *jsonrpc.Error {
	return jsonrpc.NewError(jsonrpc.CodeUnavailable, "the gateway cannot be reached")
}

// rpcError is rpcErrorOf, with a log line for what is a fault of ours.
func (s *server) rpcError(ctx context.Context, err error) *jsonrpc.Error {
	out := rpcErrorOf(err)
	if out.Code == jsonrpc.CodeInternal {
		s.log.LogAttrs(ctx, failureLevel(ctx), "call failed", slog.Any("err", err))
	}
	return out
}

// rpcErrorOf turns a Go error into a JSON-RPC error, with the codes clients of
// Ethereum nodes know. What it does not know stays inside.
func rpcErrorOf(err error) *jsonrpc.Error {
	var bad *invalidError
	var waiting *waitError
	var ended *endedError
	if errors.Is(err, queue.ErrUnproven) {
		err = errNoProof()
	}
	if e := accessRPCError(err); e != nil {
		return e
	}
	if refused := refusalRPCError(err); refused != nil {
		return refused
	}
	switch {
	case errors.As(err, &bad):
		return jsonrpc.NewError(jsonrpc.CodeInvalidParams, bad.detail)
	case isWalletError(err):
		return walletRPCError(err)
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
	case errors.Is(err, queue.ErrUnavailable), errors.Is(err, wallets.ErrUnavailable):
		return jsonrpc.NewError(jsonrpc.CodeUnavailable, "the database cannot be reached; repeat the call with an idempotency key to be safe")
	default:
		return jsonrpc.NewError(jsonrpc.CodeInternal, "internal error")
	}
}

func isWalletError(err error) bool {
	var invalid *wallets.InvalidError
	var locked *wallets.LockedError
	var shown *proofError
	var refused *refusedError
	for _, known := range []error{
		errNoWallets, wallets.ErrUnverified, wallets.ErrUnknownWallet, wallets.ErrUnknownVerification,
		wallets.ErrIndexTaken, wallets.ErrTooMany, wallets.ErrSealed,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	return errors.As(err, &invalid) || errors.As(err, &locked) || errors.As(err, &shown) || errors.As(err, &refused)
}

// walletRPCError is the answer of wallets that do not want to, or cannot.
func walletRPCError(err error) *jsonrpc.Error {
	var invalid *wallets.InvalidError
	var locked *wallets.LockedError
	var shown *proofError
	var refused *refusedError
	switch {
	case errors.As(err, &invalid):
		return jsonrpc.NewError(jsonrpc.CodeInvalidParams, invalid.Detail)
	case errors.As(err, &locked):
		return jsonrpc.NewError(jsonrpc.CodeUnauthorized, locked.Error())
	case errors.As(err, &shown):
		return jsonrpc.NewError(jsonrpc.CodeUnauthorized, shown.detail)
	case errors.As(err, &refused):
		return jsonrpc.NewError(jsonrpc.CodeServer, refused.detail)
	case errors.Is(err, wallets.ErrUnverified):
		return jsonrpc.NewError(jsonrpc.CodeUnauthorized, wallets.ErrUnverified.Error())
	case errors.Is(err, errNoWallets):
		return jsonrpc.NewError(jsonrpc.CodeNotSupported, errNoWallets.Error())
	case errors.Is(err, wallets.ErrUnknownWallet):
		return jsonrpc.NewError(jsonrpc.CodeResourceNotFound, wallets.ErrUnknownWallet.Error())
	case errors.Is(err, wallets.ErrUnknownVerification):
		return jsonrpc.NewError(jsonrpc.CodeResourceNotFound, wallets.ErrUnknownVerification.Error())
	case errors.Is(err, wallets.ErrIndexTaken):
		return jsonrpc.NewError(jsonrpc.CodeServer, wallets.ErrIndexTaken.Error())
	case errors.Is(err, wallets.ErrTooMany):
		return jsonrpc.NewError(jsonrpc.CodeServer, wallets.ErrTooMany.Error())
	default:
		return jsonrpc.NewError(jsonrpc.CodeInternal, wallets.ErrSealed.Error())
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
