package api

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/slipwayhq/slipway/internal/access"
	"github.com/slipwayhq/slipway/internal/admission"
	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/policy"
	"github.com/slipwayhq/slipway/internal/queue"
)

// accessProblem is the problem of an error about callers, policy and approvals;
// false for other errors.
func accessProblem(err error) (problem, bool) {
	var token *access.TokenError
	var forbidden *forbiddenError
	var denied *policy.DeniedError
	var limit *policy.LimitError
	var rate *admission.RateError
	switch {
	case errors.Is(err, access.ErrWebPage):
		return problemOf(problemForeign, err.Error()), true
	case errors.Is(err, access.ErrMissing), errors.Is(err, access.ErrProxied), errors.Is(err, access.ErrKey), errors.Is(err, access.ErrCertificate):
		return problemOf(problemUnknown, err.Error()), true
	case errors.As(err, &token):
		return problemOf(problemUnknown, token.Why), true
	case errors.As(err, &forbidden):
		return problemOf(problemForbidden, forbidden.Error()), true
	case errors.As(err, &denied):
		return problemOf(problemDenied, denied.Decision.Reason()), true
	case errors.As(err, &limit):
		return problemOf(problemLimit, limit.Error()), true
	case errors.As(err, &rate):
		return problemOf(problemRate, rate.Error()), true
	case errors.Is(err, queue.ErrOwnApproval), errors.Is(err, queue.ErrNotApprover):
		return problemOf(problemApprover, err.Error()), true
	case errors.Is(err, queue.ErrWrongStatus):
		return problemOf(problemStatus, err.Error()), true
	case errors.Is(err, access.ErrNoKey):
		return problemOf(problemNotFound, ""), true
	case errors.Is(err, access.ErrInvalid):
		return problemOf(problemInvalid, err.Error()), true
	case errors.Is(err, access.ErrNameTaken), errors.Is(err, access.ErrTooMany):
		return problemOf(problemKeyExists, err.Error()), true
	case errors.Is(err, errNoAPIKeys):
		return problemOf(problemAbsent, "see access.apiKeys"), true
	case errors.Is(err, access.ErrUnavailable), errors.Is(err, admission.ErrUnavailable):
		return problemOf(problemDatabase, ""), true
	default:
		return problem{}, false
	}
}

// accessRPCError is the same for JSON-RPC; nil for other errors.
func accessRPCError(err error) *jsonrpc.Error {
	p, ok := accessProblem(err)
	if !ok {
		return nil
	}
	message := p.Title
	if p.Detail != "" {
		message = p.Detail
	}
	switch p.Status {
	case http.StatusUnauthorized, http.StatusForbidden:
		var denied *policy.DeniedError
		if errors.As(err, &denied) {
			return jsonrpc.NewError(jsonrpc.CodeRejected, denied.Error())
		}
		return jsonrpc.NewError(jsonrpc.CodeUnauthorized, message)
	case http.StatusTooManyRequests:
		return jsonrpc.NewError(jsonrpc.CodeLimitExceeded, message)
	case http.StatusServiceUnavailable:
		return jsonrpc.NewError(jsonrpc.CodeUnavailable, message)
	default:
		return jsonrpc.NewError(jsonrpc.CodeServer, message)
	}
}

// adviseCaller sets the headers that go with a refusal.
func adviseCaller(h http.Header, status int, err error) {
	if status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="slipway"`)
	}
	var wait interface{ RetryAfter() time.Duration }
	if status == http.StatusTooManyRequests && errors.As(err, &wait) {
		h.Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(wait.RetryAfter().Seconds())))))
	}
}
