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
	who := callerOf(c.Request().Header)
	if jsonrpc.IsBatch(body) {
		return s.handleBatch(c, body, who)
	}

	req, rpcErr := jsonrpc.ScanRequest(body)
	switch {
	case rpcErr != nil: // 400, as the gateway answers
		return s.writeRPC(c, http.StatusBadRequest, jsonrpc.AppendError(nil, req.ID, rpcErr))
	case !s.isOurs(req.Method):
		return s.forward(c, req.ID, body)
	}
	answer := s.begin(ctx, req, who)(ctx)
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
	answer, status := s.forwarded(c.Request().Context(), id, body)
	return s.writeRPC(c, status, answer)
}

func (s *server) forwarded(ctx context.Context, id jsonrpc.ID, body []byte) ([]byte, int) {
	answer, status, err := s.node.Forward(ctx, body)
	s.count("forwarded", err == nil)
	if err != nil {
		return jsonrpc.AppendError(nil, id, errGatewayAway()), http.StatusOK
	}
	return answer, status
}

func (s *server) count(method string, ok bool) {
	outcome := "ok"
	if !ok {
		outcome = "error"
	}
	s.metrics.calls.WithLabelValues(method, outcome).Inc()
}

// answer finishes a call that was begun and returns its response.
type answer func(ctx context.Context) []byte

// begin starts a call of ours. What must happen in order (accepting) happens
// before it returns; what may take time in the answer.
func (s *server) begin(ctx context.Context, req jsonrpc.Request, who caller) answer {
	if s.isClosed(req.Method) {
		s.count("closed", false)
		return done(jsonrpc.AppendError(nil, req.ID, errClosed(req.Method)))
	}
	if err := s.permitCall(ctx, req.Method); err != nil {
		s.count(req.Method, false)
		return done(jsonrpc.AppendError(nil, req.ID, s.rpcError(ctx, err)))
	}
	if req.Method != sendTransaction {
		return func(ctx context.Context) []byte { return s.answer(ctx, req, who) }
	}
	watch, err := s.acceptCall(ctx, req, who)
	if err != nil {
		s.count(req.Method, false)
		return done(jsonrpc.AppendError(nil, req.ID, s.rpcError(ctx, err)))
	}
	return func(ctx context.Context) []byte {
		hash, err := s.waitHash(ctx, watch)
		s.count(req.Method, err == nil)
		if err != nil {
			return jsonrpc.AppendError(nil, req.ID, s.rpcError(ctx, err))
		}
		return jsonrpc.AppendResult(nil, req.ID, []byte(`"`+hash.Hex()+`"`))
	}
}

func done(response []byte) answer { return func(context.Context) []byte { return response } }

// answer calls a method of the table.
func (s *server) answer(ctx context.Context, req jsonrpc.Request, who caller) []byte {
	result, err := s.methods[req.Method](ctx, req.Params, who)
	var text []byte
	if err == nil {
		text, err = json.Marshal(result)
	}
	s.count(req.Method, err == nil)
	if err != nil {
		return jsonrpc.AppendError(nil, req.ID, s.rpcError(ctx, err))
	}
	return jsonrpc.AppendResult(nil, req.ID, text)
}

func (s *server) acceptCall(ctx context.Context, req jsonrpc.Request, who caller) (queue.Watch, error) {
	args, r, err := s.transaction(req.Params, req.Method)
	if err != nil {
		return nil, err
	}
	if r.IdempotencyKey, err = idempotencyKey(who.key, args.IdempotencyKey); err != nil {
		return nil, err
	}
	if r.IsProven, err = s.prove(ctx, r.Sender, args.proofOr(who.proof), r); err != nil {
		return nil, err
	}
	_, watch, err := s.queue.EnqueueWatched(ctx, r)
	return watch, err
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
