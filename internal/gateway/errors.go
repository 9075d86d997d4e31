package gateway

import (
	"context"
	"errors"
	"net/http"

	"github.com/slipwayhq/slipway/internal/auth"
	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/subscriptions"
	"github.com/slipwayhq/slipway/internal/upstreams"
)

var (
	errRequestTimeout = errors.New("the request's time is up")
	errInternal       = errors.New("internal error")
)

// isEnd says whether an error only tells that somebody's time was up.
func isEnd(err error) bool {
	return errors.Is(err, errRequestTimeout) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// isEnded says whether an error is the end of a client's subscriptions.
func isEnded(err error) bool {
	return errors.Is(err, subscriptions.ErrSlow) || errors.Is(err, subscriptions.ErrLostTrack) || errors.Is(err, subscriptions.ErrStopped)
}

// Outcome says how a call ended. Its text is a metric label.
type Outcome uint8

// The outcomes.
const (
	OutcomeOK Outcome = iota
	OutcomeNodeError
	OutcomeInvalid
	OutcomeDenied
	OutcomeUnavailable
	OutcomeRateLimited
	OutcomeTimeout
	OutcomeCanceled
	OutcomeInternal
	OutcomeUnauthorized

	outcomeCount
)

// String is the outcome as metric label.
func (o Outcome) String() string {
	return [outcomeCount]string{"ok", "node_error", "invalid", "denied", "unavailable", "rate_limited", "timeout", "canceled", "internal", "unauthorized"}[o]
}

// RejectedError is a request that is understood and not served as it is: more
// than a limit of this gateway, or a range that ends before it begins. It has
// status 200, as nodes have for it: clients that see another one do not read why.
type RejectedError struct {
	Code    jsonrpc.Code
	Message string
}

// Error implements error.
func (e *RejectedError) Error() string { return e.Message }

// toWire is the only place where an error becomes what a client sees. The HTTP
// status is that of a single request; a batch always has 200. Errors that the
// request itself brings about have 200 or 400, so that clients read the body;
// 429, 503 and 504 say that the same request may well succeed later, which
// clients and load balancers act upon. Text of unknown errors stays here.
func toWire(err error) (*jsonrpc.Error, int, Outcome) {
	var own *jsonrpc.Error
	var denied *DeniedError
	var limited *LimitedError
	var refused *auth.Error
	var rejected *RejectedError
	var dispute *upstreams.DisputeError
	var oversized *upstreams.OversizedError
	var exhausted *upstreams.ExhaustedError
	var selector *upstreams.SelectorError
	switch {
	case errors.As(err, &own):
		return own, http.StatusBadRequest, OutcomeInvalid
	case errors.As(err, &refused):
		if refused.IsTemporary() {
			return jsonrpc.NewError(jsonrpc.CodeUnauthorized, refused.Error()), http.StatusServiceUnavailable, OutcomeUnauthorized
		}
		return jsonrpc.NewError(jsonrpc.CodeUnauthorized, refused.Error()), http.StatusUnauthorized, OutcomeUnauthorized
	case errors.As(err, &limited):
		return jsonrpc.NewError(jsonrpc.CodeLimitExceeded, limited.Error()), http.StatusTooManyRequests, OutcomeRateLimited
	case errors.As(err, &denied):
		return denied.wire(), http.StatusOK, OutcomeDenied
	case errors.As(err, &rejected):
		return jsonrpc.NewError(rejected.Code, rejected.Message), http.StatusOK, OutcomeInvalid
	case errors.As(err, &oversized):
		return jsonrpc.NewError(jsonrpc.CodeTooLarge, oversized.Error()), http.StatusOK, OutcomeInvalid
	case errors.As(err, &dispute):
		return jsonrpc.NewError(jsonrpc.CodeInternal, dispute.Error()), http.StatusServiceUnavailable, OutcomeUnavailable
	case errors.As(err, &selector):
		return jsonrpc.NewError(jsonrpc.CodeInvalidRequest, selector.Error()), http.StatusBadRequest, OutcomeInvalid
	case errors.Is(err, upstreams.ErrNoUpstream), errors.Is(err, subscriptions.ErrUnavailable), isEnded(err):
		return jsonrpc.NewError(jsonrpc.CodeUnavailable, "no upstream can serve this request now"), http.StatusServiceUnavailable, OutcomeUnavailable
	case errors.As(err, &exhausted):
		return exhaustedWire(exhausted)
	case errors.Is(err, context.Canceled):
		return jsonrpc.NewError(jsonrpc.CodeInternal, "the request was cancelled"), http.StatusServiceUnavailable, OutcomeCanceled
	case isEnd(err):
		return jsonrpc.NewError(jsonrpc.CodeTimeout, "the request timed out"), http.StatusGatewayTimeout, OutcomeTimeout
	default:
		return jsonrpc.NewError(jsonrpc.CodeInternal, "internal error"), http.StatusInternalServerError, OutcomeInternal
	}
}

func exhaustedWire(e *upstreams.ExhaustedError) (*jsonrpc.Error, int, Outcome) {
	switch e.Last {
	case upstreams.OutcomeRateLimited:
		return jsonrpc.NewError(jsonrpc.CodeLimitExceeded, "every upstream limits the rate of requests now"), http.StatusTooManyRequests, OutcomeRateLimited
	case upstreams.OutcomeTimeout:
		return jsonrpc.NewError(jsonrpc.CodeTimeout, "no upstream answered in time"), http.StatusGatewayTimeout, OutcomeTimeout
	default:
		return jsonrpc.NewError(jsonrpc.CodeUnavailable, "no upstream gave an answer"), http.StatusServiceUnavailable, OutcomeUnavailable
	}
}
