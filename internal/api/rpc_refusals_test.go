package api

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/queue"
	"github.com/slipwayhq/slipway/internal/signing"
)

func TestRPCErrorOf_Refusals(t *testing.T) {
	t.Parallel()
	inner := errors.New("https://user:hunter2@vault.example/v1")
	for name, c := range map[string]struct {
		err     error
		code    jsonrpc.Code
		message string
	}{
		"full":        {&queue.FullError{Whose: "sender", Limit: 7}, jsonrpc.CodeLimitExceeded, "7 transactions of this sender are waiting, which is the limit; try again in 2s"},
		"draining":    {queue.ErrDraining, jsonrpc.CodeServer, "the sender is draining and takes no new transactions"},
		"turned off":  {signing.ErrDisabledSigner, jsonrpc.CodeServer, "unknown account: the key for from is turned off"},
		"unavailable": {&signing.UnavailableError{Key: "vault:a", Reason: "sealed", Err: inner}, jsonrpc.CodeUnavailable, "signer unavailable: vault:a: sealed"},
		"refused":     {&signing.PermanentError{Key: "kms:b", Reason: "the key is disabled", Err: inner}, jsonrpc.CodeServer, "signer refused: kms:b: the key is disabled"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := rpcErrorOf(fmt.Errorf("outer: %w", c.err))
			require.Equal(t, c.code, got.Code)
			require.Equal(t, c.message, got.Message)
		})
	}
}
