package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
)

// recovered ends a request whose handling panicked: the client gets an internal
// error, or a cut answer if it has some of it already. It is to be deferred.
func (h *Gateway) recovered(ctx context.Context, x *exchange) {
	cause := recover()
	if cause == nil {
		return
	}
	if cause == http.ErrAbortHandler { //nolint:errorlint // net/http compares it so
		panic(cause) // somebody wants the connection to be closed
	}
	h.notePanic(ctx, "request", cause)
	if x.status != 0 {
		panic(http.ErrAbortHandler)
	}
	h.writeError(x, http.StatusInternalServerError, nil, jsonrpc.NewError(jsonrpc.CodeInternal, "internal error"))
}

// recoveredElement does so for an element of a batch that has a goroutine of its
// own: a panic there would end the program.
func (h *Gateway) recoveredElement(ctx context.Context, e *element) {
	if cause := recover(); cause != nil {
		h.notePanic(ctx, "batch", cause)
		e.result, e.err = nil, errInternal
	}
}

// recoveredMessage does so for a message on a WebSocket. The client gets no
// answer to it: whether it got one already is not known.
func (h *Gateway) recoveredMessage(ctx context.Context) {
	if cause := recover(); cause != nil {
		h.notePanic(ctx, "websocket", cause)
	}
}

func (h *Gateway) notePanic(ctx context.Context, scope string, cause any) {
	h.panics.WithLabelValues(scope).Inc()
	h.log.ErrorContext(ctx, "panic", slog.String("scope", scope), slog.String("cause", fmt.Sprint(cause)), slog.String("stack", string(debug.Stack())))
}
