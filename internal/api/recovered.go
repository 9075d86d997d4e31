package api

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"

	"github.com/labstack/echo/v4"

	"github.com/slipwayhq/slipway/internal/jsonrpc"
)

// recovered answers a request whose handler panicked: a client that only saw its
// connection end could not tell a fault from a lost answer. The reason and the
// stack go to the log.
func (s *server) recovered(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			reason := recover()
			if reason == nil {
				return
			}
			if reason == http.ErrAbortHandler { //nolint:errorlint // net/http compares the same way
				panic(reason)
			}
			s.log.ErrorContext(c.Request().Context(), "request panicked", slog.String("route", c.Path()),
				slog.String("reason", fmt.Sprint(reason)), slog.String("stack", string(debug.Stack())))
			switch {
			case c.Response().Committed, isUpgrade(c.Request()):
				panic(http.ErrAbortHandler) // half an answer must not look whole
			case c.Path() == "/":
				err = s.writeRPC(c, http.StatusInternalServerError, jsonrpc.AppendError(nil, nil, jsonrpc.NewError(jsonrpc.CodeInternal, "internal error")))
			default:
				err = refuse(problemInternal, "")
			}
		}()
		return next(c)
	}
}
