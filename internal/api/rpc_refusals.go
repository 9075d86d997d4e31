package api

import (
	"errors"
	"fmt"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/queue"
	"github.com/slipwayhq/slipway/internal/signing"
)

// refusalRPCError is the answer to what the queue or a key does not take, nil
// for other errors.
func refusalRPCError(err error) *jsonrpc.Error {
	var full *queue.FullError
	var away *signing.UnavailableError
	var permanent *signing.PermanentError
	var coded *codedError
	switch {
	case errors.As(err, &coded) && coded.code == problemBusy:
		return jsonrpc.NewError(jsonrpc.CodeServer, "the queue gives out the nonces of this sender: "+coded.detail)
	case errors.As(err, &full):
		return jsonrpc.NewError(jsonrpc.CodeLimitExceeded, fmt.Sprintf("%s; try again in %s", full, full.RetryAfter()))
	case errors.Is(err, queue.ErrDraining):
		return jsonrpc.NewError(jsonrpc.CodeServer, queue.ErrDraining.Error())
	case errors.Is(err, signing.ErrDisabledSigner):
		return jsonrpc.NewError(jsonrpc.CodeServer, "unknown account: the key for from is turned off")
	case errors.As(err, &away):
		return jsonrpc.NewError(jsonrpc.CodeUnavailable, away.Error())
	case errors.As(err, &permanent):
		return jsonrpc.NewError(jsonrpc.CodeServer, permanent.Error())
	default:
		return nil
	}
}
