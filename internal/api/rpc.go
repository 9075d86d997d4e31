package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/ethereum/go-ethereum/common"
	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/queue"
)

// handleRPC answers JSON-RPC: single calls and batches.
func (s *server) handleRPC(c echo.Context) error {
	body, err := readBody(c)
	if err != nil {
		return s.writeRPC(c, http.StatusRequestEntityTooLarge, jsonrpc.AppendError(nil, nil, rpcErrorOf(err)))
	}
	ctx := c.Request().Context()
	key := c.Request().Header.Get("Idempotency-Key")
	if key == "" {
		key = c.Request().Header.Get("X-Idempotency-Key")
	}
	if jsonrpc.IsBatch(body) {
		return s.handleBatch(c, body)
	}

	req, rpcErr := jsonrpc.ScanRequest(body)
	switch {
	case rpcErr != nil: // 400, as the gateway answers
		return s.writeRPC(c, http.StatusBadRequest, jsonrpc.AppendError(nil, req.ID, rpcErr))
	case !isOurs(req.Method):
		return s.forward(c, req.ID, body)
	}
	answer := s.begin(ctx, req, key)(ctx)
	if req.IsNotification() {
		return c.NoContent(http.StatusNoContent)
	}
	return s.writeRPC(c, http.StatusOK, answer)
}

func (s *server) writeRPC(c echo.Context, status int, body []byte) error {
	return c.Blob(status, echo.MIMEApplicationJSON, body)
}

// forward passes a body to the gateway and its answer back, both as they are.
func (s *server) forward(c echo.Context, id jsonrpc.ID, body []byte) error {
	answer, status, err := s.node.Forward(c.Request().Context(), body)
	s.count("forwarded", err == nil)
	if err != nil {
		return s.writeRPC(c, http.StatusOK, jsonrpc.AppendError(nil, id, errGatewayAway()))
	}
	return s.writeRPC(c, status, answer)
}

func (s *server) count(method string, ok bool) {
	outcome := "ok"
	if !ok {
		outcome = "error"
	}
	s.metrics.calls.WithLabelValues(method, outcome).Inc()
}

// isOurs says whether a method needs this process.
func isOurs(method string) bool {
	return method == "eth_accounts" || method == "eth_sendTransaction"
}

// answer finishes a call that was begun and returns its response.
type answer func(ctx context.Context) []byte

// begin starts a call of ours. What must happen in order (accepting) happens
// before it returns; what may take time (waiting for the hash) in the answer.
func (s *server) begin(ctx context.Context, req jsonrpc.Request, key string) answer {
	if req.Method == "eth_accounts" {
		s.count(req.Method, true)
		return done(jsonrpc.AppendResult(nil, req.ID, s.accounts()))
	}
	watch, err := s.acceptCall(ctx, req, key)
	if err != nil {
		s.count(req.Method, false)
		return done(jsonrpc.AppendError(nil, req.ID, rpcErrorOf(err)))
	}
	return func(ctx context.Context) []byte {
		hash, err := s.waitHash(ctx, watch)
		s.count(req.Method, err == nil)
		if err != nil {
			return jsonrpc.AppendError(nil, req.ID, rpcErrorOf(err))
		}
		return jsonrpc.AppendResult(nil, req.ID, []byte(`"`+hash.Hex()+`"`))
	}
}

func done(response []byte) answer { return func(context.Context) []byte { return response } }

func (s *server) accounts() []byte {
	out := []string{}
	for _, a := range s.queue.Accounts() {
		out = append(out, a.Hex())
	}
	text, err := json.Marshal(out)
	if err != nil { // a list of texts always marshals
		return []byte("[]")
	}
	return text
}

// sendArgs is the transaction object of eth_sendTransaction. Fields that
// clients add for themselves are accepted and ignored, as nodes do.
type sendArgs struct {
	txFields
	Input          *string   `json:"input"`
	Nonce          *quantity `json:"nonce"`
	ChainID        *quantity `json:"chainId"`
	IdempotencyKey string    `json:"idempotencyKey"`
}

func (s *server) acceptCall(ctx context.Context, req jsonrpc.Request, key string) (queue.Watch, error) {
	var args sendArgs
	object := jsonrpc.Element(req.Params, 0)
	if object == nil || object[0] != '{' {
		return nil, invalid("eth_sendTransaction needs one transaction object")
	}
	if err := json.Unmarshal(object, &args); err != nil {
		return nil, invalid(decodeDetail(err))
	}
	r, err := args.request(s.chainID)
	if err != nil {
		return nil, err
	}
	if r.IdempotencyKey, err = idempotencyKey(key, args.IdempotencyKey); err != nil {
		return nil, err
	}
	_, watch, err := s.queue.EnqueueWatched(ctx, r)
	return watch, err
}

func (a sendArgs) request(chainID uint64) (queue.Request, error) {
	switch {
	case a.Nonce != nil:
		return queue.Request{}, invalid("nonce: the signer gives nonces, leave it out")
	case a.ChainID != nil && (!a.ChainID.v.IsUint64() || a.ChainID.v.Uint64() != chainID):
		return queue.Request{}, invalid("chainId: this signer works on another chain")
	case a.Input != nil && a.Data != nil && *a.Input != *a.Data:
		return queue.Request{}, invalid("data and input differ")
	case a.Input != nil:
		a.Data = a.Input
	}
	return a.txFields.request()
}

// errNoHashYet says that a transaction is accepted but was not signed in time.
var errNoHashYet = errors.New("no hash in time")

// waitHash waits until the transaction's signed bytes are durable.
func (s *server) waitHash(ctx context.Context, watch queue.Watch) (common.Hash, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.cfg.SendWait, errNoHashYet)
	defer cancel()
	tx, err := watch(ctx)
	switch {
	case err != nil:
		return common.Hash{}, &waitError{id: tx.ID, why: tx.Substatus, err: err}
	case tx.Hash == nil:
		return common.Hash{}, &endedError{status: tx.Status, reason: tx.Error}
	default:
		return *tx.Hash, nil
	}
}

// waitError is a transaction that goes on although its caller no longer waits.
type waitError struct {
	id  uuid.UUID
	why string
	err error
}

func (e *waitError) Error() string { return "wait for the hash of " + e.id.String() }

func (e *waitError) Unwrap() error { return e.err }

// endedError is a transaction that ended without ever having a hash.
type endedError struct {
	status queue.Status
	reason *queue.Reason
}

func (e *endedError) Error() string { return "the transaction ended as " + string(e.status) }
