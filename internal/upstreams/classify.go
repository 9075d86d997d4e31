package upstreams

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
	"github.com/slipwayhq/slipway/internal/methods"
)

// Outcome says what became of one attempt. Its text is a metric label.
type Outcome uint8

// The outcomes.
const (
	// OutcomeOK: an answer.
	OutcomeOK Outcome = iota
	// OutcomeClientFault: the node's error is the answer (a revert, a wrong parameter).
	OutcomeClientFault
	// OutcomeNull: the node knows no such thing; a node further ahead may.
	OutcomeNull
	// OutcomeStale: an answer from behind the known head.
	OutcomeStale
	// OutcomeMissing: this node lacks the data or is still syncing.
	OutcomeMissing
	// OutcomeNodeError: the node failed in a way that says nothing about its health.
	OutcomeNodeError
	// OutcomeUnsupported: this node does not serve such a request.
	OutcomeUnsupported
	// OutcomeRateLimited: this node wants fewer requests.
	OutcomeRateLimited
	// OutcomeUnauthorized: the node does not accept the gateway's credentials.
	OutcomeUnauthorized
	// OutcomeBroken: no readable answer; the request may have been executed.
	OutcomeBroken
	// OutcomeTimeout: no answer in time; the request may have been executed.
	OutcomeTimeout
	// OutcomeRefused: no connection; the node has not seen the request.
	OutcomeRefused
	// OutcomeLostRace: another node answered first.
	OutcomeLostRace
	// OutcomeCanceled: the caller went away.
	OutcomeCanceled
	// OutcomeKnown: the node has this transaction already.
	OutcomeKnown
	// OutcomeNonceLow: the account's nonce is past that of the transaction.
	OutcomeNonceLow
	// OutcomeTooLarge: the node does not search so many blocks or give so many
	// results; a smaller piece of the search may pass.
	OutcomeTooLarge
	// OutcomeOversized: the answer exceeds what the gateway takes of a node.
	OutcomeOversized
	// OutcomeWrong: an answer that cannot be the answer to this request.
	OutcomeWrong
	// OutcomePending: a transaction that this node has not seen in a block.
	OutcomePending
	// OutcomeOverBudget: the node's budget is used up; it was not asked.
	OutcomeOverBudget

	outcomeCount
)

// String is the outcome as metric label.
func (o Outcome) String() string {
	names := [outcomeCount]string{
		"ok", "client_fault", "null", "stale", "missing", "node_error", "unsupported", "rate_limited", "unauthorized",
		"broken", "timeout", "refused", "lost_race", "canceled", "known_transaction", "nonce_low",
		"too_large", "oversized", "wrong", "pending", "over_budget",
	}
	if o >= outcomeCount {
		return "unknown"
	}
	return names[o]
}

// settles says whether a request ends with this outcome.
func (o Outcome) settles() bool { return o == OutcomeOK || o == OutcomeClientFault }

// blamesNode says whether the outcome counts against the node's health.
func (o Outcome) blamesNode() bool {
	switch o {
	case OutcomeUnauthorized, OutcomeBroken, OutcomeTimeout, OutcomeRefused, OutcomeLostRace, OutcomeWrong:
		return true
	default:
		return false
	}
}

// isInDoubt says whether the node may have taken a request that it did not
// answer.
func (o Outcome) isInDoubt() bool { return o == OutcomeBroken || o == OutcomeTimeout }

// isUnseen says whether the node certainly has not executed the request.
func (o Outcome) isUnseen() bool { return o == OutcomeRefused || o == OutcomeOverBudget }

// passes says whether the node's own words may be shown to the client when no
// node did better. Words about limits and credentials may name accounts.
func (o Outcome) passes() bool {
	switch o {
	case OutcomeOK, OutcomeClientFault, OutcomeNull, OutcomeStale, OutcomeMissing, OutcomeNodeError, OutcomeUnsupported, OutcomeNonceLow, OutcomeKnown,
		OutcomeTooLarge, OutcomePending:
		return true
	default:
		return false
	}
}

// worth orders what may be answered when nothing settled the request.
func (o Outcome) worth() int {
	switch o {
	case OutcomePending:
		return 8
	case OutcomeStale:
		return 7
	case OutcomeNull:
		return 6
	case OutcomeTooLarge:
		return 5
	case OutcomeMissing:
		return 4
	case OutcomeOversized:
		return 3
	case OutcomeNodeError:
		return 2
	case OutcomeUnsupported:
		return 1
	default:
		return 0
	}
}

// verdict is a judged attempt.
type verdict struct {
	outcome  Outcome
	result   []byte // of an answer
	errorObj []byte // the node's error object
	batch    []BatchReply
	upstream *Upstream
}

// classifyFailure judges an attempt that brought no complete answer.
func classifyFailure(ctx context.Context, err error) Outcome {
	cause := context.Cause(ctx)
	switch {
	case errors.Is(cause, errLostRace):
		return OutcomeLostRace
	case cause != nil:
		return OutcomeCanceled
	case errors.Is(err, errAttemptTimeout):
		return OutcomeTimeout
	case errors.Is(err, errRefused):
		return OutcomeRefused
	case errors.Is(err, errTooLarge):
		return OutcomeOversized
	default:
		return OutcomeBroken
	}
}

// classifyReply judges the answer to a single request that carried wantID.
func classifyReply(facts methods.Facts, wantID []byte, reply httpReply) verdict {
	if outcome, bad := classifyStatus(reply.status); bad {
		return verdict{outcome: outcome}
	}
	response, err := jsonrpc.ScanResponse(reply.body)
	if err != nil {
		return verdict{outcome: OutcomeBroken}
	}
	// A node that could not read a request answers with id null; for us, who
	// wrote a readable one, that error is not an answer to it.
	if !bytes.Equal(response.ID, wantID) {
		return verdict{outcome: OutcomeBroken}
	}
	return classifyResponse(facts, response)
}

// classifyStatus judges what the HTTP status alone decides.
func classifyStatus(status int) (Outcome, bool) {
	switch {
	case status == http.StatusTooManyRequests:
		return OutcomeRateLimited, true
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusPaymentRequired:
		return OutcomeUnauthorized, true
	case status == http.StatusMethodNotAllowed, status == http.StatusUnsupportedMediaType:
		return OutcomeUnsupported, true
	case status >= 500, status < 200, status >= 300 && status < 400:
		return OutcomeBroken, true
	default:
		return OutcomeOK, false // also 400 and 404: nodes put JSON-RPC errors there
	}
}

func classifyResponse(facts methods.Facts, response jsonrpc.Response) verdict {
	if response.Error != nil {
		e := jsonrpc.DecodeError(response.Error)
		return verdict{outcome: classifyError(facts.Method.Kind, e), errorObj: response.Error}
	}
	v := verdict{outcome: OutcomeOK, result: response.Result}
	if string(response.Result) == "null" {
		v.outcome = OutcomeMissing
		if facts.Method.NullOK {
			v.outcome = OutcomeNull
		}
		if !facts.Method.Known() {
			v.outcome = OutcomeOK
		}
	}
	return v
}

// classifyError finds the first rule that matches a node's error.
func classifyError(kind methods.Kind, e *jsonrpc.Error) Outcome {
	text := strings.ToLower(e.Message)
	for _, rule := range errorRules() {
		if rule.matches(kind, e.Code, text) {
			return rule.outcome
		}
	}
	if kind == methods.Send {
		return OutcomeClientFault // what a node says of a transaction is the answer
	}
	return OutcomeNodeError
}
