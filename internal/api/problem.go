package api

import (
	"errors"
	"log/slog"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/slipwayhq/slipway/internal/queue"
	"github.com/slipwayhq/slipway/internal/wallets"
)

// problem is an RFC 9457 problem document.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}

// problemType is the stable part of a problem.
type problemType struct {
	name, title string
	status      int
}

func (p problemType) with(detail string) problem {
	return problem{Type: "urn:slipway:problem:" + p.name, Title: p.title, Status: p.status, Detail: detail}
}

// invalidError is a request that cannot be understood or must not be sent. Its
// text is made for the client.
type invalidError struct{ detail string }

func (e *invalidError) Error() string { return e.detail }

func invalid(detail string) error { return &invalidError{detail} }

// problemOf turns a Go error into the problem a client sees: the only such
// place of the REST API. What it does not know stays inside.
func problemOf(err error) problem {
	var bad *invalidError
	var http *echo.HTTPError
	switch {
	case errors.As(err, &bad):
		return problemType{"invalid-request", "The request is not valid", 400}.with(bad.detail)
	case errors.Is(err, errBodyTooLarge):
		return problemType{"body-too-large", "The request body is too large", 413}.with("")
	case errors.Is(err, errForeignOrigin):
		return problemType{"foreign-origin", "Without authentication only local programs and pages are served", 403}.
			with("the Host and Origin of a request must be localhost or a loopback address")
	case errors.Is(err, queue.ErrUnknownSender):
		return problemType{"unknown-sender", "The signer has no key for the sender", 422}.with(err.Error())
	case errors.Is(err, queue.ErrKeyReused):
		return problemType{"idempotency-key-reused", "The idempotency key was used with another request", 409}.
			with("use a new key for a new transaction; the first one stands")
	case errors.Is(err, queue.ErrNotFound):
		return problemType{"not-found", "There is no such transaction", 404}.with("")
	case isUnproven(err):
		return problemType{"verification-required", "The wallet signs only with a right challenge response", 403}.with(walletRPCError(err).Message)
	case errors.Is(err, queue.ErrUnavailable), errors.Is(err, wallets.ErrUnavailable):
		return problemType{"database-unavailable", "The database cannot be reached", 503}.
			with("repeat the request with its idempotency key: if it was accepted the first time, it will not be executed twice")
	case errors.As(err, &http):
		return httpProblem(http.Code)
	default:
		return problemType{"internal", "Internal error", 500}.with("")
	}
}

// isUnproven says whether a wallet did not sign because its user showed
// nothing, or something wrong.
func isUnproven(err error) bool {
	var shown *proofError
	var locked *wallets.LockedError
	return errors.Is(err, wallets.ErrUnverified) || errors.As(err, &shown) || errors.As(err, &locked)
}

// httpProblem is what the router itself refuses.
func httpProblem(status int) problem {
	switch status {
	case http.StatusNotFound:
		return problemType{"no-such-resource", "There is no such resource", status}.with("")
	case http.StatusMethodNotAllowed:
		return problemType{"method-not-allowed", "The resource does not know this method", status}.with("")
	default:
		return problem{Type: "about:blank", Title: http.StatusText(status), Status: status}
	}
}

// retryAfter is the advice, in seconds, that goes with a 503.
const retryAfter = "1"

// writeError answers with the problem of an error.
func (s *server) writeError(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	p := problemOf(err)
	if p.Status >= http.StatusInternalServerError {
		s.log.ErrorContext(c.Request().Context(), "request failed", slog.String("route", c.Path()), slog.Any("err", err))
	}
	if p.Status == http.StatusServiceUnavailable {
		c.Response().Header().Set("Retry-After", retryAfter)
	}
	c.Response().Header().Set(echo.HeaderContentType, "application/problem+json")
	if writeErr := c.JSON(p.Status, p); writeErr != nil {
		s.log.DebugContext(c.Request().Context(), "answer not delivered", slog.Any("err", writeErr))
	}
}
