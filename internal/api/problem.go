package api

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"github.com/slipwayhq/slipway/internal/keyswitch"
	"github.com/slipwayhq/slipway/internal/madekeys"
	"github.com/slipwayhq/slipway/internal/nodeclient"
	"github.com/slipwayhq/slipway/internal/queue"
	"github.com/slipwayhq/slipway/internal/signing"
	"github.com/slipwayhq/slipway/internal/strictjson"
	"github.com/slipwayhq/slipway/internal/wallets"
)

// problem is an RFC 9457 problem document.
type problem struct {
	Type   string `json:"type"`
	Code   string `json:"code"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	// Pointer is the JSON Pointer of what is wrong in the body.
	Pointer string `json:"pointer,omitempty"`
}

// problemOf makes a problem of the table.
func problemOf(code problemCode, detail string) problem {
	t := problemTypeOf(code)
	return problem{Type: ProblemURN + string(t.Code), Code: string(t.Code), Title: t.Title, Status: t.Status, Detail: detail}
}

// invalidError is a request that cannot be understood or must not be sent. Its
// text is made for the client.
type invalidError struct{ detail string }

func (e *invalidError) Error() string { return e.detail }

func invalid(detail string) error { return &invalidError{detail} }

// codedError is an error with a place in the table. Its text is made for the
// client.
type codedError struct {
	code   problemCode
	detail string
}

func (e *codedError) Error() string { return string(e.code) + ": " + e.detail }

func refuse(code problemCode, detail string) error { return &codedError{code, detail} }

// problemFor turns a Go error into the problem a client sees: the only such
// place of the REST API. What it does not know stays inside.
func problemFor(err error) problem {
	if p, isEvents := eventProblem(err); isEvents {
		return p
	}
	var bad *invalidError
	var wrong *strictjson.Error
	var coded *codedError
	var http *echo.HTTPError
	if p, ok := accessProblem(err); ok {
		return p
	}
	switch {
	case errors.As(err, &coded):
		return problemOf(coded.code, coded.detail)
	case errors.As(err, &wrong):
		p := problemOf(problemInvalid, wrong.Reason)
		p.Pointer = wrong.Pointer
		if wrong.Pointer != "" {
			p.Detail = fieldOf(wrong.Pointer) + ": " + wrong.Reason
		}
		return p
	case errors.As(err, &bad):
		return problemOf(problemInvalid, bad.detail)
	case errors.Is(err, errBodyTooLarge):
		return problemOf(problemTooLarge, "")
	case errors.Is(err, errForeignOrigin):
		return problemOf(problemForeign, "the Host and Origin of a request must be localhost or a loopback address")
	case errors.As(err, &http):
		return routerProblem(http.Code)
	default:
		return backendProblem(err)
	}
}

// isUnproven says whether a wallet did not sign because its user showed
// nothing, or something wrong.
func isUnproven(err error) bool {
	var shown *proofError
	var locked *wallets.LockedError
	return errors.Is(err, wallets.ErrUnverified) || errors.Is(err, queue.ErrUnproven) || errors.As(err, &shown) || errors.As(err, &locked)
}

// backendProblem is what the queue and the keys refuse.
func backendProblem(err error) problem {
	var full *queue.FullError
	var key interface{ Code() string } // how the kinds of keys tell their failures apart
	switch {
	case errors.Is(err, queue.ErrUnknownSender):
		return problemOf(problemSender, err.Error())
	case errors.Is(err, signing.ErrUnknownSigner):
		return problemOf(problemSender, "")
	case errors.Is(err, signing.ErrDisabledSigner):
		return problemOf(problemKeyRefuses, signing.ErrDisabledSigner.Error())
	case errors.Is(err, queue.ErrKeyReused):
		return problemOf(problemMismatch, "use a new key for a new transaction; the first one stands")
	case errors.Is(err, madekeys.ErrKeyReused):
		return problemOf(problemMismatch, "use a new idempotency key for another key; the first one stands")
	case errors.Is(err, queue.ErrNotFound):
		return problemOf(problemNotFound, "there is no such transaction, or it has been over for longer than queue.retention and was deleted")
	case errors.Is(err, wallets.ErrUnknownWallet):
		return problemOf(problemNotFound, "")
	case errors.Is(err, queue.ErrWrongStatus):
		return problemOf(problemStatus, err.Error())
	case errors.Is(err, queue.ErrDraining):
		return problemOf(problemDraining, "")
	case errors.As(err, &full):
		return problemOf(problemFull, full.Error())
	case errors.Is(err, nodeclient.ErrUnreachable):
		return problemOf(problemGateway, "")
	case errors.Is(err, queue.ErrUnavailable), errors.Is(err, wallets.ErrUnavailable), errors.Is(err, madekeys.ErrUnavailable), errors.Is(err, keyswitch.ErrUnavailable):
		return problemOf(problemDatabase, "repeat the request with its idempotency key: if it was accepted the first time, it will not be executed twice")
	case errors.As(err, &key) && key.Code() == "signer_unavailable":
		return problemOf(problemKeyAway, err.Error())
	case errors.As(err, &key) && key.Code() == "signer_refused":
		return problemOf(problemKeyRefuses, err.Error())
	default:
		return walletProblem(err)
	}
}

// walletProblem is what the wallets refuse.
func walletProblem(err error) problem {
	var wrong *wallets.InvalidError
	switch {
	case isUnproven(err):
		return problemOf(problemProof, rpcErrorOf(err).Message)
	case errors.As(err, &wrong):
		return problemOf(problemInvalid, wrong.Detail)
	case errors.Is(err, wallets.ErrIndexTaken):
		return problemOf(problemIndex, "")
	case errors.Is(err, errNoWallets):
		return problemOf(problemAbsent, errNoWallets.Error())
	default:
		return problemOf(problemInternal, "")
	}
}

// routerProblem is what the router itself refuses.
func routerProblem(status int) problem {
	switch status {
	case http.StatusNotFound:
		return problemOf(problemResource, "")
	case http.StatusMethodNotAllowed:
		return problemOf(problemMethod, "")
	default:
		return problem{Type: "about:blank", Code: "other", Title: http.StatusText(status), Status: status}
	}
}

// retryAfter is the advice, in seconds, that goes with a status; "" for none.
func retryAfter(err error, status int) string {
	var full *queue.FullError
	switch {
	case errors.As(err, &full):
		return strconv.Itoa(int(math.Ceil(full.RetryAfter().Seconds())))
	case status == http.StatusServiceUnavailable:
		return "1"
	default:
		return ""
	}
}

// failureLevel is for what failed through no fault of its caller. What failed
// because its caller left is nobody's fault.
func failureLevel(ctx context.Context) slog.Level {
	if errors.Is(ctx.Err(), context.Canceled) {
		return slog.LevelDebug
	}
	return slog.LevelError
}

// writeError answers with the problem of an error.
func (s *server) writeError(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	p := problemFor(err)
	if p.Status >= http.StatusInternalServerError && p.Status != http.StatusNotImplemented {
		ctx := c.Request().Context()
		s.log.LogAttrs(ctx, failureLevel(ctx), "request failed", slog.String("route", c.Path()), slog.Any("err", err))
	}
	if seconds := retryAfter(err, p.Status); seconds != "" {
		c.Response().Header().Set("Retry-After", seconds)
	}
	adviseCaller(c.Response().Header(), p.Status, err)
	c.Response().Header().Set(echo.HeaderContentType, "application/problem+json")
	if writeErr := c.JSON(p.Status, p); writeErr != nil {
		s.log.DebugContext(c.Request().Context(), "answer not delivered", slog.Any("err", writeErr))
	}
}
