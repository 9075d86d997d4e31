package api

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
)

// handleBatch answers a batch: calls of ours are accepted in their order, the
// others go to the gateway as one batch, and the answers come in the order of
// the calls.
func (s *server) handleBatch(c echo.Context, body []byte, who caller) error {
	elements, rpcErr := jsonrpc.ScanBatch(body, s.cfg.MaxBatch)
	if rpcErr != nil {
		return s.writeRPC(c, http.StatusBadRequest, jsonrpc.AppendError(nil, nil, rpcErr))
	}
	ctx := c.Request().Context()
	b := s.splitBatch(ctx, elements, who)
	b.finish(ctx)
	if out := b.join(); out != nil {
		return s.writeRPC(c, http.StatusOK, out)
	}
	return c.NoContent(http.StatusNoContent)
}

// batch is a batch under way: one place for each element.
type batch struct {
	server    *server
	requests  []jsonrpc.Request
	begun     []answer // nil: forwarded
	forwarded [][]byte // elements for the gateway
	responses [][]byte // nil: none is due
}

// splitBatch begins our calls, in order, and collects the others.
func (s *server) splitBatch(ctx context.Context, elements [][]byte, who caller) *batch {
	who.key = "" // one key cannot stand for many transactions
	b := &batch{
		server: s, requests: make([]jsonrpc.Request, len(elements)),
		begun: make([]answer, len(elements)), responses: make([][]byte, len(elements)),
	}
	for i, element := range elements {
		req, rpcErr := jsonrpc.ScanRequest(element)
		b.requests[i] = req
		switch {
		case rpcErr != nil:
			b.begun[i] = done(jsonrpc.AppendError(nil, req.ID, rpcErr))
		case s.isOurs(req.Method):
			b.begun[i] = s.begin(ctx, req, who)
		default:
			b.forwarded = append(b.forwarded, element)
		}
	}
	return b
}

// finish asks the gateway while our calls wait for their hashes.
func (b *batch) finish(ctx context.Context) {
	ctx, cancel := context.WithTimeoutCause(ctx, b.server.cfg.SendWait, errNoHashYet)
	defer cancel()
	answers := make(chan [][]byte, 1)
	go func() { answers <- b.forward(ctx) }()
	for i, call := range b.begun {
		if call != nil {
			b.responses[i] = call(ctx)
		}
	}
	theirs := <-answers
	for i, call := range b.begun {
		if call == nil && !b.requests[i].IsNotification() {
			b.responses[i], theirs = theirs[0], theirs[1:]
		}
	}
}

// forward returns the gateway's answers to the elements that want one, in order.
func (b *batch) forward(ctx context.Context) [][]byte {
	if len(b.forwarded) == 0 {
		return nil
	}
	body := []byte{'['}
	for i, element := range b.forwarded {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, element...)
	}
	body = append(body, ']')

	answer, _, err := b.server.node.Forward(ctx, body)
	b.server.count("forwarded", err == nil)
	elements := jsonrpc.Elements(answer)
	var due []jsonrpc.ID
	for i, call := range b.begun {
		if call == nil && !b.requests[i].IsNotification() {
			due = append(due, b.requests[i].ID)
		}
	}
	if err == nil && len(elements) == len(due) {
		return elements // the gateway keeps the order
	}
	out := make([][]byte, len(due))
	for i, id := range due {
		out[i] = jsonrpc.AppendError(nil, id, errGatewayAway())
	}
	return out
}

// join makes the body, or nil when no answer is due.
func (b *batch) join() []byte {
	var out []byte
	for i, response := range b.responses {
		if response == nil || b.isSilent(i) {
			continue
		}
		if out == nil {
			out = []byte{'['}
		} else {
			out = append(out, ',')
		}
		out = append(out, response...)
	}
	if out == nil {
		return nil
	}
	return append(out, ']')
}

// isSilent says whether an element is a well-formed notification.
func (b *batch) isSilent(i int) bool {
	return b.requests[i].IsNotification() && b.requests[i].Method != ""
}
